"""`keras-transformer convert`: a checkpoint as a `.tflite` file."""

import gzip
from pathlib import Path
from typing import Any

import click

from keras_transformer.cli import options
from keras_transformer.edge.precision import PRECISIONS


def lengths_of(_context: Any, _parameter: Any, value: str | None) -> list[int] | None:
    """Reads `16,32,64`."""
    if value is None:
        return None
    lengths = [int(part) if part.strip().isdecimal() else 0 for part in value.split(",")]
    if min(lengths) < 1:
        raise click.BadParameter(f"Expected positive numbers with commas between, got {value!r}.")
    return lengths


@click.command()
@click.argument("checkpoint", type=click.Path(path_type=Path))
@click.option(
    "--precision", type=click.Choice(tuple(PRECISIONS)), required=True,
    help="What the file stores.",
)
@click.option(
    "--calibration", type=options.EXISTING_FILE, metavar="FILE",
    help="Texts that set the ranges when a float checkpoint becomes one of integers, in its own "
    "columns.",
)
@options.keep()
@options.percentile()
@click.option(
    "--lengths", metavar="N,N,...", callback=lengths_of,
    help="Tokens of the file's inputs, such as 16,32,64: the shortest that fits a text is run.  "
    "[default: the checkpoint's length alone]",
)
@options.out()
@options.overwrite()
def convert(
    checkpoint: Path, precision: str, calibration: Path | None, percentile: float,
    keep: tuple[str, ...], lengths: list[int] | None, out: Path, overwrite: bool,
) -> None:  # fmt: skip
    """Write a CHECKPOINT as a .tflite file that holds the tokenizer and the labels too.

    The file is written only once its outputs follow the Keras model's.

    Of a model that generates, the file holds `encode` or `prefill`, and `decode` for one token
    over caches.

    Example: keras-transformer convert my_model_int8 --precision int8 --out my_model.tflite
    """
    from keras_transformer.cli import display
    from keras_transformer.edge import convert as edge_convert
    from keras_transformer.edge.ranges import calibration_batches
    from keras_transformer.zoo.checkpoint import check_file_target, write_file
    from keras_transformer.zoo.trained import Trained

    check_file_target(out, overwrite=overwrite)
    trained = Trained.load(checkpoint)
    is_static = PRECISIONS[precision].is_static
    if calibration is not None and (not is_static or trained.is_quantized):
        raise click.UsageError(
            "Expected --calibration only where a float checkpoint becomes one of integers, "
            f"got --precision {precision} for a "
            f"{'quantized' if trained.is_quantized else 'float'} checkpoint."
        )
    if calibration is None and percentile != 100:
        raise click.UsageError(
            f"Expected --percentile only with --calibration, got --percentile {percentile:g}."
        )
    batches = None if calibration is None else calibration_batches(trained, calibration)
    converted = edge_convert.convert(
        trained, precision, calibration=batches, percentile=percentile, keep=keep, lengths=lengths
    )
    write_file(out, converted.data, overwrite=overwrite)
    parity = converted.parity
    rows = [
        ("precision", precision),
        ("size", display.size(len(converted.data))),
        ("size, compressed by gzip", display.size(len(gzip.compress(converted.data)))),
        ("lengths", ", ".join(map(str, lengths or [trained.max_length]))),
        (
            "tokens compared with the Keras model" if trained.task_spec.generates
            else "rows compared with the Keras model", str(parity.rows),
        ),
        ("same choice", None if parity.agreement is None else f"{parity.agreement:.1%}"),
        ("largest difference of outputs", f"{parity.largest:.2g}"),
        ("the same in output steps", None if parity.steps is None else f"{parity.steps:.1f}"),
    ]
    display.table(None, ("File", "Value"), rows)
    click.echo(f"\nWrote {out}")
