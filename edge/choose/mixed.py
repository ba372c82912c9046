"""Mixed precision: an int8 file that keeps the fewest groups of layers float for a budget."""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from keras_transformer.edge.choose.sensitivity import Sensitivity, sensitivity
from keras_transformer.edge.compare.benchmark import benchmark
from keras_transformer.edge.convert.convert import checked_lengths
from keras_transformer.edge.precision import MIXED, get_precision
from keras_transformer.edge.runtime.names import EMBEDDING
from keras_transformer.edge.runtime.runner import Runner
from keras_transformer.edge.targets.artifact import Artifact
from keras_transformer.edge.targets.convert import (
    check_host,
    convert,
    default_smooth,
    open_writer,
)
from keras_transformer.edge.targets.flatbuffer import TfliteFile
from keras_transformer.edge.targets.target import About
from keras_transformer.zoo.backends import needs_backend
from keras_transformer.zoo.checkpoint import Checkpoint
from keras_transformer.zoo.data.columns import columns_of
from keras_transformer.zoo.data.rows import Rows
from keras_transformer.zoo.data.sources import Source
from keras_transformer.zoo.errors import InputError, RunError
from keras_transformer.zoo.evaluation.metric import check_max_drop
from keras_transformer.zoo.pretrained.checkpoints import as_checkpoint
from keras_transformer.zoo.progress import Report, default_report

# Precision of the layers that do not stay float.
PRECISION = "int8"


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Mixed:
    """An int8 file within a budget, and the cost of what it keeps float.

    Attributes:
        artifact: the file; its `measured` has the figures below.
        found: sensitivity of the layers; `found.kept` are the groups that stay float.
        value, drop: metric of the file, and points below the float model. None for a file that
            `Runner` cannot evaluate, of which the simulation's are known, those of `found.kept`.
        latency_ratio: median latency divided by that of the int8 file that keeps nothing, measured
            in turns; None if nothing is kept, or one of the two files cannot be run.
        size_ratio: bytes divided by those of that file; None if nothing is kept, or it is refused.
        refused: the reason why the int8 file that keeps nothing is refused, or None.
    """

    artifact: Artifact
    found: Sensitivity
    value: float | None
    drop: float | None
    latency_ratio: float | None = None
    size_ratio: float | None = None
    refused: str | None = None

    def rows(self) -> dict[str, str]:
        """Returns what is known as text, by label."""
        kept, metric = self.found.kept, self.found.metric.name
        budget = f"of at most {kept.max_drop:g} on {Path(self.found.data).name}"
        lost = f"{kept.drop:.2f} {budget}, in the simulation"
        if self.drop is not None:
            lost = f"{self.drop:.2f} {budget}"
        rows = {
            "kept in float": ", ".join(group.name for group in kept.groups) or "nothing",
            f"points of {metric} lost": lost,
        }
        ratios = {"latency": self.latency_ratio, "size": self.size_ratio}
        known = [f"{value:.2f} times the {of}" for of, value in ratios.items() if value is not None]
        if known or self.refused:
            rows[f"against {PRECISION} with nothing kept"] = ", ".join(known) or "a refused file"
        return rows


