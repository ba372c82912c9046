"""Numbers written as text: one notation in tables, options and lists of numbers.

Python's `float` and `int` also read `1_0` as 10, and the digits of other scripts.
"""

import re

_NUMBER = re.compile(r"[+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?")
_INTEGER = re.compile(r"[+-]?[0-9]{1,18}")
_SPACES = " \t\r\n"


def read_number(text: str) -> float | None:
    """Returns the number of a text in ASCII digits, possibly with an exponent; else None.

    Spaces around it are passed over. A number beyond float64 is infinite.
    """
    text = text.strip(_SPACES)
    return float(text) if _NUMBER.fullmatch(text) else None


def read_integer(text: str) -> int | None:
    """Returns the integer of a text of at most 18 ASCII digits; else None."""
    text = text.strip(_SPACES)
    return int(text) if _INTEGER.fullmatch(text) else None
