"""The parts of a recipe that compression adds: pruning, quantization and distillation."""

import dataclasses
import re

from keras_transformer.zoo.errors import InputError
from keras_transformer.zoo.recipe.options import Part, option

# Criteria of a calibrated range, of which the first is the default.
RANGE_METHODS = ("least-error", "min-max", "entropy")
# A decimal number from 0 to 1.
_SHARE = re.compile(r"0?\.[0-9]+|[01](\.0*)?|0\.[0-9]*")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Prune(Part):
    """Pruning.

    Attributes:
        sparsity: fraction of weights set to zero; 0 for none.
        pattern: pattern of the zeros: `element`, `block` or `2:4`.
        clusters: number of values to which each kernel and token table is clustered; 0 for no
            clustering.
    """

    sparsity: float = option(0.0, fraction=True)
    pattern: str = option("element", choices=("element", "block", "2:4"))
    clusters: int = 0


@dataclasses.dataclass(frozen=True, kw_only=True)
class Quantize(Part):
    """Quantization-aware training.

    Attributes:
        precision: target precision.
        keep: patterns of the layers that stay float or wide, separated by commas.
        percentile: percentage of the values, the middle ones, that a calibrated range covers; 100
            for the smallest to the largest value, 0 for the range of `range_method`.
        range_method: criterion of a calibrated range: `least-error`, `min-max` or `entropy`, see
            `ranges.calibrate`.
        smooth: smoothing of huge channels before rounding: `none`, `auto`, or a strength from 0 to
            1, see `smoothing.smoothed`.
        ranges: update of the ranges in training: `moving-average` or `learned`.
        freeze_ranges: fraction of the steps, at the end, in which the ranges are frozen.
    """

    precision: str = "int8"
    keep: str = ""
    percentile: float = 0.0
    range_method: str = option("least-error", choices=RANGE_METHODS)
    smooth: str = "none"
    ranges: str = option("moving-average", choices=("moving-average", "learned"))
    freeze_ranges: float = 0.0

    def __post_init__(self):
        super().__post_init__()
        check_range_method(self.range_method, self.percentile)
        check_smooth(self.smooth)
        if self.freeze_ranges > 1:
            raise InputError(
                f"Expected freeze_ranges to be from 0 to 1, got freeze_ranges={self.freeze_ranges}."
            )

    def moving_steps(self, total_steps: int) -> int:
        """Returns the number of steps in which ranges are updated; afterwards they are frozen."""
        return round((1 - self.freeze_ranges) * total_steps)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Distill(Part):
    """Distillation; the arguments of `edge.distill`.

    In a run of `quantize` the float model is the teacher, and there are only a share and a
    temperature.

    Attributes:
        share: weight of the teacher's outputs in the loss.
        temperature: divisor of the logits.
        hidden_weight, attention_weight: loss weights of the differences of hidden states and of
            attention.
        beams: beams with which the teacher generates the targets of a translation; 0 to use those
            of the data.
        init: whose weights the student began with: the `student`'s own, which are new for a model
            of the catalogue, or the `teacher`'s.
    """

    share: float = 0.5
    temperature: float = 2.0
    hidden_weight: float = 0.0
    attention_weight: float = 0.0
    beams: int = 0
    init: str = option("student", choices=("student", "teacher"))


def check_percentile(percentile: float) -> None:
    """Raises InputError if the percentile is neither 0 nor above 50 and at most 100."""
    if percentile != 0 and not 50 < percentile <= 100:
        raise InputError(
            f"Expected percentile to be above 50 and at most 100, got percentile={percentile}."
        )


def check_range_method(method: str, percentile: float) -> None:
    """Raises InputError if the method is unknown, the percentile impossible, or both are given."""
    check_percentile(percentile)
    if method not in RANGE_METHODS:
        raise InputError(
            f"Expected range_method to be one of {', '.join(RANGE_METHODS)}, got {method!r}."
        )
    if percentile and method != RANGE_METHODS[0]:
        raise InputError(
            f"Expected either percentile or range_method, got percentile={percentile:g}, "
            f"range_method={method}."
        )


def check_smooth(smooth: str) -> None:
    """Raises InputError if the smoothing is neither `auto`, `none` nor a number from 0 to 1."""
    if smooth not in ("auto", "none") and not _SHARE.fullmatch(smooth):
        raise InputError(
            f"Expected smooth to be auto, none or a number from 0 to 1, got smooth={smooth!r}."
        )
