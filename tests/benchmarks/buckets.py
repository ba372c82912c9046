"""An epoch in length buckets against the same model and rows padded to one length.

    python tests/benchmarks/buckets.py --train train.tsv.gz --text sentence --label label

Both do the same number of tokens a batch. Steps are sampled in turns, a few of the one and a few
of the other, and an epoch's time is the median step of each bucket times the steps of an epoch, so
that both share the noise of the machine and neither epoch has to run to its end.
"""

import itertools
import time
from collections import defaultdict

import click
import keras
import numpy as np

from keras_transformer.zoo.data.batches import Batches
from keras_transformer.zoo.models.build import build
from keras_transformer.zoo.models.catalog import get_config
from keras_transformer.zoo.recipe import Recipe
from keras_transformer.zoo.tasks.classification import Classification
from keras_transformer.zoo.tasks.registry import TASKS
from keras_transformer.zoo.tokenizers.tokenizer import Tokenizer, TokenizerConfig
from keras_transformer.zoo.training.fit import Fit
from keras_transformer.zoo.vocabularies.learn import learn_vocabulary

STEPS_A_TURN = 8


@click.command(help=__doc__)
@click.option("--train", required=True, type=click.Path(exists=True))
@click.option("--text", default="text", show_default=True)
@click.option("--label", default="label", show_default=True)
@click.option("--model", default="bert_mini", show_default=True)
@click.option("--length", default=64, show_default=True)
@click.option("--rounds", default=20, show_default=True)
def main(train: str, text: str, label: str, model: str, length: int, rounds: int) -> None:
    recipe = Recipe.of_task(
        TASKS["classification"], model=model, train=train, validation=train, max_length=length
    )
    examples = Classification().read(train, {"text": text, "label": label})
    task = Classification(labels=tuple(examples.labels))
    config = TokenizerConfig()
    vocabulary = learn_vocabulary(examples.texts, recipe.tokenizer.vocab_size, config)
    tokenizer = Tokenizer(config, vocabulary)
    columns = {"ids": tokenizer.encode(examples.texts, max_length=length).ids}
    shape = get_config(model).replace(vocab_size=tokenizer.vocab_size)
    keras.utils.set_random_seed(0)
    arguments = {"batch_tokens": recipe.data.batch_tokens}
    runs = {
        "buckets": Batches(columns, examples.targets, bucket=recipe.data.bucket, **arguments),
        "padded": Batches(columns, examples.targets, padded_to=length, **arguments),
    }
    fits = {name: Fit(build(shape, task), task, recipe, b, dict) for name, b in runs.items()}
    seconds = {name: defaultdict(list) for name in runs}
    streams = {name: batches.epoch(0) for name, batches in runs.items()}
    for name, batches in runs.items():
        # Every shape is met first: a new one makes TensorFlow trace the step again.
        for batch in batches.one_of_each_shape():
            fits[name].model.train_on_batch(batch.inputs, batch.targets)
    for _ in range(rounds):
        for name, stream in streams.items():
            for batch in itertools.islice(stream, STEPS_A_TURN):
                start = time.perf_counter()
                fits[name].model.train_on_batch(batch.inputs, batch.targets)
                seconds[name][batch.inputs["ids"].shape[1]].append(time.perf_counter() - start)
    epochs = {}
    for name, batches in runs.items():
        counts = defaultdict(int)
        for batch in batches.in_order():
            counts[batch.inputs["ids"].shape[1]] += 1
        overall = np.median([t for times in seconds[name].values() for t in times])
        epochs[name] = sum(
            count * (np.median(seconds[name][edge]) if seconds[name][edge] else overall)
            for edge, count in counts.items()
        )
        click.echo(f"{name}: {len(batches)} steps, {epochs[name]:.0f} s an epoch")
    click.echo(f"buckets are {epochs['padded'] / epochs['buckets']:.2f} times as fast")


if __name__ == "__main__":
    main()
