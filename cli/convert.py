"""`keras-transformer convert`: a checkpoint to a `.tflite` file, or for another runtime."""

import contextlib
import gzip
import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import click

from keras_transformer.cli import kinds, options
from keras_transformer.edge.arm64.cores import CORES
from keras_transformer.edge.precision import AUTO, MIXED, PRECISIONS, get_precision
from keras_transformer.edge.targets.registry import TARGETS
from keras_transformer.edge.targets.target import About, Option
from keras_transformer.zoo.numerals import read_integer

# Bytes that a processor compresses at a time.
_PART = 8 << 20


class ConvertCommand(click.Command):
    """A command with `--target` and the options of every target in the table."""

    def get_params(self, ctx: click.Context) -> list[click.Parameter]:
        return [*ctx.meta.setdefault(__name__, _target_options()), *super().get_params(ctx)]


def _target_options() -> list[click.Option]:
    groups = {target.group: target.help for target in TARGETS.values()}
    hosts = "; ".join(f"{group}: {told}" for group, told in groups.items())
    owners: dict[Option, list[str]] = {}
    for target in TARGETS.values():
        for option in target.options:
            if target.group not in owners.setdefault(option, []):
                owners[option].append(target.group)
    return [
        click.Option(
            ["--target"], type=click.Choice(tuple(TARGETS)), default="plain", show_default=True,
            help=f"Host that loads the result. {hosts}.",
        ),
        *(_target_option(option, names) for option, names in owners.items()),
    ]  # fmt: skip


def _target_option(option: Option, targets: list[str]) -> click.Option:
    flag = f"--{option.name.replace('_', '-')}"
    help_text = f"{option.help}  [only with --target {' or '.join(targets)}]"
    if option.type is bool:
        return click.Option([flag], is_flag=True, help=help_text)
    kind = kinds.EXISTING_FILE if option.type is bytes else kinds.of_kind(option.type)
    metavar = "FILE" if option.type is bytes else None
    return click.Option([flag], type=kind, metavar=metavar, help=help_text)


def lengths_of(_context: Any, _parameter: Any, value: str | None) -> list[int] | None:
    """Parses `16,32,64`."""
    if value is None:
        return None
    lengths = [read_integer(part) or 0 for part in value.split(",")]
    if min(lengths) < 1:
        raise click.BadParameter(f"Expected positive numbers with commas between, got {value!r}.")
    return lengths


def _check_precision(
    precision: str | None, calibration: Path | None, keep: tuple[str, ...], rounding: str,
    rotate: bool, arm64: str | None, of_mixed: dict[str, Any],
) -> None:  # fmt: skip
    got = "no --precision" if precision is None else f"--precision {precision}"
    if arm64 is not None and precision != AUTO:
        raise click.UsageError(f"Expected --arm64 only with --precision int8:auto, got {got}.")
    if precision != MIXED:
        for name in of_mixed:
            flag = f"--{name.replace('_', '-')}"
            raise click.UsageError(f"Expected {flag} only with --precision mixed, got {got}.")
        if precision == AUTO and calibration is None:
            raise click.UsageError(
                "Expected --calibration FILE with --precision int8:auto, got none."
            )
        return
    for flag, value in (("--data", of_mixed.get("data")), ("--calibration", calibration)):
        if value is None:
            raise click.UsageError(f"Expected {flag} FILE with --precision mixed, got none.")
    if rounding != "nearest":
        raise click.UsageError(
            "Expected no --rounding with --precision mixed, whose simulation rounds to the nearest "
            f"values, got {rounding}."
        )
    if rotate:
        raise click.UsageError(
            "Expected no --rotate with --precision mixed, whose activations are integers."
        )
    if keep:
        raise click.UsageError(
            "Expected no --keep with --precision mixed, which finds the layers to keep, got "
            f"{', '.join(keep)}."
        )


