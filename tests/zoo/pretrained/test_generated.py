"""Tokens of published models, greedy and with beams, against `transformers`' own generation."""

import numpy as np
import pytest

from tests.slow import mostly_slow
from tests.zoo.pretrained.generated import (
    DECODERS,
    NONE,
    SEARCHES,
    TRANSLATORS,
    ours,
    read_reference,
    theirs,
)
from tests.zoo.pretrained.test_families import needs_transformers
from tests.zoo.pretrained.tiny import REFERENCES, make

FAMILIES = [*DECODERS, *TRANSLATORS]


def check(name, folder, given):
    found = ours(name, folder, given)
    for search in SEARCHES:
        np.testing.assert_array_equal(found[search], given[search], err_msg=search)
    # Texts end at all places, and some break off.
    lengths = (given["beams"] != NONE).sum(axis=1)
    assert len(set(lengths)) > 1


@pytest.mark.parametrize("name", mostly_slow(FAMILIES, ["gemma3", "t5"]))
def test_tokens_equal_their_reference(name):
    check(name, REFERENCES / name, read_reference(name))


@needs_transformers
@pytest.mark.parametrize("name", FAMILIES)
def test_tokens_equal_transformers(name, tmp_path):
    make(name, tmp_path)
    check(name, tmp_path, theirs(name, tmp_path))
