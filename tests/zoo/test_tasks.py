import re

import numpy as np
import pytest
from keras import ops

from keras_transformer.zoo.errors import InputError
from keras_transformer.zoo.tasks import DECIDING_METRIC, Task

LABELS = ("a", "b", "c")


def refused(message):
    return pytest.raises(InputError, match=f"^{re.escape(message)}$")


def value(tensor):
    return float(ops.convert_to_numpy(tensor))


@pytest.mark.parametrize("smoothing", [0.0, 0.1, 0.9])
@pytest.mark.parametrize("shape", [(5,), (5, 1)], ids=str)
def test_cross_entropy(smoothing, shape):
    logits = np.random.default_rng(0).normal(size=(5, 3)).astype("float32") * 4
    targets = np.array([0, 2, 1, 1, 0], "int32")
    log_probabilities = logits - np.log(np.exp(logits.astype("float64")).sum(1, keepdims=True))
    spread = np.eye(3)[targets] * (1 - smoothing) + smoothing / 3
    expected = -(spread * log_probabilities).sum(axis=1).mean()
    loss = Task(name="classification", labels=LABELS).loss(smoothing)
    assert value(loss(targets.reshape(shape), logits)) == pytest.approx(expected, rel=1e-5)


def test_mean_squared_error_pairs_each_target_with_its_output():
    targets, outputs = np.array([1.0, 2.0, 4.0], "float32"), np.array([[1.5], [0.0], [4.0]])
    loss = Task(name="regression").loss()
    assert value(loss(targets, outputs.astype("float32"))) == pytest.approx((0.25 + 4) / 3)


def test_outputs():
    assert Task(name="classification", labels=LABELS).num_outputs == 3
    assert Task(name="regression").num_outputs == 1
    assert set(DECIDING_METRIC) == {"classification", "regression"}


def test_impossible_tasks():
    with refused("Expected task to be one of classification, regression, got task='tagging'."):
        Task(name="tagging")
    with refused("Expected at least two labels, got ['a']."):
        Task(name="classification", labels=("a",))


def test_json_round_trip():
    for task in (Task(name="classification", labels=LABELS, pair=True), Task(name="regression")):
        assert Task.from_json(task.to_json(), task.labels) == task
    with refused("Expected a task with name and pair, got {'name': 'regression'}."):
        Task.from_json({"name": "regression"}, ())
