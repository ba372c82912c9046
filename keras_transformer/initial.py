"""Initial values of layers that are assigned other weights as soon as they are built."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

_maker: ContextVar[Callable | None] = ContextVar("maker", default=None)


@contextmanager
def initialized_by(make: Callable[..., Any]) -> Iterator[None]:
    """Makes kernels and tables that are built within take their initial values from a function.

    Args:
        make: called as an initializer is, with a shape and a dtype.
    """
    before = _maker.set(make)
    try:
        yield
    finally:
        _maker.reset(before)


def initializer_or(own: Any) -> Any:
    """Returns the function of `initialized_by`, or a layer's own initializer outside of it."""
    return _maker.get() or own
