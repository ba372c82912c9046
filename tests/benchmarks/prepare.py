"""Times the tokenization of a table by all cores into files, against one process in the memory.

The two take turns on the same rows of the table, for a number of rounds.

    python tests/benchmarks/prepare.py train.tsv --text text --rows 500000
"""

import statistics
import tempfile
import time
from pathlib import Path

import click
import numpy as np

from keras_transformer.zoo.data.rows import sampled
from keras_transformer.zoo.modalities.text import Text
from keras_transformer.zoo.prepared.context import current_store, prepared_in
from keras_transformer.zoo.prepared.encode import EncodeRows, encoded
from keras_transformer.zoo.tasks.classification import Classification
from keras_transformer.zoo.tokenizers.tokenizer import Tokenizer, TokenizerConfig
from keras_transformer.zoo.vocabularies.learn import learn_vocabulary

MAX_LENGTH = 64


@click.command()
@click.argument("table", type=click.Path(exists=True, path_type=Path))
@click.option("--text", default="text", show_default=True, help="Column of the texts.")
@click.option("--vocab-size", default=8000, show_default=True)
@click.option("--rows", default=500_000, show_default=True, help="Rows to tokenize, at most.")
@click.option("--rounds", default=3, show_default=True)
def main(table: Path, text: str, vocab_size: int, rows: int, rounds: int) -> None:
    """Prints rows a second of both, and the median ratio."""
    config = TokenizerConfig()
    seconds: dict[str, list[float]] = {"one process": [], "all cores": []}
    with tempfile.TemporaryDirectory() as folder:
        with prepared_in(Path(folder), 0):
            start = time.perf_counter()
            examples = Classification().read(table, {"text": text, "label": None}, labelled=False)
            read = len(examples) / (time.perf_counter() - start)
        print(f"read: {read:,.0f} rows a second")
        examples = sampled(examples, rows)
        texts, count = examples.texts, len(examples)
        vocabulary = learn_vocabulary(sampled(examples, 100_000).texts, vocab_size, config)
        modality = Text(tokenizer=Tokenizer(config, vocabulary), max_length=MAX_LENGTH)
        for number in range(rounds):
            start = time.perf_counter()
            one = modality.encode(texts)
            seconds["one process"].append(time.perf_counter() - start)
            with prepared_in(Path(folder) / str(number), 0):
                start = time.perf_counter()
                all_cores = encoded(
                    current_store(), EncodeRows.of(modality), [texts], modality.inputs(),
                    progress=lambda done: None,
                )  # fmt: skip
                seconds["all cores"].append(time.perf_counter() - start)
            last = all_cores.columns["ids"][count - 1]
            assert np.array_equal(one.columns["ids"][count - 1], last)
    for name, found in seconds.items():
        print(f"{name}: {count / statistics.median(found):,.0f} rows a second")
    ratios = [one / two for one, two in zip(*seconds.values(), strict=True)]
    print(f"all cores over one process: {statistics.median(ratios):.2f}")


if __name__ == "__main__":
    main()
