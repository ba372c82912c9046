import numpy as np
import pytest

from keras_transformer.zoo.errors import RunError
from keras_transformer.zoo.evaluation.metric import Metric
from keras_transformer.zoo.evaluation.metrics import (
    classification_metrics,
    not_defined,
    regression_metrics,
)

LABELS = ("a", "b", "c")
# Rows are true classes, columns predictions; "c" is never predicted.
CONFUSION = [[3, 1, 0], [2, 2, 0], [1, 1, 0]]


def from_confusion(confusion):
    targets, predictions = [], []
    for target, row in enumerate(confusion):
        for prediction, count in enumerate(row):
            targets += [target] * count
            predictions += [prediction] * count
    return np.array(targets), np.eye(len(confusion), dtype="float32")[predictions]


def test_classification_against_a_confusion_matrix():
    f1 = {"a": 2 * 0.5 * 0.75 / 1.25, "b": 0.5, "c": 0.0}
    # Matthews for classes (Gorodkin 2004): c = 5 of s = 10 right; predicted 6, 4, 0; true 4, 4, 2.
    matthews = (5 * 10 - (6 * 4 + 4 * 4)) / np.sqrt((100 - 36 - 16) * (100 - 16 - 16 - 4))
    expected = {
        "accuracy": 0.5,
        "matthews": matthews,
        "macro_precision": (3 / 6 + 2 / 4 + 0) / 3,
        "macro_recall": (3 / 4 + 2 / 4 + 0) / 3,
        "macro_f1": sum(f1.values()) / 3,
        "micro_precision": 0.5,
        "micro_recall": 0.5,
        "micro_f1": 0.5,
    }
    result = classification_metrics(*from_confusion(CONFUSION), LABELS)
    per_class = result.pop("per_class")
    assert result.pop("undefined") == {"precision": "no row is predicted as 'c'"}
    assert result == pytest.approx(expected)
    assert list(per_class) == list(LABELS)
    assert per_class["a"] == pytest.approx(
        {"precision": 0.5, "recall": 0.75, "f1": f1["a"], "rows": 4}
    )
    assert per_class["b"] == pytest.approx({"precision": 0.5, "recall": 0.5, "f1": 0.5, "rows": 4})
    assert per_class["c"] == {"precision": None, "recall": 0.0, "f1": 0.0, "rows": 2}


def test_a_class_that_no_row_has_is_in_no_mean():
    targets, scores = from_confusion([[2, 0, 0], [0, 2, 0], [0, 0, 0]])
    result = classification_metrics(targets, scores, LABELS)
    assert result["accuracy"] == result["matthews"] == 1.0
    assert result["macro_precision"] == result["macro_recall"] == result["macro_f1"] == 1.0
    nothing = {"precision": None, "recall": None, "f1": None, "rows": 0}
    assert result["per_class"]["c"] == nothing
    assert result["undefined"] == {
        "recall": "no row has the label 'c'", "precision": "no row is predicted as 'c'",
    }  # fmt: skip
    assert not_defined(result["undefined"]) == [
        "Recall is not defined: no row has the label 'c'.",
        "Precision is not defined: no row is predicted as 'c'.",
    ]
    assert not_defined({"mean_squared_error": "no score is known"}) == [
        "Mean squared error is not defined: no score is known."
    ]
    # What is predicted and no target is a mistake, and counts.
    targets, scores = from_confusion([[2, 0, 0], [0, 1, 1], [0, 0, 0]])
    result = classification_metrics(targets, scores, LABELS)
    assert result["macro_f1"] == pytest.approx((1 + 2 / 3 + 0) / 3)
    assert result["per_class"]["c"] == {"precision": 0.0, "recall": None, "f1": 0.0, "rows": 0}


@pytest.mark.parametrize(
    ("confusion", "reason"),
    [
        ([[0, 0, 0], [1, 2, 0], [0, 0, 0]], "all rows have the label 'b'"),
        ([[0, 2, 0], [0, 1, 0], [0, 1, 0]], "all rows are predicted as 'b'"),
        ([[0, 0, 0], [0, 1, 0], [0, 0, 0]], "all rows have the label 'b'"),
    ],
)
def test_matthews_of_one_class_is_not_defined(confusion, reason, recwarn):
    result = classification_metrics(*from_confusion(confusion), LABELS)
    assert (result["matthews"], result["undefined"]["matthews"]) == (None, reason)
    assert not recwarn.list


def test_many_absent_labels_are_named_in_part():
    labels = [f"c{place}" for place in range(15)]
    result = classification_metrics(np.array([0, 1]), np.eye(15)[[0, 1]], labels)
    named = " or ".join(f"'c{place}'" for place in range(2, 12))
    assert result["undefined"]["recall"] == f"no row has the label {named} or 3 more"


def test_regression_by_hand():
    targets, scores = np.array([1.0, 2.0, 3.0, 4.0]), np.array([[1.0], [3.0], [2.0], [6.0]])
    # Deviations (-1.5, -0.5, 0.5, 1.5) and (-2, 0, -1, 3); ranks 1, 3, 2, 4.
    expected = {
        "pearson": 7 / np.sqrt(5 * 14),
        "spearman": 1 - 6 * (1 + 1) / (4 * 15),
        "mean_squared_error": (0 + 1 + 1 + 4) / 4,
    }
    assert regression_metrics(targets, scores) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("targets", "outputs", "reason"),
    [
        ([1, 2, 3], [5, 5, 5], "all predictions are 5"),
        ([2, 2, 2], [1, 2, 3], "all targets are 2"),
        ([2], [1], "all targets are 2"),
    ],
    ids=str,
)  # fmt: skip
def test_correlation_with_a_constant_is_not_defined(targets, outputs, reason, recwarn):
    targets, scores = np.array(targets, "float32"), np.array(outputs, "float32")[:, None]
    result = regression_metrics(targets, scores)
    assert result == {
        "pearson": None, "spearman": None,
        "mean_squared_error": pytest.approx(np.mean((targets - scores[:, 0]) ** 2)),
        "undefined": {"pearson": reason, "spearman": reason},
    }  # fmt: skip
    assert not_defined(result["undefined"]) == [
        f"Pearson and spearman are not defined: {reason}."
    ]
    assert not recwarn.list


def test_an_undefined_metric_is_the_worst_and_no_value():
    metric = Metric(name="pearson", points=100.0)
    assert metric.score({"pearson": None}) < metric.score({"pearson": -1.0})
    with pytest.raises(RunError, match=r"^Expected pearson to be defined, got none: all is 5\.$"):
        metric.value({"pearson": None, "undefined": {"pearson": "all is 5"}})
    assert metric.value({"pearson": 0.5}) == 0.5


def test_large_outputs_do_not_overflow():
    targets = np.array([1, 2, 3], "float32")
    result = regression_metrics(targets, targets[:, None] * np.float32(1e30))
    assert result == pytest.approx(
        {"pearson": 1.0, "spearman": 1.0, "mean_squared_error": 14e60 / 3}
    )