@click.command(cls=ConvertCommand)
@click.argument("checkpoint", type=click.Path(path_type=Path))
@click.option(
    "--precision", type=click.Choice((*PRECISIONS, AUTO, MIXED)),
    help="Precision of the result; int8:auto is the form of int8 that is fastest on this machine, "
    "which is measured; mixed is int8 with the fewest layers in float that keep the loss within "
    "--max-drop.  [default: float32, or that of a quantized checkpoint]",
)
@options.data(
    help="Labelled rows, pairs or text, with the checkpoint's columns, on which the loss is "
    "measured. They make the choice, so do not use a test split.  [only with --precision mixed]"
)
@click.option(
    "--max-drop", type=kinds.NUMBER, metavar="POINTS",
    help="Largest acceptable loss against the float model: hundredths of accuracy or correlation, "
    "BLEU, perplexity.  [default: 0.5; only with --precision mixed]",
)
@options.language(
    help="Target language of a translator with several to measure: the name of its column.  "
    "[only with --precision mixed]"
)
@click.option(
    "--calibration", type=kinds.EXISTING_DATA, metavar="FILE",
    help="Data to calibrate the ranges on, with the checkpoint's columns, when a float checkpoint "
    "becomes an integer file.",
)
@click.option(
    "--arm64", type=click.Choice(tuple(CORES)),
    help="Choose by the instructions of one run on this core, emulated on Linux by QEMU, not by "
    "the latency here, see benchmark --arm64.  [only with --precision int8:auto]",
)
@options.head(help="Name of the one task of a model of several that is converted.")
@options.keep()
@options.percentile()
@options.range_method(default="least-error")
@options.smooth(
    show_default="with --calibration auto for dynamic_int8, kernels of int4 and pre-norm models, "
    "else none"
)
@options.rounding()
@options.rotate()
@options.prune_vocabulary(
    help="Text file: pieces of the vocabulary that its lines do not need leave the model, whose "
    "outputs for them stay the same; other texts are read in smaller pieces."
)
@click.option(
    "--lengths", metavar="N,N,...", callback=lengths_of,
    help="Input lengths in tokens, such as 16,32,64: the shortest that fits a text is run.  "
    "[default: the checkpoint's length alone]",
)
@click.option(
    "--max-seconds", type=kinds.NUMBER, metavar="SECONDS",
    help="Window of a model of speech: the work is in proportion to it, whatever is said; longer "
    "sounds are several windows.  [default: the checkpoint's]",
)
@click.option(
    "--name", type=kinds.TEXT, metavar="TEXT",
    help="Name of the model.  [default: the name of --out]",
)
@click.option(
    "--description", type=kinds.TEXT, default="", metavar="TEXT",
    help="Description of the model.",
)
@click.option(
    "--model-version", type=kinds.TEXT, default="1", show_default=True, metavar="TEXT",
    help="Version of the model.",
)
@click.option(
    "--license", "licence", type=kinds.TEXT, default="not stated", show_default=True,
    metavar="TEXT", help="License of the model.",
)
@options.out()
@options.overwrite()
def convert(
    checkpoint: Path, precision: str | None, calibration: Path | None, percentile: float,
    range_method: str, smooth: str | None, rounding: str, rotate: bool, keep: tuple[str, ...],
    lengths: list[int] | None, target: str, name: str | None, description: str,
    model_version: str, licence: str, out: Path, overwrite: bool,
    prune_vocabulary: Path | None, data: Path | None, max_drop: float | None,
    language: str | None, head: str | None, max_seconds: float | None, arm64: str | None,
    **of_targets: Any,
) -> None:  # fmt: skip
    """Convert a CHECKPOINT for a target, by default to a .tflite file with tokenizer and labels.

    A published model, such as hf:OWNER/NAME or a folder that transformers wrote, is converted as it
    is: an encoder embeds texts.

    The result is written only if its outputs match the Keras model's, in the interpreter or runtime
    of the target. MODEL_CARD.md beside it describes the model and how to load it.

    For a generative model it has the signatures `encode` or `prefill`, and `decode` for one token
    with caches.

    Example: keras-transformer convert my_model_int8 --out my_model.tflite

    A published model for texts of one kind: keras-transformer convert hf:OWNER/NAME --precision
    dynamic_int8 --prune-vocabulary texts.txt --out my_model.tflite

    With layers in float for accuracy: keras-transformer convert my_model --precision mixed
    --max-drop 0.5 --data validation.tsv --calibration train.tsv --out my_model.tflite

    In the form that is fastest here: keras-transformer convert my_model --precision int8:auto
    --calibration train.tsv --out my_model.tflite

    In the form of the fewest instructions on a phone's core: keras-transformer convert my_model
    --precision int8:auto --arm64 cortex-a76 --calibration train.tsv --out my_model.tflite

    For ONNX Runtime: keras-transformer convert my_model --target onnx --out my_model_onnx
    """
    from keras_transformer.cli import display
    from keras_transformer.edge.convert.window import with_window
    from keras_transformer.edge.targets import convert as edge_convert
    from keras_transformer.zoo.backends import check_backend
    from keras_transformer.zoo.pretrained.checkpoints import as_checkpoint
    from keras_transformer.zoo.prune_vocabulary import pruning_note
    from keras_transformer.zoo.storage.locks import only_run

    check_backend("convert")
    of_mixed = {"data": data, "max_drop": max_drop, "language": language}
    of_mixed = {name: value for name, value in of_mixed.items() if value is not None}
    _check_precision(precision, calibration, keep, rounding, rotate, arm64, of_mixed)
    about = About(
        name=name or out.stem, description=description, version=model_version, license=licence
    )
    given = {
        key: value.read_bytes() if isinstance(value, Path) else value
        # `--arena-limit 0` is given: 0 equals False, but is not it.
        for key, value in of_targets.items() if value is not None and value is not False
    }  # fmt: skip
    edge_convert.open_writer(target, about, **given).check_out(out, overwrite=overwrite)
    # Of several that replace one path the last one's stays; without --overwrite only one may end.
    with contextlib.nullcontext() if overwrite else only_run(out):
        trained = as_checkpoint(checkpoint, prune_vocabulary=prune_vocabulary)
        if prune_vocabulary is not None:
            display.note(pruning_note(trained.recipe))
        trained = options.headed(trained, head)
        if max_seconds is not None:
            trained = with_window(trained, max_seconds)
        common = {
            "target": target, "calibration": calibration, "percentile": percentile,
            "range_method": range_method, "smooth": smooth, "lengths": lengths, "about": about,
            "report": display.Progress(), **given,
        }  # fmt: skip
        if precision == MIXED:
            from keras_transformer.edge.choose.mixed import mixed

            artifact = mixed(trained, **of_mixed, **common).artifact
        elif precision == AUTO:
            from keras_transformer.edge.choose.fastest import fastest

            artifact = fastest(
                trained, keep=keep, rounding=rounding, rotate=rotate, arm64=arm64, **common
            ).artifact
        else:
            artifact = edge_convert.convert(
                trained, precision, keep=keep, rounding=rounding, rotate=rotate, **common
            )
        written = artifact.save(out, overwrite=overwrite)
    parity, made = artifact.parity, artifact.description.get("lengths", ())
    compressed = sum(map(_compressed_size, artifact.files.values()))
    departures = parity.departures(get_precision(artifact.precision))
    unit = "tokens" if trained.task.generates else "rows"
    rows = [
        ("precision", artifact.precision),
        ("size", display.size(artifact.size)),
        ("size, compressed by gzip", display.size(compressed)),
        ("target", target),
        ("lengths", ", ".join(map(str, made)) or "any"),
        (f"{unit} compared with the checkpoint", str(parity.rows)),
        *(
            [("same choice", None if parity.agreement is None else f"{parity.agreement:.1%}")]
            if parity.cosine is None else [("smallest cosine", f"{parity.cosine:.4f}")]
        ),
        *([(f"{unit} that depart", departures)] if departures else []),
        ("largest difference of outputs", f"{parity.largest:.2g}"),
        ("the same in output steps", f"{parity.steps:.1f}"),
        *artifact.measured.items(),
    ]
    display.table(None, ("File", "Value"), rows)
    display.say("\n" + "\n".join(f"Wrote {path}" for path in written))


def _compressed_size(data: bytes) -> int:
    """Bytes in gzip's format, of which a large file has a member for each part."""
    parts = (memoryview(data)[first : first + _PART] for first in range(0, len(data) or 1, _PART))
    with ThreadPoolExecutor(os.cpu_count()) as threads:
        return sum(map(len, threads.map(gzip.compress, parts)))
