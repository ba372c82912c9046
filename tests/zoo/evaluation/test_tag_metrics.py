"""Metrics of tags, against published examples and scikit-learn."""

import numpy as np
import pytest
from sklearn.metrics import accuracy_score, precision_recall_fscore_support

from keras_transformer.zoo.evaluation.tag_metrics import (
    accuracy_of_rows,
    entity_metrics,
    f1_of_rows,
    word_metrics,
)

# The example of seqeval's documentation, and the values that it gives.
EXPECTED = [["O", "O", "O", "B-MISC", "I-MISC", "I-MISC", "O"], ["B-PER", "I-PER", "O"]]
FOUND = [["O", "O", "B-MISC", "I-MISC", "I-MISC", "I-MISC", "O"], ["B-PER", "I-PER", "O"]]


def test_the_example_of_seqeval():
    found = entity_metrics(EXPECTED, FOUND)
    assert (found["f1"], found["precision"], found["recall"], found["accuracy"]) == (
        0.5, 0.5, 0.5, 0.8
    )  # fmt: skip
    none = {"precision": 0.0, "recall": 0.0, "f1": 0.0, "rows": 1}
    all_ = {"precision": 1.0, "recall": 1.0, "f1": 1.0, "rows": 1}
    assert found["per_class"] == {"MISC": none, "PER": all_}
    assert found["entities"] == 2 and "undefined" not in found


def test_type_and_both_ends_have_to_be_right():
    expected = [["B-A", "I-A", "O", "B-B", "O"]]
    for found, right in (
        (["B-A", "I-A", "O", "B-B", "O"], 2), (["B-A", "B-A", "O", "B-B", "O"], 1),
        (["B-B", "I-B", "O", "B-B", "O"], 1), (["I-A", "I-A", "O", "B-B", "I-B"], 1),
        (["O", "I-A", "O", "O", "O"], 0),
    ):  # fmt: skip
        assert entity_metrics(expected, [found])["recall"] == right / 2


def test_micro_counts_are_those_over_all_types():
    found = entity_metrics(
        [["B-A", "O", "B-A", "O", "B-B"]], [["B-A", "O", "B-B", "O", "O"]]
    )
    assert (found["precision"], found["recall"]) == (1 / 2, 1 / 3)
    assert found["f1"] == pytest.approx(2 / 5)
    assert found["per_class"]["A"] == {
        "precision": 1.0, "recall": 1 / 2, "f1": pytest.approx(2 / 3), "rows": 2
    }  # fmt: skip


def test_what_rows_leave_undefined_is_none_with_a_reason():
    found = entity_metrics([["O", "O"]], [["O", "O"]])
    assert (found["f1"], found["precision"], found["recall"]) == (None, None, None)
    assert found["undefined"] == {
        "f1": "no row has an entity", "recall": "no row has an entity",
        "precision": "no entity is predicted",
    }  # fmt: skip
    found = entity_metrics([["B-A", "O"]], [["O", "O"]])
    assert (found["f1"], found["precision"], found["recall"]) == (0.0, None, 0.0)


def test_words_are_counted_as_scikit_learn_does():
    rng = np.random.default_rng(0)
    rows = [(rng.choice(list("abc"), 9), rng.choice(list("abcd"), 9)) for _ in range(5)]
    expected, given = (list(map(list, part)) for part in zip(*rows, strict=True))
    found = word_metrics(expected, given)
    flat = [np.concatenate(part) for part in (expected, given)]
    assert found["accuracy"] == accuracy_score(*flat) and found["words"] == 45
    precision, recall, f1, rows = precision_recall_fscore_support(
        *flat, labels=list("abcd"), zero_division=np.nan
    )
    for place, name in enumerate("abc"):
        values = [precision[place], recall[place], f1[place], rows[place]]
        np.testing.assert_allclose(list(found["per_class"][name].values()), values)
    assert found["per_class"]["d"] == {"precision": 0.0, "recall": None, "f1": None, "rows": 0}


def test_a_word_without_a_prediction_is_wrong():
    assert word_metrics([["a", "a", "b"]], [["a", None, "b"]])["accuracy"] == 2 / 3


def test_metrics_of_drawn_rows_are_those_of_the_rows():
    rows = np.array([1, 1, 0])
    for of_rows, metrics, name in (
        (f1_of_rows, entity_metrics, "f1"), (accuracy_of_rows, word_metrics, "accuracy")
    ):  # fmt: skip
        drawn = ([part[row] for row in rows] for part in (EXPECTED, FOUND))
        assert of_rows(EXPECTED, FOUND)(rows) == metrics(*drawn)[name]
    assert f1_of_rows([["O"], ["B-A"]], [["B-A"], ["O"]])(np.array([0, 0])) is None
