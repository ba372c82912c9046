"""Bit widths of the tensors that an integer device stores: the mapping `bits` of all layers.

A name that is missing or None means float:
- `kernel_bits`: width of the stored kernels.
- `kernel_block`: number of consecutive inputs of a kernel that share a scale; by default all.
- `activation_bits`: width of the inputs and outputs of matmuls.
- `row_bits`: width of dynamic quantization: a device that computes in float rounds the input of a
  matmul at run time, each row between its own bounds. With `activation_bits` it does so only where
  published models have channels so large that stored steps would be coarse (Bondarenko et al. 2021,
  arXiv:2109.12948; Sun et al. 2024, arXiv:2402.17762): where its inputs are added to a residual
  connection, too, as a post-norm's outputs are, and where its outputs are, in attention with
  rotated or normalized queries, in gated feed-forward layers, and at the logits of a vocabulary.
  The outputs of all but the first are float. It does so, too, where the inputs or the outputs of a
  matmul are kept float.
- `inner_bits`: width of the tensors between matmuls, inside norms, activations and softmax, which
  only a device that computes in integers throughout stores.
"""

BITS = ("kernel_bits", "kernel_block", "row_bits", "activation_bits", "inner_bits")


def all_bits(bits=None):
    """Returns a plain dict of all widths, None where the mapping has none.

    Raises:
        ValueError: if a name is unknown or a width is not from 2 to 16.
    """
    bits = bits or {}
    for name, value in bits.items():
        if name not in BITS:
            raise ValueError(f"Expected bits to have names among {', '.join(BITS)}, got {name!r}.")
        if name != "kernel_block":
            check_width(name, value)
    return {name: bits.get(name) for name in BITS}


def dynamic_bits(bits):
    """Returns the widths of a matmul whose inputs are rounded row by row, if there are `row_bits`.

    Its outputs are float then.
    """
    bits = all_bits(bits)
    return bits if bits["row_bits"] is None else {**bits, "activation_bits": None}


def check_width(name, value):
    """Raises ValueError if the width of a stored integer is neither None nor from 2 to 16."""
    if value is not None and not 2 <= value <= 16:
        raise ValueError(f"Expected {name} to be None or from 2 to 16, got {name}={value}.")


def check_bounds(minimum, maximum):
    """Raises ValueError if a fixed range lacks one bound or does not contain zero."""
    if (minimum is None) != (maximum is None):
        raise ValueError(
            "Expected minimum and maximum to be given together, "
            f"got minimum={minimum}, maximum={maximum}."
        )
    if minimum is not None and not minimum <= 0.0 <= maximum:
        raise ValueError(
            f"Expected the range to contain zero, got minimum={minimum}, maximum={maximum}."
        )


def unit_range(bits):
    """Returns the range with which devices store values from 0 to 1, such as probabilities.

    Up to 8 bits, all values of the integer are used, in steps of `2**-bits`; above, the zero point
    is 0.
    """
    if bits is not None and bits > 8:
        return tanh_range(bits)
    steps = 2 ** (bits or 8)
    return {"minimum": 0.0, "maximum": (steps - 1) / steps}


def tanh_range(bits):
    """Returns the range with which devices store values from -1 to 1."""
    steps = 2 ** ((bits or 8) - 1)
    return {"minimum": -1.0, "maximum": (steps - 1) / steps}


def symmetric_range(bits):
    """Returns a range in which both -1 and 1 are stored exactly, with zero point 0.

    The zero point of a range from -1 to 1 would be the middle of two integers, of which the
    converter takes another one than the simulation.
    """
    steps = 2 ** ((bits or 8) - 1)
    return {"minimum": -steps / (steps - 1), "maximum": 1.0}
