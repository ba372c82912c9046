"""Schemes of tags: what they are, the entities they spell, and the tags that may follow."""

import itertools

import numpy as np
import pytest

from keras_transformer.zoo.tagging.schemes import (
    all_tags,
    entities_of,
    rules_of,
    scheme_of,
    stranger,
    tags_of,
)


@pytest.mark.parametrize(
    ("tags", "scheme", "other"),
    [
        (["O", "B-A", "I-A"], "BIO", None), (["O", "I-A"], "BIO", None),
        (["O", "B-A", "E-A"], "BIOES", None), (["O", "S-A"], "BIOES", None),
        (["B-A", "I-A"], "BIO", None), (["NOUN", "VERB", "O"], None, None),
        (["I-A", "I-B"], None, None), (["S-BAR", "NP"], None, None), (["O"], None, None),
        (["O", "B-A", "NOUN"], "BIO", "NOUN"), (["B", "I", "O"], None, None),
        (["O", "B-", "X"], None, None),
    ],
)  # fmt: skip
def test_the_scheme_follows_from_the_tags(tags, scheme, other):
    assert scheme_of(tags) == scheme
    assert stranger(tags) == other


def by_conlleval(tags):
    """Entities by the boundaries of conlleval: the ends and starts between each two tags."""
    found, start = set(), 0
    last, last_type = "O", ""
    for place, tag in enumerate([*tags, "O"]):
        prefix, _, kind = tag.partition("-")
        ends = last in "ES" or (last in "BI" and prefix in "BSO") or last_type != kind
        begins = prefix in "BS" or (last in "ESO" and prefix in "EI") or (
            prefix != "O" and last_type != kind
        )
        if last != "O" and ends:
            found.add((last_type, start, place))
        if begins:
            start = place
        last, last_type = prefix, kind
    return found


@pytest.mark.parametrize("kinds", ["BI", "BIES"])
def test_entities_are_those_of_conlleval_in_every_row_of_four(kinds):
    tags = ["O", *(f"{prefix}-{kind}" for prefix in kinds for kind in "XY")]
    for row in itertools.product(tags, repeat=4):
        assert set(entities_of(row)) == by_conlleval(row), row


@pytest.mark.parametrize("scheme", ["BIO", "BIOES"])
def test_rules_allow_exactly_the_rows_that_a_scheme_writes(scheme):
    labels = all_tags(["O", "B-X", "B-Y"] + (["S-X"] if scheme == "BIOES" else []))
    assert labels[0] == "O" and len(labels) == 1 + 2 * (4 if scheme == "BIOES" else 2)
    rules = rules_of(labels)
    for row in itertools.product(range(len(labels)), repeat=3):
        named = [labels[tag] for tag in row]
        allowed = bool(
            rules.first[row[0]] and rules.last[row[-1]]
            and all(rules.next[a, b] for a, b in itertools.pairwise(row))
        )
        assert allowed == (tags_of(entities_of(named), 3, scheme) == named), named


def test_plain_tags_have_no_rules():
    assert rules_of(["NOUN", "VERB"]) is None


def test_iob1_and_unfinished_rows_are_read_as_entities():
    row = ["I-X", "I-X", "B-X", "O", "E-Y", "B-Y"]
    assert tags_of(entities_of(row), 6, "BIO") == ["B-X", "I-X", "B-X", "O", "B-Y", "B-Y"]
    assert tags_of(entities_of(row), 6, "BIOES") == ["B-X", "E-X", "S-X", "O", "S-Y", "S-Y"]
    np.testing.assert_array_equal(entities_of([]), [])
