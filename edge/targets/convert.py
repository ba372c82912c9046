"""`convert`: from a checkpoint to an artifact for a target."""

import contextlib
import copy
import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from keras_transformer.edge.convert.convert import Request
from keras_transformer.edge.convert.window import with_window
from keras_transformer.edge.precision import Precision, get_precision, precision_of
from keras_transformer.edge.quantize.learned_rounding import check_rounding
from keras_transformer.edge.quantize.ranges import calibration_batches, check_ranges
from keras_transformer.edge.quantize.rotation import rotated
from keras_transformer.edge.quantize.smoothing import check_smooth
from keras_transformer.edge.targets.artifact import Artifact
from keras_transformer.edge.targets.registry import check_options, get_target
from keras_transformer.edge.targets.target import About
from keras_transformer.edge.targets.writer import Writer
from keras_transformer.reading import whole_outputs
from keras_transformer.zoo.backends import needs_backend
from keras_transformer.zoo.checkpoint import Checkpoint
from keras_transformer.zoo.data.batches import Batches, SampledBatches
from keras_transformer.zoo.data.rows import Rows
from keras_transformer.zoo.data.sources import Source
from keras_transformer.zoo.errors import InputError
from keras_transformer.zoo.models.pooling import read_pooled
from keras_transformer.zoo.pretrained.checkpoints import as_checkpoint
from keras_transformer.zoo.progress import Report, default_report
from keras_transformer.zoo.prune_vocabulary import Texts, prune_checkpoint, pruning_note

# Target whose files have several heads.
_OF_HEADS = "plain"
# Rows of the calibration data on which a published model's file is compared.
_COMPARED_ROWS = 64


