"""Shapes, padding and compilation of batches with and without --whole-batches, on JAX.

    KERAS_BACKEND=jax python tests/benchmarks/whole_batches.py --train train.tsv.gz --text text

Compilations alternate, each of new steps, so that both share the noise of the machine: the time is
the processor's for a step on each shape of an epoch, as a run does it at its start.
"""

import statistics
import time

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


@click.command(help=__doc__)
@click.option("--train", required=True, type=click.Path(exists=True))
@click.option("--text", default="text", show_default=True)
@click.option("--label", default="label", show_default=True)
@click.option("--model", default="bert_tiny", show_default=True)
@click.option("--length", default=64, show_default=True)
@click.option("--batch-tokens", default=2048, show_default=True)
@click.option("--rounds", default=3, show_default=True)
def main(
    train: str, text: str, label: str, model: str, length: int, batch_tokens: int, rounds: int
) -> None:
    recipe = Recipe.of_task(
        TASKS["classification"], model=model, train=train, validation=train, max_length=length,
        batch_tokens=batch_tokens,
    )  # fmt: skip
    examples = Classification().read(train, {"text": text, "label": label})
    task = Classification(labels=tuple(examples.labels))
    vocabulary = learn_vocabulary(examples.texts, 8000, TokenizerConfig())
    tokenizer = Tokenizer(TokenizerConfig(), vocabulary)
    ids = tokenizer.encode(examples.texts, max_length=length).ids
    config = get_config(model).replace(vocab_size=tokenizer.vocab_size)
    seconds = {}
    for _ in range(rounds):
        for whole in (False, True):
            batches = Batches({"ids": ids}, examples.targets, batch_tokens=batch_tokens)
            batches.in_multiples_of(1, whole=whole)
            keras.utils.set_random_seed(0)
            fit = Fit(build(config, task), task, recipe, batches, dict)
            start = time.process_time()
            fit._meet_shapes()
            seconds.setdefault(whole, []).append(time.process_time() - start)
            click.echo(f"whole={whole}: {seconds[whole][-1]:.1f} s", err=True)
    real = sum(map(len, ids))
    for whole, times in seconds.items():
        batches = Batches({"ids": ids}, examples.targets, batch_tokens=batch_tokens)
        batches.in_multiples_of(1, whole=whole)
        shapes = [batch.inputs["ids"].shape for batch in batches.epoch(0)]
        padded = sum(np.prod(shape) for shape in shapes)
        click.echo(
            f"{'whole' if whole else 'plain'}: {len(shapes)} batches, {len(batches.edges)} lengths,"
            f" {len(set(shapes))} shapes, {1 - real / padded:.4f} padding, {padded} tokens;"
            f" compiled in {statistics.median(times):.1f} s of processor time"
            f" ({', '.join(f'{one:.1f}' for one in times)})"
        )


if __name__ == "__main__":
    main()
