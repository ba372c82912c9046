"""Decoding: the most probable allowed tags, and the entities with their places."""

import itertools

import numpy as np
import pytest

from keras_transformer.zoo.outputs import OUTPUTS, TAGS
from keras_transformer.zoo.tagging.decoding import best_tags, log_probabilities, row_tags
from keras_transformer.zoo.tagging.schemes import all_tags, rules_of
from keras_transformer.zoo.tagging.windows import TagOutputs
from keras_transformer.zoo.tagging.words import joined, words_of

BIO = ("O", "B-X", "I-X")


@pytest.mark.parametrize("more", [[], ["S-X"]])
def test_the_best_row_is_the_best_of_all_allowed_ones(more):
    labels = all_tags(["O", "B-X", "B-Y", *more])
    rules, rng = rules_of(labels), np.random.default_rng(0)
    for count in (1, 2, 3, 4):
        rows = np.array([
            row for row in itertools.product(range(len(labels)), repeat=count)
            if rules.first[row[0]] and rules.last[row[-1]]
            and all(rules.next[a, b] for a, b in itertools.pairwise(row))
        ])  # fmt: skip
        for _ in range(20):
            scores = rng.normal(size=(count, len(labels))) * 3
            logs = scores - np.log(np.exp(scores).sum(1, keepdims=True))
            totals = logs[np.arange(count), rows].sum(1)
            np.testing.assert_array_equal(best_tags(scores, rules), rows[totals.argmax()])


def test_without_rules_each_word_has_its_best_tag():
    scores = np.random.default_rng(0).normal(size=(9, 4))
    np.testing.assert_array_equal(best_tags(scores, None), scores.argmax(1))
    assert best_tags(np.zeros((0, 3)), rules_of(BIO)).shape == (0,)


def test_large_logits_are_finite():
    np.testing.assert_allclose(log_probabilities(np.array([[1e5, 1e5]])), np.log([[0.5, 0.5]]))


def outputs_of(rows, tags, labels, unread=()):
    """Outputs that are sure of tags; each row's unread words are told by their places."""
    scores = [np.full((len(row), len(labels)), -9.0, "float32") for row in tags]
    is_read = [np.ones(len(row), bool) for row in tags]
    for number, row in enumerate(tags):
        for word, tag in enumerate(row):
            scores[number][word, labels.index(tag)] = 9.0
    for number, word in unread:
        is_read[number][word] = False
    return TagOutputs(scores, is_read, rows, [False] * len(rows))


def test_entities_are_parts_of_the_original_text():
    text = "  E\u0301cole  \ufb01ne-art, U.S. "
    row = words_of(text)
    assert row.words == ["E\u0301cole", "\ufb01ne", "-", "art", ",", "U.S", "."]
    found = outputs_of([row], [["B-X", "I-X", "I-X", "I-X", "O", "B-X", "O"]], BIO)
    [tagged] = OUTPUTS[TAGS](BIO, found)
    assert [(span.label, span.text) for span in tagged.spans] == [
        ("X", "E\u0301cole  \ufb01ne-art"), ("X", "U.S")
    ]  # fmt: skip
    for span in tagged.spans:
        assert text[span.start : span.end] == span.text
        assert span.score == pytest.approx(1.0, abs=1e-6)
    assert not tagged.truncated


def test_a_score_is_the_mean_probability_of_the_words():
    found = outputs_of([joined(["a", "b"])], [["B-X", "I-X"]], BIO)
    found.scores[0][1] = [0.0, 0.0, np.log(2)]
    [tagged] = OUTPUTS[TAGS](BIO, found)
    assert tagged.spans[0].score == pytest.approx((1 + 0.5) / 2, abs=1e-6)


def test_an_entity_goes_on_over_a_word_that_was_not_read():
    row = joined(["a", "\u00ad", "b", "c"])
    found = outputs_of([row], [["B-X", "O", "I-X", "O"]], BIO, unread=[(0, 1)])
    np.testing.assert_array_equal(row_tags(BIO, found), [[1, -1, 2, 0]])
    [tagged] = OUTPUTS[TAGS](BIO, found)
    assert [(span.text, span.start, span.end) for span in tagged.spans] == [("a \u00ad b", 0, 5)]


def test_plain_tags_are_those_of_each_word():
    labels, rows = ("NOUN", "VERB"), [joined(["dogs", "bark"]), joined([])]
    tagged, empty = OUTPUTS[TAGS](labels, outputs_of(rows, [["NOUN", "VERB"], []], labels))
    assert [(span.label, span.text, span.start) for span in tagged.spans] == [
        ("NOUN", "dogs", 0), ("VERB", "bark", 5)
    ]  # fmt: skip
    assert empty.spans == []
