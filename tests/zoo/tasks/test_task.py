import re

import numpy as np
import pytest
import tensorflow as tf
from keras import ops

from keras_transformer.zoo.errors import InputError
from keras_transformer.zoo.losses.losses import token_loss
from keras_transformer.zoo.tasks.classification import Classification
from keras_transformer.zoo.tasks.language_modeling import LanguageModeling
from keras_transformer.zoo.tasks.registry import TASKS, task_from_json, task_named
from keras_transformer.zoo.tasks.regression import Regression
from keras_transformer.zoo.tasks.translation import Translation

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
    loss = Classification(labels=LABELS).loss(smoothing)
    assert value(loss(targets.reshape(shape), logits)) == pytest.approx(expected, rel=1e-5)


def test_mean_squared_error_pairs_each_target_with_its_output():
    targets, outputs = np.array([1.0, 2.0, 4.0], "float32"), np.array([[1.5], [0.0], [4.0]])
    loss = Regression().loss()
    assert value(loss(targets, outputs.astype("float32"))) == pytest.approx((0.25 + 4) / 3)


def test_outputs():
    assert Classification(labels=LABELS).num_outputs == 3
    assert Regression().num_outputs == 1


@pytest.mark.parametrize(
    ("task", "metric", "better", "worse", "generates"),
    [
        (Classification(labels=LABELS), "accuracy", 0.9, 0.1, False),
        (Regression(), "mean_squared_error", 0.1, 0.9, False),
        (Translation(), "loss", 0.1, 0.9, True),
        (LanguageModeling(), "loss", 0.1, 0.9, True),
    ],
    ids=lambda value: getattr(value, "name", None),
)
def test_the_metric_that_decides(task, metric, better, worse, generates):
    assert (task.deciding_metric, task.generates) == (metric, generates)
    scores = [task.selection.score({metric: value, "other": 5.0}) for value in (better, worse)]
    assert scores[0] > scores[1]
    assert {abs(score) for score in scores} == {abs(better), abs(worse)}


def test_impossible_tasks():
    with refused(
        "Expected task to be one of classification, multi-label, regression, embedding, "
        "token-classification, question-answering, masked-language-modeling, multi-task, "
        "contrastive, transcription, translation, language-modeling, similarity, got "
        "task='tagging'."
    ):
        task_named("tagging")
    with refused("Expected at least two labels, got ['a']."):
        Classification(labels=("a",))
    with refused("Expected each label once, got ['a', 'b', 'a']."):
        Classification(labels=["a", "b", "a"])
    with pytest.raises(TypeError, match="got 'ab'"):
        Classification(labels="ab")
    with pytest.raises(TypeError, match="got 1"):
        Classification(labels=[0, 1][::-1])
    with pytest.raises(TypeError, match="got 'de'"):
        Translation(labels="de")
    with refused("Expected labels, one for each output of the model, got none."):
        Classification().head()
    with refused("Expected label_smoothing to be 0 for regression, got label_smoothing=0.1."):
        Regression().loss(0.1)


def test_json_round_trip():
    for task in (
        Classification(labels=LABELS, pair=True), Regression(),
        Translation(), LanguageModeling(),
    ):  # fmt: skip
        assert task_from_json(task.to_json(), task.labels) == task
        assert task.to_json() == {"name": task.name, "pair": task.pair}
    for value in ({"name": "regression"}, ["regression"]):
        with refused(f"Expected a task with name and pair, got {value!r}."):
            task_from_json(value, ())


def test_a_frozen_task_holds_its_labels_as_a_tuple():
    task = Classification(labels=["no", "yes"])
    assert task.labels == ("no", "yes")
    assert task == Classification(labels=("no", "yes"))
    with pytest.raises(AttributeError):
        task.labels = ()


def token_case():
    """Logits (3, 4, 6) and targets (3, 4): rows with no padding, some, and nothing else.

    One target is the token of id 0, which counts as any other.
    """
    rng = np.random.default_rng(0)
    logits = 4 * rng.normal(size=(3, 4, 6)) + 50 * rng.normal(size=(3, 4, 1))
    return logits.astype("float32"), np.array([[3, 5, 0, 2], [4, 4, -1, -1], [-1] * 4], "int32")


def spread_targets(targets, classes, smoothing):
    return np.eye(classes)[np.maximum(targets, 0)] * (1 - smoothing) + smoothing / classes


def log_softmax(logits):
    shifted = logits.astype("float64") - logits.max(axis=-1, keepdims=True)
    return shifted - np.log(np.exp(shifted).sum(axis=-1, keepdims=True))


@pytest.mark.parametrize("smoothing", [0.0, 0.1, 0.9])
@pytest.mark.parametrize("task", ["translation", "language-modeling"])
def test_token_loss_is_the_mean_over_real_targets(task, smoothing):
    logits, targets = token_case()
    nats = -(spread_targets(targets, 6, smoothing) * log_softmax(logits)).sum(axis=-1)
    expected = nats[targets >= 0].sum() / 6
    loss = TASKS[task]().loss(smoothing)
    assert value(loss(targets, logits)) == pytest.approx(expected, rel=1e-5)
    # Keras gives targets as floats where they were so, and asks for no other shape.
    assert value(loss(targets.astype("float32"), logits)) == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("smoothing", [0.0, 0.1, 0.9])
def test_gradient_of_the_token_loss(smoothing):
    """Against softmax minus the smoothed targets, over the number of real ones."""
    logits, targets = token_case()
    variable = tf.Variable(logits)
    with tf.GradientTape() as tape:
        loss = token_loss(targets, variable, smoothing)
    gradient = tape.gradient(loss, variable).numpy()
    expected = np.exp(log_softmax(logits)) - spread_targets(targets, 6, smoothing)
    expected = expected * (targets >= 0)[..., None] / 6
    np.testing.assert_allclose(gradient, expected, rtol=1e-4, atol=1e-7)


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_token_loss_of_padding_alone_is_nothing(smoothing):
    logits, _ = token_case()
    variable = tf.Variable(logits)
    with tf.GradientTape() as tape:
        loss = token_loss(np.full((3, 4), -1, "int32"), variable, smoothing)
    assert value(loss) == 0.0
    np.testing.assert_array_equal(tape.gradient(loss, variable).numpy(), np.zeros_like(logits))


def test_token_loss_in_a_graph_of_unknown_shape():
    logits, targets = token_case()
    specs = tf.TensorSpec((None, None), "int32"), tf.TensorSpec((None, None, 6), "float32")
    traced = tf.function(lambda t, x: token_loss(t, x, 0.1)).get_concrete_function(*specs)
    assert value(traced(tf.constant(targets), tf.constant(logits))) == pytest.approx(
        value(token_loss(targets, logits, 0.1)), rel=1e-6
    )