@needs_backend("convert")
def mixed(
    checkpoint: Checkpoint | str | Path,
    data: Source | Rows,
    *,
    calibration: Source | Rows,
    max_drop: float = 0.5,
    columns: Mapping[str, str | None] | None = None,
    language: str | None = None,
    target: str = "plain",
    percentile: float = 0.0,
    range_method: str = "least-error",
    smooth: str | float | None = None,
    lengths: Sequence[int] | None = None,
    about: About | None = None,
    report: Report | None = None,
    **options: Any,
) -> Mixed:
    """Converts a float model to int8 with the fewest groups of layers in float for a budget.

    The groups are those that `sensitivity` finds in the simulation. The file itself is measured
    too, and its latency and size are compared with those of the int8 file that keeps nothing.

    Args:
        checkpoint: a float checkpoint, or its folder.
        data: labelled data that the metric is measured on, a path or in memory; it makes the
            choice, so it should not be a test set.
        calibration: data that the ranges are calibrated on, likewise; labels may be missing.
        max_drop: largest acceptable drop of the file below the float model, in points of the
            metric: hundredths of accuracy or correlation, BLEU, perplexity.
        columns: columns of `data` by role; those of training by default.
        language: target language of a multilingual translator to measure.
        target, percentile, range_method, smooth, lengths, about: see `convert`.
        report: receives progress callbacks for each group, and what was found.
        **options: options of the target.

    Raises:
        FileNotFoundError: if there is no such file.
        InputError: if an argument or the data is invalid, the target cannot run int8, or the
            checkpoint is quantized.
        RunError: if no choice meets the budget, the metric is not defined, the host lacks an op, or
            the result does not match the model.
    """
    report = report or default_report()
    check_max_drop(max_drop)
    writer = open_writer(target, about, **options)
    checkpoint = as_checkpoint(checkpoint)
    if checkpoint.is_quantized:
        raise InputError(
            "Expected a float checkpoint for mixed precision, got a quantized one; give the one "
            "that it was made from."
        )
    check_host(writer, checkpoint, get_precision(PRECISION), MIXED)
    if lengths is not None:
        checked_lengths(checkpoint, lengths)
    if smooth is None:
        smooth = default_smooth(checkpoint, get_precision(PRECISION))
    # Data in memory may be readable only once.
    task = checkpoint.task
    decoding = {"language": language} if language else {}
    if columns is None:
        columns = columns_of(checkpoint, language=language)
    examples = task.examples_of(data, columns)
    calibration = task.examples_of(
        calibration, checkpoint.columns, name="calibration", labelled=False
    )
    found = sensitivity(
        checkpoint, examples, columns=columns, precision=PRECISION, max_drop=max_drop,
        calibration=calibration, percentile=percentile, range_method=range_method, smooth=smooth,
        report=report, **decoding,
    )  # fmt: skip
    if not found.kept.is_met:
        raise RunError(found.verdict())
    report.note(found.verdict())
    make = partial(
        convert, checkpoint, PRECISION, target=target, calibration=calibration,
        percentile=percentile, range_method=range_method, smooth=smooth, lengths=lengths,
        about=about, report=report, **options,
    )  # fmt: skip
    made = Mixed(artifact=make(keep=found.kept.keep), found=found, value=None, drop=None)
    if _is_evaluable(made.artifact, checkpoint):
        measured = task.evaluate(Runner(made.artifact), examples, **decoding)
        made = _within(made, found.metric.value(measured))
    if found.kept.groups:
        made = _compared(made, make)
    if made.refused:
        report.note(f"There is no {PRECISION} file with nothing kept to compare: {made.refused}")
    artifact = made.artifact
    artifact = dataclasses.replace(artifact, measured={**artifact.measured, **made.rows()})
    return dataclasses.replace(made, artifact=artifact)


def _is_evaluable(artifact: Artifact, checkpoint: Checkpoint) -> bool:
    """Whether `Runner` opens the file and gets the outputs of the task from it."""
    if not isinstance(artifact, TfliteFile):
        return False
    return artifact.description["output"] != EMBEDDING or checkpoint.task.output == EMBEDDING


def _within(made: Mixed, value: float) -> Mixed:
    """The file with its metric.

    Raises:
        RunError: if it is beyond the budget, which the simulation met.
    """
    kept = made.found.kept
    drop = made.found.metric.drop(made.found.float_value, value)
    if drop > kept.max_drop:
        names = ", ".join(group.name for group in kept.groups) or "nothing"
        smaller = kept.max_drop - (drop - kept.drop)
        advice = f"try a budget of {smaller:.2f}" if smaller > 0 else "give a larger budget"
        raise RunError(
            f"The file with {names} in float loses {drop:.2f} points of at most "
            f"{kept.max_drop:g}, its simulation {kept.drop:.2f}; {advice}, or train the checkpoint "
            "on with keras-transformer quantize."
        )
    return dataclasses.replace(made, value=value, drop=drop)


def _compared(made: Mixed, make: Callable[..., Artifact]) -> Mixed:
    """The file with its cost against the one that keeps nothing."""
    try:
        nothing = make()
    except RunError as error:
        return dataclasses.replace(made, refused=str(error))
    made = dataclasses.replace(made, size_ratio=made.artifact.size / nothing.size)
    if not isinstance(nothing, TfliteFile):
        return made
    ratio = benchmark([nothing, made.artifact]).files[1].ratio
    return dataclasses.replace(made, latency_ratio=ratio)
