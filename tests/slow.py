"""Products of parametrizations of which the default run keeps a few cases."""

import pytest


def mostly_slow(cases, usual):
    """Marks as slow what is not usual, for `pytest.mark.parametrize`.

    Args:
        cases: a value each, or a tuple of values where several arguments are parametrized.
        usual: those of them that stay in the default run; between them they have each value.

    Raises:
        ValueError: if a usual case is none of the cases.
    """
    cases, usual = list(cases), list(usual)
    for case in usual:
        if case not in cases:
            raise ValueError(f"Expected a usual case to be one of the cases, got {case}.")
    return [
        pytest.param(
            *(case if isinstance(case, tuple) else (case,)),
            marks=() if case in usual else pytest.mark.slow,
        )
        for case in cases
    ]
