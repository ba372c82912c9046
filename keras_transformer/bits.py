"""The widths of what an integer device stores, as the one mapping `bits` that layers take.

Each name may be missing or None, for float:
- `kernel_bits`: width of the stored kernels.
- `kernel_block`: consecutive inputs of a kernel that share a scale; all of a column by default.
- `activation_bits`: width of the tensors that matmuls read and return.
- `row_bits`: width to which a device that computes in float rounds what a matmul reads, each row
  between its own bounds, when it comes to it.
- `inner_bits`: width of the tensors between them, inside norms, activations and softmax, which
  a device that computes in float too does not store.
"""

BITS = ("kernel_bits", "kernel_block", "row_bits", "activation_bits", "inner_bits")


def all_bits(bits=None):
    """Returns a plain dict of all widths, None where the mapping has none.

    Raises:
        ValueError: for an unknown name, or a width that is not from 2 to 16.
    """
    bits = bits or {}
    for name, value in bits.items():
        if name not in BITS:
            raise ValueError(f"Expected bits to have names among {', '.join(BITS)}, got {name!r}.")
        if name != "kernel_block":
            check_width(name, value)
    return {name: bits.get(name) for name in BITS}


def check_width(name, value):
    """Raises ValueError for a width of a stored integer that is neither None nor from 2 to 16."""
    if value is not None and not 2 <= value <= 16:
        raise ValueError(f"Expected {name} to be None or from 2 to 16, got {name}={value}.")


def unit_range(bits):
    """Returns the bounds in which devices store what lies from 0 to 1, such as a probability.

    Up to 8 bits are all spent on it, in steps of `2**-bits`; more have zero point 0.
    """
    if bits is not None and bits > 8:
        return tanh_range(bits)
    steps = 2 ** (bits or 8)
    return {"minimum": 0.0, "maximum": (steps - 1) / steps}


def tanh_range(bits):
    """Returns the bounds in which devices store what lies from -1 to 1."""
    steps = 2 ** ((bits or 8) - 1)
    return {"minimum": -1.0, "maximum": (steps - 1) / steps}