@needs_backend("convert")
def convert(
    checkpoint: Checkpoint | str | Path,
    precision: str | None = None,
    *,
    target: str = "plain",
    calibration: Batches | Source | Rows | None = None,
    percentile: float = 0.0,
    range_method: str = "least-error",
    smooth: str | float | None = None,
    rounding: str = "nearest",
    rotate: bool = False,
    keep: Sequence[str] = (),
    lengths: Sequence[int] | None = None,
    prune_vocabulary: Texts | None = None,
    max_seconds: float | None = None,
    about: About | None = None,
    report: Report | None = None,
    **options: Any,
) -> Artifact:
    """Converts a checkpoint for a target, and verifies that the result is the same model.

    Args:
        checkpoint: a float checkpoint, or a quantized one of this precision; or its folder.
        precision: name of the precision, see `edge.precision`; by default that of a quantized
            checkpoint, or float32.
        target: name of the target, see `registry.TARGETS`.
        calibration: data that ranges are calibrated on when a float checkpoint becomes an integer
            file, and that smoothing and rounding are measured on: batches, a file with the
            checkpoint's columns, or data in memory as for `train`; labels may be missing.
        percentile, range_method: percentile or method of the ranges, see `ranges.calibrate`.
        smooth: `auto`, `none` or a strength from 0 to 1, see `smoothing.smoothed`; with
            calibration data see `default_smooth`.
        rounding: rounding of the kernels, `nearest` or `learned`, see
            `learned_rounding.learn_rounding`.
        rotate: whether the residual stream of a float checkpoint is rotated before it is rounded,
            see `rotation.rotated`.
        keep: layers of a float checkpoint that stay float, such as `encoder/block_0/*=float32`, or
            kernels that stay in int8 where others are int4, such as `*/down=int8`.
        lengths: input lengths in tokens, one signature each; the longest is that of the caches of a
            generative model. The checkpoint's own length by default.
        prune_vocabulary: texts whose pieces alone the vocabulary keeps: a file, one text a line, or
            a list of texts, see `prune_checkpoint`.
        max_seconds: window of a model of speech in seconds, see `with_window`; its own by default.
        about: name, description, version and license of the model.
        report: told what was pruned or smoothed; by default see `progress.default_report`.
        **options: options of the target.

    Raises:
        InputError: if the target, precision or an option is unknown or does not fit the checkpoint
            or the target, calibration data is missing, or a package is not installed.
        RunError: if the host lacks an op, or the result does not match the model.
    """
    writer, report = open_writer(target, about, **options), report or default_report()
    checkpoint = as_checkpoint(checkpoint)
    if prune_vocabulary is not None:
        checkpoint = prune_checkpoint(checkpoint, prune_vocabulary)
        report.note(pruning_note(checkpoint.recipe))
    if max_seconds is not None:
        checkpoint = with_window(checkpoint, max_seconds)
    if precision is None:
        precision = precision_of(checkpoint.bits).name if checkpoint.is_quantized else "float32"
    spec = get_precision(precision)
    if rotate:
        checkpoint = _rotated(checkpoint, spec, report)
    check_host(writer, checkpoint, spec)
    if spec.caution:
        report.note(spec.caution)
    if smooth is None:
        smooth = "none" if calibration is None else default_smooth(checkpoint, spec)
    smooth = str(smooth)
    check_smooth(smooth)
    check_rounding(rounding)
    check_ranges(range_method, percentile, spec.activation_bits)
    ranges = f"percentile={percentile:g}" if percentile else ""
    if range_method != "least-error":
        ranges = f"range_method={range_method}"
    _check_calibration(checkpoint, spec, calibration, ranges, smooth, rounding)
    if calibration is not None and not isinstance(calibration, Batches | SampledBatches):
        calibration = calibration_batches(checkpoint, calibration)
    is_as_published = not (checkpoint.metrics or checkpoint.task.generates)
    if calibration is not None and is_as_published:
        checkpoint = _compared_on(checkpoint, calibration)
    if is_as_published and lengths is None and target == "plain":
        # Its length is the longest that it was trained on, whatever the texts are.
        report.note(
            f"Every text is computed at {checkpoint.modality.max_length} tokens; with more lengths "
            "(--lengths 16,64,256) the shortest that fits a text is."
        )
    request = Request(
        checkpoint=checkpoint, precision=spec, calibration=calibration, percentile=percentile,
        range_method=range_method, smooth=smooth, rounding=rounding, keep=tuple(keep),
        lengths=None if lengths is None else tuple(lengths), note=report.note,
    )  # fmt: skip
    with whole_outputs() if _reads_apart(checkpoint) else contextlib.nullcontext():
        return writer.write(request)


def _reads_apart(checkpoint: Checkpoint) -> bool:
    """Whether a head on an encoder of several reads one vector, and another one all positions.

    Each head is compared as a model of its own, which would compute less than the file does.
    """
    if not checkpoint.head_names or checkpoint.matches_kinds:
        return False
    return len(read_pooled(checkpoint.task.head())) > 1


def _rotated(checkpoint: Checkpoint, spec: Precision, report: Report) -> Checkpoint:
    if not spec.rounds_kernels:
        raise InputError(
            f"Expected rotate only for a precision that rounds kernels, got rotate for {spec.name}."
        )
    turned, config = rotated(checkpoint), checkpoint.config
    own = ""
    if config.tied_head:
        own = f"; the logits have a kernel of their own, {config.vocab_size:,} columns more"
    report.note(f"Rotated the residual stream of {config.hidden_dim} channels{own}.")
    return turned


def default_smooth(checkpoint: Checkpoint, spec: Precision) -> str:
    """Returns the smoothing of a model that is calibrated for a precision.

    Without ranges it is all that calibration is for. With ranges it lowered the perplexity of
    SmolLM2, a pre-norm model, whose tensors lie behind norms, and MiniLM's correlation on STS-B.
    """
    return "auto" if checkpoint.config.pre_norm or not spec.is_static else "none"


