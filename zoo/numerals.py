"""Numbers written as text: one notation in tables, options and lists of numbers.

Python's `float` and `int` also read `1_0` as 10, and the digits of other scripts.
"""

import re
from typing import Any

LARGEST_FLOAT32 = (2 - 2**-23) * 2.0**127
_NUMBER = re.compile(r"[+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?")
_INTEGER = re.compile(r"[+-]?[0-9]{1,18}")
_SPACES = " \t\r\n"


def read_number(text: str) -> float | None:
    """Returns the number of a text in ASCII digits, possibly with an exponent; else None.

    Spaces around it are passed over. A number beyond float64 is infinite.
    """
    text = text.strip(_SPACES)
    return float(text) if _NUMBER.fullmatch(text) else None


def is_float32(value: Any) -> bool:
    """Whether a value is a finite number that float32 holds, to its nearest one."""
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    # An integer of any size can be compared; as a float it could not be held.
    return is_number and abs(value) <= LARGEST_FLOAT32


def read_integer(text: str) -> int | None:
    """Returns the integer of a text of at most 18 ASCII digits; else None."""
    text = text.strip(_SPACES)
    return int(text) if _INTEGER.fullmatch(text) else None
