"""Precisions of a file, by name: the widths of its kernels and activations."""

import dataclasses
from collections.abc import Sequence
from typing import Any

from keras_transformer.zoo.errors import InputError


@dataclasses.dataclass(frozen=True, kw_only=True)
class Precision:
    """The widths in which a file stores kernels and activations.

    Attributes:
        name: name on the command line.
        kernel_type: TFLite type of the matmul kernels in the file.
        kernel_bits: width to which kernels are rounded.
        kernel_block: number of kernel inputs that share a scale; None for all those of an output.
        row_bits: width to which a runtime rounds the inputs of matmuls, row by row, or None; with
            `activation_bits`, of those that `keras_transformer.bits` names.
        activation_bits: width of stored activations, or None where they are float.
        inner_bits: width of the values between matmuls, or None where they are float.
        caution: a sentence that whoever ships such a file has to know, or empty.
    """

    name: str
    kernel_type: str
    kernel_bits: int | None = None
    kernel_block: int | None = None
    row_bits: int | None = None
    activation_bits: int | None = None
    inner_bits: int | None = None
    caution: str = ""

    @property
    def is_static(self) -> bool:
        """Whether activations have fixed ranges, from calibration or training."""
        return self.activation_bits is not None

    @property
    def rounds_kernels(self) -> bool:
        """Whether kernels are integers, for which training can prepare."""
        return self.kernel_bits is not None

    @property
    def bits(self) -> dict[str, Any]:
        """The widths that `models.build` takes, those that are not None."""
        names = ("kernel_bits", "kernel_block", "row_bits", "activation_bits", "inner_bits")
        values = {name: getattr(self, name) for name in names}
        return {name: value for name, value in values.items() if value is not None}


# Counted under emulation from Cortex-A53 to A715 for a classifier of 2 blocks of width 128.
_SLOW_ON_ARM = (
    "int16x8 is slow on ARM phones, where LiteRT has no fast kernel for it: such a file takes 26 "
    "to 43 times the instructions of a float32 one there; int8 is for phones."
)
PRECISIONS = {
    precision.name: precision
    for precision in (
        Precision(name="float32", kernel_type="FLOAT32"),
        Precision(name="float16", kernel_type="FLOAT16"),
        Precision(name="dynamic_int8", kernel_type="INT8", kernel_bits=8, row_bits=8),
        Precision(name="int8", kernel_type="INT8", kernel_bits=8, row_bits=8, activation_bits=8),
        Precision(name="static_int8", kernel_type="INT8", kernel_bits=8, activation_bits=8),
        Precision(
            name="integer", kernel_type="INT8", kernel_bits=8, activation_bits=8, inner_bits=8
        ),
        Precision(
            name="int16x8", kernel_type="INT8", kernel_bits=8, activation_bits=16,
            caution=_SLOW_ON_ARM,
        ),  # fmt: skip
        Precision(name="int4", kernel_type="INT4", kernel_bits=4, kernel_block=32, row_bits=8),
        Precision(name="channel_int4", kernel_type="INT4", kernel_bits=4, row_bits=8),
    )
}
# Not precisions of layers: int8 with the layers in float that a budget needs, and int8 in the form
# that is fastest here.
MIXED, AUTO = "mixed", "int8:auto"
# How kernels are rounded, see `edge.quantize.learned_rounding`.
ROUNDINGS = ("nearest", "learned")
# The precisions that quantization-aware training supports.
TRAINED_PRECISIONS = tuple(name for name, p in PRECISIONS.items() if p.rounds_kernels)


def get_precision(name: str) -> Precision:
    """Returns the precision of that name.

    Raises:
        InputError: if the name is unknown; the message lists the known ones.
    """
    if name not in PRECISIONS:
        raise InputError(f"Expected precision to be one of {', '.join(PRECISIONS)}, got {name!r}.")
    return PRECISIONS[name]


def precision_of(bits: dict[str, Any]) -> Precision:
    """Returns the precision of a checkpoint by the widths that its model is built with.

    Raises:
        InputError: if no precision has these widths.
    """
    for precision in PRECISIONS.values():
        if precision.bits == bits:
            return precision
    raise InputError(
        f"Expected the widths of one of {', '.join(PRECISIONS)}, got bits={dict(bits)}."
    )


def kept_patterns(precision: Precision, keep: Sequence[str]) -> tuple[str, ...]:
    """Returns the patterns of layers that stay float or wide, as `models.build` takes them.

    Args:
        precision: precision of the other layers.
        keep: patterns of layer paths, each followed by `=float32`, or by `=int8` for kernels where
            those of the precision are narrower.

    Raises:
        InputError: if a pattern names another width, or the precision rounds no layer.
    """
    if keep and not precision.rounds_kernels:
        raise InputError(
            "Expected a precision that rounds kernels where layers are to be kept, got "
            f"precision={precision.name}."
        )
    widths = ("float32", "int8") if precision.kernel_type == "INT4" else ("float32",)
    patterns = []
    for one in keep:
        pattern, _, width = one.rpartition("=")
        if width not in widths or not pattern:
            forms = " or ".join(f"PATTERN={one}" for one in widths)
            hint = " (int8 is for kernels of int4)" if width == "int8" else ""
            raise InputError(
                f"Expected what is kept as {forms}, such as encoder/block_0/*=float32, "
                f"got {one!r}{hint}."
            )
        patterns.append(pattern if width == "float32" else one)
    return tuple(sorted(set(patterns)))
