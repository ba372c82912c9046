"""The precisions that a file can have, by name."""

import dataclasses

from keras_transformer.zoo.errors import InputError


@dataclasses.dataclass(frozen=True, kw_only=True)
class Precision:
    """What is stored how.

    Attributes:
        name: as on the command line.
        kernel_type: TFLite type of the matmul kernels in the file.
        kernel_bits: width to which kernels are rounded while activations are integers too.
        activation_bits: width of stored activations, or None where they are float.
        smallest_kernel: elements from which on a kernel is stored as `kernel_type`.
    """

    name: str
    kernel_type: str
    kernel_bits: int | None = None
    activation_bits: int | None = None
    smallest_kernel: int = 1

    @property
    def is_static(self) -> bool:
        """Whether activations have fixed ranges, from calibration or training."""
        return self.activation_bits is not None

    @property
    def bits(self) -> dict[str, int | None]:
        """The scalars that `models.build` takes."""
        return {"kernel_bits": self.kernel_bits, "activation_bits": self.activation_bits}


PRECISIONS = {
    precision.name: precision
    for precision in (
        Precision(name="float32", kernel_type="FLOAT32"),
        Precision(name="float16", kernel_type="FLOAT16"),
        # The converter leaves smaller kernels float, such as the head of a task with two labels.
        Precision(name="dynamic_int8", kernel_type="INT8", smallest_kernel=1024),
        Precision(name="int8", kernel_type="INT8", kernel_bits=8, activation_bits=8),
    )
}


def get_precision(name: str) -> Precision:
    """Returns the precision of that name.

    Raises:
        InputError: for an unknown name, listing the known ones.
    """
    if name not in PRECISIONS:
        raise InputError(f"Expected precision to be one of {', '.join(PRECISIONS)}, got {name!r}.")
    return PRECISIONS[name]
