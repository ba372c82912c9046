"""Tag schemes: BIO, BIOES, and plain tags; entities from tags, and tags from entities.

In BIO (Ramshaw and Marcus 1995, as IOB2) `B-X` begins an entity of type X, `I-X` goes on with it,
and `O` is outside. In BIOES `E-X` ends one, and `S-X` is one of a single word. All other tags are
plain: each word has its own.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

OUTSIDE = "O"
BIO, BIOES = "BIO", "BIOES"


class Entity(NamedTuple):
    """An entity in a row of words.

    Attributes:
        type: its type.
        first, end: its first word, and the one behind its last.
    """

    type: str
    first: int
    end: int


def parted(tag: str) -> tuple[str, str]:
    """Returns the prefix and the type of a tag; two empty texts for `O` and a plain tag."""
    prefix, dash, kind = tag.partition("-")
    return (prefix, kind) if prefix in tuple(BIOES) and dash and kind else ("", "")


def scheme_of(tags: Sequence[str]) -> str | None:
    """Returns the scheme of a set of tags: `BIO`, `BIOES`, or None for plain ones.

    Tags are of entities if one is `O` and another has a prefix, or all have one and one of these is
    `B-`. They are BIOES if any begins with `E-` or `S-`.
    """
    prefixes = {tag: parted(tag)[0] for tag in tags}
    found = set(prefixes.values()) - {""}
    has_entities = OUTSIDE in prefixes or (all(prefixes.values()) and "B" in found)
    if not found or not has_entities:
        return None
    return BIOES if found & set("ES") else BIO


def stranger(tags: Sequence[str]) -> str | None:
    """Returns a tag that is of no entity and not `O`, among tags of entities."""
    if scheme_of(tags) is None:
        return None
    return next((tag for tag in tags if tag != OUTSIDE and not parted(tag)[0]), None)


def all_tags(tags: Sequence[str]) -> list[str]:
    """Returns the tags of a scheme in the order of their indices: `O`, then those of each type."""
    scheme = scheme_of(tags)
    kinds = sorted({parted(tag)[1] for tag in tags} - {""})
    return [OUTSIDE, *(f"{prefix}-{kind}" for kind in kinds for prefix in _prefixes(scheme))]


def entities_of(tags: Sequence[str]) -> list[Entity]:
    """Returns the entities of a row of tags, also of one that breaks its scheme's rules.

    As conlleval and seqeval read it: `I-X` and `E-X` that go on with nothing begin an entity.
    """
    found: list[Entity] = []
    kind, first = "", 0
    for place, tag in enumerate([*tags, OUTSIDE]):
        prefix, own = parted(tag)
        goes_on = prefix in ("I", "E") and own == kind
        if kind and not goes_on:
            found.append(Entity(kind, first, place))
            kind = ""
        if prefix and not goes_on:
            kind, first = own, place
        if prefix in ("E", "S"):
            found.append(Entity(own, first, place + 1))
            kind = ""
    return found


def tags_of(entities: Sequence[Entity], count: int, scheme: str | None) -> list[str]:
    """Returns the tags of a row of `count` words by a scheme's rules."""
    tags = [OUTSIDE] * count
    for kind, first, end in entities:
        inside = [f"I-{kind}"] * (end - first)
        inside[0] = f"B-{kind}"
        if scheme == BIOES:
            inside[-1] = f"E-{kind}" if end - first > 1 else f"S-{kind}"
        tags[first:end] = inside
    return tags


class Rules(NamedTuple):
    """The tags that may follow each other.

    Attributes:
        first: (tags,) whether a row may begin with it.
        next: (tags, tags) whether the second may follow the first.
        last: (tags,) whether a row may end with it.
    """

    first: np.ndarray
    next: np.ndarray
    last: np.ndarray


def rules_of(labels: Sequence[str]) -> Rules | None:
    """Returns the rules of the labels' scheme; None for plain tags, which have none."""
    scheme = scheme_of(labels)
    if scheme is None:
        return None
    parts = [parted(label) for label in labels]
    is_inside = np.array([prefix in ("I", "E") for prefix, _ in parts])
    # Whether the entity of a tag has to go on; in BIO it may.
    is_open = np.array([prefix in ("B", "I") for prefix, _ in parts])
    same = np.array([[one[1] == other[1] for other in parts] for one in parts])
    goes_on = is_open[:, None] & is_inside[None, :] & same
    ends = ~is_open if scheme == BIOES else np.ones(len(parts), bool)
    return Rules(~is_inside, goes_on | (ends[:, None] & ~is_inside[None, :]), ends)


def _prefixes(scheme: str | None) -> str:
    return "BIES" if scheme == BIOES else "BI"
