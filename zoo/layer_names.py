"""Beginnings of the names of layers where several models, or encoders of several kinds, are one."""

import re

# That of a member, and of an encoder of one kind among several or of the blocks behind them.
_PREFIX = re.compile(r"(member_\d+|audio|image|text|cross)_(?=\w)")


def prefix_of(member: int) -> str:
    """Returns the beginning of the names of a member's layers."""
    return f"member_{member}_"


def prefix_of_kind(kind: str) -> str:
    """Returns the beginning of the names of the layers of a kind's encoder."""
    return f"{kind}_"


def without_prefix(path: str) -> str:
    """Returns a layer's name or path as it is in the member alone."""
    return _PREFIX.sub("", path, count=1) if _PREFIX.match(path) else path
