"""The description of a model family: its paper, sizes and names of published weights."""

import dataclasses
from collections.abc import Mapping
from typing import Any

# Number of tokens of a text (source and target each) for which `multiply_adds` are counted.
COUNTED_LENGTH = 128


@dataclasses.dataclass(frozen=True, kw_only=True)
class Size:
    """One model of a family.

    The counts are those of the built model, see `counts`; a test checks that they are equal. They
    are written down so that listing the catalogue builds no model.

    Attributes:
        settings: arguments of `TransformerConfig`.
        parameters: number of parameters without a task's head, tied tables counted once.
        multiply_adds: multiply-adds of one pass over `COUNTED_LENGTH` tokens.
    """

    settings: Mapping[str, Any]
    parameters: int
    multiply_adds: int


@dataclasses.dataclass(frozen=True, kw_only=True)
class Family:
    """Models of one design.

    Attributes:
        paper: publication of the design.
        sizes: sizes by catalogue name.
        renames: mapping of published weight names to our paths, as pairs of a regular expression
            that matches a whole name and its replacement; empty if no weights are read.
    """

    paper: str
    sizes: Mapping[str, Size]
    renames: tuple[tuple[str, str], ...] = ()
