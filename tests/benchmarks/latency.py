"""Latency of a catalogue encoder in every precision, one thread, interleaved in one run.

    python tests/benchmarks/latency.py --model bert_small --length 128
    python tests/benchmarks/latency.py --model kwt_1 --precision float32 --precision int8

The weights are random: the time of an op does not depend on them. int8 is calibrated on random
tokens, samples or pixels. Prints the ratio to float32 and what stays outside XNNPACK.
"""

import tempfile
from collections.abc import Iterable, Mapping
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
from keras_transformer.zoo.modalities.modality import InputSpec
from keras_transformer.zoo.modalities.registry import modality_named
from keras_transformer.zoo.modalities.text import Text
from keras_transformer.zoo.models.build import build
from keras_transformer.zoo.models.catalog import get_config
from keras_transformer.zoo.recipe import Recipe
from keras_transformer.zoo.tasks.classification import Classification
from keras_transformer.zoo.tasks.registry import TASKS
from keras_transformer.zoo.tokenizers.piece_list import SPECIAL_TOKENS
from keras_transformer.zoo.tokenizers.tokenizer import Tokenizer, TokenizerConfig


def untrained(name: str, length: int) -> tuple[Checkpoint, dict[str, np.ndarray]]:
    """A classifier of the catalogue with random weights, and random rows: texts of that length."""
    keras.utils.set_random_seed(0)
    config, rng = get_config(name), np.random.default_rng(0)
    task = Classification(labels=("no", "yes"))
    if config.modality == "text":
        vocabulary = [*SPECIAL_TOKENS, *(f"p{i}" for i in range(config.vocab_size - 5))]
        modality = Text(tokenizer=Tokenizer(TokenizerConfig(), vocabulary), max_length=length)
        rows = {"ids": rng.integers(5, config.vocab_size, (16, length), dtype=np.int32)}
    else:
        modality = modality_named(config.modality)(
            max_length=config.max_length, settings=config.modality_settings
        )
        rows = {spec.name: _random(spec, rng) for spec in modality.inputs()}
    trained = Checkpoint(
        config=config, task=task, model=build(config, task), metrics={}, modality=modality,
        recipe=Recipe.of_task(TASKS["classification"], model=name, train="-", validation="-"),
        probes=rows,
    )  # fmt: skip
    return trained, rows


def _random(spec: InputSpec, rng: np.random.Generator) -> np.ndarray:
    """16 rows of pixels, or of samples that are as loud as speech."""
    if spec.dtype == "uint8":
        return rng.integers(0, 256, (16, *spec.shape), dtype=np.uint8)
    return rng.normal(0, 0.1, (16, *spec.shape)).astype(spec.dtype)


def write_files(
    trained: Checkpoint, rows: Mapping[str, np.ndarray], precisions: Iterable[str], folder: Path
) -> dict[str, Path]:
    """Writes a file in each precision, calibrated on the rows, and returns their paths."""
    columns = {name: list(values) for name, values in rows.items()}
    calibration = Batches(
        columns, specs=trained.inputs, batch_tokens=4 * trained.modality.max_length
    )
    paths = {name: folder / f"{name}.tflite" for name in precisions}
    for name, path in paths.items():
        given = calibration if PRECISIONS[name].is_static else None
        path.write_bytes(bytes(convert(trained, name, calibration=given)))
    return paths


@click.command(help=__doc__)
@click.option("--model", default="bert_small", show_default=True)
@click.option("--length", default=128, show_default=True)
@click.option("--precision", "precisions", multiple=True, default=tuple(PRECISIONS))
@click.option("--runs", default=50, show_default=True)
def main(model: str, length: int, precisions: tuple[str, ...], runs: int) -> None:
    trained, rows = untrained(model, length)
    with tempfile.TemporaryDirectory() as folder:
        files = write_files(trained, rows, precisions, Path(folder))
        result = benchmark(list(files.values()), threads=1, runs=runs)
    title = f"{model}, length {trained.modality.max_length}, 1 thread, {result.device}"
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