def _compared_on(checkpoint: Checkpoint, batches: Batches | SampledBatches) -> Checkpoint:
    """The checkpoint with rows of batches as further probes.

    A published model's own are texts of all kinds, see `probes.PROBE_TEXTS`: what the file
    will read is known from the calibration rows alone.
    """
    rows: dict[str, list[np.ndarray]] = {
        spec.name: list(checkpoint.probes[spec.name]) for spec in checkpoint.inputs
    }
    most = len(next(iter(rows.values()))) + _COMPARED_ROWS
    for batch in batches.epoch(0):
        for name, values in rows.items():
            values.extend(batch.inputs[name])
        if len(values) >= most:
            break
    probes = {spec.name: spec.pad(rows[spec.name][:most]) for spec in checkpoint.inputs}
    return dataclasses.replace(checkpoint, probes=probes)


def open_writer(target: str, about: About | None = None, **options: Any) -> Writer:
    """Returns the writer of a target.

    Raises:
        InputError: if the target or an option is unknown, or a package is not installed.
    """
    entry = get_target(target)
    check_options(entry, options)
    return entry.open(about, **options)


def check_host(
    writer: Writer, checkpoint: Checkpoint, spec: Precision, asked: str = ""
) -> None:  # fmt: skip
    """Checks that a target's host can load the checkpoint and run the precision.

    Args:
        writer: writer of the target.
        checkpoint: the checkpoint.
        spec: the precision.
        asked: what was asked for, if that is no precision of `edge.precision`.

    Raises:
        InputError: if it cannot.
    """
    if checkpoint.head_names and writer.name != _OF_HEADS:
        raise InputError(_without_heads(writer, checkpoint))
    reason = writer.loads(checkpoint)
    if reason is not None:
        raise InputError(reason)
    if spec.name not in writer.target.precisions:
        raise InputError(
            f"Expected a precision that the target {writer.name} can run, which are "
            f"{', '.join(writer.target.precisions)}; got precision={asked or spec.name}."
        )
    reason = writer.refuses(spec)
    if reason is not None:
        raise InputError(reason)


def _without_heads(writer: Writer, checkpoint: Checkpoint) -> str:
    """Says which heads of a model a target's host loads, one at a time."""
    # What a head is decides what a writer gives, so that each has a writer of its own.
    reasons = {
        name: copy.copy(writer).loads(checkpoint.head(name)) for name in checkpoint.head_names
    }
    loaded = [f"--head {name}" for name, reason in reasons.items() if reason is None]
    advice = f"convert one of them, with {' or '.join(loaded)} (load(...).head() in Python)."
    if not loaded:
        name, reason = next(iter(reasons.items()))
        advice = f"it takes none of them alone: of --head {name}: {reason}"
    what = "a model of several tasks"
    if checkpoint.matches_kinds:
        what = f"a model with an encoder for each of {' and '.join(reasons)}"
    return f"Expected the target {_OF_HEADS} for {what}, got target={writer.name}; {advice}"


def _check_calibration(
    checkpoint: Checkpoint, spec: Precision, calibration: Any, ranges: str, smooth: str,
    rounding: str,
) -> None:  # fmt: skip
    if calibration is not None and (not spec.rounds_kernels or checkpoint.is_quantized):
        kind = "quantized" if checkpoint.is_quantized else "float"
        raise InputError(
            "Expected calibration data only where a float checkpoint becomes one of integers, got "
            f"precision={spec.name} for a {kind} checkpoint."
        )
    if calibration is None and smooth != "none":
        raise InputError(f"Expected smooth only with calibration data, got smooth={smooth}.")
    if calibration is None and rounding != "nearest":
        raise InputError(f"Expected rounding only with calibration data, got rounding={rounding}.")
    name = ranges.partition("=")[0]
    if ranges and calibration is None:
        raise InputError(f"Expected {name} only with calibration data, got {ranges}.")
    if ranges and not spec.is_static:
        raise InputError(
            f"Expected {name} only for a precision with ranges, got {ranges} for {spec.name}."
        )
    is_unused = smooth == "none" and rounding == "nearest" and not spec.is_static
    if calibration is not None and is_unused:
        raise InputError(
            f"Expected calibration data for {spec.name}, which has no ranges, only to smooth it or "
            "to learn its rounding, got smooth=none and rounding=nearest; leave the data out."
        )
