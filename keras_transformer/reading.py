"""The positions of an encoder's outputs that are read."""

import contextlib
import contextvars
from collections.abc import Iterator

_reads_alone = contextvars.ContextVar("reads_alone", default=False)
_is_whole = contextvars.ContextVar("is_whole", default=False)


@contextlib.contextmanager
def outputs_read_alone() -> Iterator[None]:
    """Computes the outputs of encoders inside the context only where something reads them.

    The last block of an encoder that `reads_first` then has queries at the first position alone,
    and keys and values at all: the first output is the same, and the others are left out. Nothing
    may observe them, as calibration and distillation do. Graphs have to be traced within it.
    """
    token = _reads_alone.set(True)
    try:
        yield
    finally:
        _reads_alone.reset(token)


@contextlib.contextmanager
def whole_outputs() -> Iterator[None]:
    """Computes all outputs of encoders inside the context, whatever `outputs_read_alone` says.

    Files of earlier versions hold them, which a comparison layer by layer computes too.
    """
    token = _is_whole.set(True)
    try:
        yield
    finally:
        _is_whole.reset(token)


def are_whole() -> bool:
    """Whether `whole_outputs` is in effect."""
    return _is_whole.get()


def reads_alone() -> bool:
    """Whether outputs that nothing reads are left out."""
    return _reads_alone.get() and not are_whole()


def of_first(biases):
    """Returns the arguments of a block for the outputs of the first position alone.

    Args:
        biases: those for all positions by name, (B, 1, 1, S), (B, H, T, S) or None each.
    """
    rows = {
        name: one if one is None or one.shape[2] == 1 else one[:, :, :1]
        for name, one in biases.items()
    }
    return {**rows, "first": True}
