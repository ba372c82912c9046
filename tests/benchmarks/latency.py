"""Latency of a catalogue encoder in every precision, one thread, interleaved in one run.

    python tests/benchmarks/latency.py --model bert_small --length 128

The weights are random: the time of an op does not depend on them. int8 is calibrated on random
tokens. Prints the ratio to float32 and what stays outside XNNPACK.
"""

import tempfile
from collections.abc import Iterable
from pathlib import Path

import click
import keras
import numpy as np
from rich.console import Console
from rich.table import Table

from keras_transformer.edge.compare.benchmark import benchmark
from keras_transformer.edge.precision import PRECISIONS
from keras_transformer.edge.targets.convert import convert
from keras_transformer.zoo.checkpoint import Checkpoint
from keras_transformer.zoo.data.batches import Batches
from keras_transformer.zoo.modalities.text import Text
from keras_transformer.zoo.models.build import build
from keras_transformer.zoo.models.catalog import get_config
from keras_transformer.zoo.recipe import Recipe
from keras_transformer.zoo.tasks.classification import Classification
from keras_transformer.zoo.tasks.registry import TASKS
from keras_transformer.zoo.tokenizers.piece_list import SPECIAL_TOKENS
from keras_transformer.zoo.tokenizers.tokenizer import Tokenizer, TokenizerConfig


def untrained(name: str, length: int) -> tuple[Checkpoint, np.ndarray]:
    """A classifier of the catalogue with random weights, and random rows of that length."""
    keras.utils.set_random_seed(0)
    config = get_config(name)
    task = Classification(labels=("no", "yes"))
    vocabulary = [*SPECIAL_TOKENS, *(f"p{i}" for i in range(config.vocab_size - 5))]
    rows = np.random.default_rng(0).integers(5, config.vocab_size, (16, length), dtype=np.int32)
    trained = Checkpoint(
        config=config, task=task, model=build(config, task), metrics={},
        modality=Text(tokenizer=Tokenizer(TokenizerConfig(), vocabulary), max_length=length),
        recipe=Recipe.of_task(TASKS["classification"], model=name, train="-", validation="-"),
        probes={"ids": rows},
    )  # fmt: skip
    return trained, rows


def write_files(
    trained: Checkpoint, rows: np.ndarray, precisions: Iterable[str], folder: Path
) -> dict[str, Path]:
    """Writes a file in each precision, calibrated on the rows, and returns their paths."""
    calibration = Batches({"ids": list(rows)}, batch_tokens=4 * rows.shape[1])
    paths = {name: folder / f"{name}.tflite" for name in precisions}
    for name, path in paths.items():
        given = calibration if PRECISIONS[name].is_static else None
        path.write_bytes(bytes(convert(trained, name, calibration=given)))
    return paths


@click.command(help=__doc__)
@click.option("--model", default="bert_small", show_default=True)
@click.option("--length", default=128, show_default=True)
@click.option("--runs", default=50, show_default=True)
def main(model: str, length: int, runs: int) -> None:
    trained, rows = untrained(model, length)
    with tempfile.TemporaryDirectory() as folder:
        files = write_files(trained, rows, PRECISIONS, Path(folder))
        result = benchmark(list(files.values()), threads=1, runs=runs)
    title = f"{model}, length {length}, 1 thread, {result.device}"
    table = Table("precision", "median ms", "p90 ms", "ratio", "MB", "size ratio", "partitions",
                  "outside XNNPACK", title=title)  # fmt: skip
    for file in result.files:
        outside = ", ".join(f"{count} {name}" for name, count in file.outside_ops.items())
        table.add_row(
            file.precision, f"{file.median_ms:.1f}", f"{file.p90_ms:.1f}", f"{file.ratio:.3f}",
            f"{file.size / 1e6:.1f}", f"{file.size / result.files[0].size:.3f}",
            str(file.partitions), outside,
        )  # fmt: skip
    Console(width=160).print(table)


if __name__ == "__main__":
    main()
