"""`keras-transformer convert`: a checkpoint as a `.tflite` file."""

import gzip
from pathlib import Path
from typing import Any

import click

from keras_transformer.cli import options
from keras_transformer.edge.precision import PRECISIONS
from keras_transformer.edge.runtime.names import BUNDLES


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
@click.option(
    "--bundle", type=click.Choice(BUNDLES), default="plain", show_default=True,
    help="Who loads the file: a host that calls it with ids; MediaPipe Tasks; a host that links "
    "TensorFlow Text, which calls it with strings; or a microcontroller, in C.",
)
@click.option(
    "--embedding", is_flag=True,
    help="Give the text's vector in place of probabilities, for MediaPipe's TextEmbedder.",
)
@click.option(
    "--score-calibration", type=options.EXISTING_FILE, metavar="FILE",
    help="For MediaPipe's TextClassifier: a line `scale,slope,offset` for each label.",
)
@click.option("--name", metavar="TEXT", help="Of the model.  [default: as --out is called]")
@click.option("--description", default="", metavar="TEXT", help="What the model does.")
@click.option(
    "--model-version", default="1", show_default=True, metavar="TEXT", help="Of the model."
)
@click.option(
    "--license", "licence", default="not stated", show_default=True, metavar="TEXT",
    help="Under which the model may be used.",
)
@options.out()
@options.overwrite()
def convert(
    checkpoint: Path, precision: str, calibration: Path | None, percentile: float,
    keep: tuple[str, ...], lengths: list[int] | None, bundle: str, embedding: bool,
    score_calibration: Path | None, name: str | None, description: str, model_version: str,
    licence: str, out: Path, overwrite: bool,
) -> None:  # fmt: skip
    """Write a CHECKPOINT as a .tflite file that holds the tokenizer and the labels too.

    The file is written only once its outputs follow the Keras model's, and MODEL_CARD.md beside
    it says what it is.

    Of a model that generates, the file holds `encode` or `prefill`, and `decode` for one token
    over caches.

    Example: keras-transformer convert my_model_int8 --precision int8 --out my_model.tflite
    """
    from keras_transformer.cli import display
    from keras_transformer.edge.convert import convert as edge_convert
    from keras_transformer.edge.publish.deliver import check_targets, deliver
    from keras_transformer.edge.quantize.ranges import calibration_batches
    from keras_transformer.edge.targets.registry import TARGETS
    from keras_transformer.edge.targets.target import About
    from keras_transformer.zoo.checkpoint import Checkpoint

    special = {"embedding": embedding or None, "score_calibration": score_calibration}
    special = {option: value for option, value in special.items() if value is not None}
    if special and bundle != "mediapipe":
        raise click.UsageError(
            f"Expected --{next(iter(special)).replace('_', '-')} only with --bundle mediapipe, "
            f"got --bundle {bundle}."
        )
    if score_calibration is not None:
        special["score_calibration"] = score_calibration.read_bytes()
    about = About(
        name=name or out.stem, description=description, version=model_version, license=licence
    )
    target = TARGETS[bundle](about, **special)
    check_targets(out, target, overwrite=overwrite)
    trained = Checkpoint.load(checkpoint)
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
        trained, precision, calibration=batches, percentile=percentile, keep=keep,
        lengths=lengths, target=target,
    )  # fmt: skip
    written = deliver(converted, trained, out, overwrite=overwrite)
    parity, arena = converted.parity, converted.description.get("arena_bytes")
    rows = [
        ("precision", precision),
        ("size", display.size(len(converted.data))),
        ("size, compressed by gzip", display.size(len(gzip.compress(converted.data)))),
        ("bundle", bundle),
        ("arena in TensorFlow Lite Micro", arena and f"{arena:,} bytes"),
        ("lengths", ", ".join(map(str, lengths or [trained.max_length]))),
        (
            "tokens compared with the Keras model" if trained.task.generates
            else "rows compared with the Keras model", str(parity.rows),
        ),
        ("same choice", None if parity.agreement is None else f"{parity.agreement:.1%}"),
        ("largest difference of outputs", f"{parity.largest:.2g}"),
        ("the same in output steps", f"{parity.steps:.1f}"),
    ]
    display.table(None, ("File", "Value"), rows)
    click.echo("\n" + "\n".join(f"Wrote {path}" for path in written))
