"""What a family of models says of itself."""

import dataclasses
from collections.abc import Mapping
from typing import Any

# Tokens of a text, and of source and target each, for which `Size.multiply_adds` are counted.
COUNTED_LENGTH = 128


@dataclasses.dataclass(frozen=True, kw_only=True)
class Size:
    """One model of a family.

    The counts are those of the built model, see `counts`; a test holds them equal. They are written
    down so that the catalogue is listed without building a model.

    Attributes:
        settings: what `TransformerConfig` takes.
        parameters: without a task's head, tied tables counted once.
        multiply_adds: of one pass over `COUNTED_LENGTH` tokens.
    """

    settings: Mapping[str, Any]
    parameters: int
    multiply_adds: int


@dataclasses.dataclass(frozen=True, kw_only=True)
class Family:
    """Models of one design.

    Attributes:
        paper: where it was published.
        sizes: by catalogue name.
        renames: paths of published weights to ours, as pairs of a regular expression that matches
            a whole published name and what it is replaced by; empty where none are read.
    """

    paper: str
    sizes: Mapping[str, Size]
    renames: tuple[tuple[str, str], ...] = ()
