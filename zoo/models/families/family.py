"""The description of a model family: its paper, sizes and names of published weights."""

import dataclasses
from collections.abc import Mapping
from typing import Any

from keras_transformer.zoo.models.families.published import Published

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
        multiply_adds: multiply-adds of one pass over `COUNTED_LENGTH` tokens, or over an input of
            one size.
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
        published: how others publish its models; None if their weights are not read.
    """

    paper: str
    sizes: Mapping[str, Size]
    published: Published | None = None
