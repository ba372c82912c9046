"""Weights, the focal loss and calibrated probabilities of classifications."""

import dataclasses
import json
import re

import numpy as np
import pytest
import scipy.special
import sklearn.utils.class_weight
import tensorflow as tf
from click.testing import CliRunner

from keras_transformer.cli.main import main
from keras_transformer.edge.runtime.packed import pack, unpack
from keras_transformer.edge.runtime.runner import Runner
from keras_transformer.edge.targets.convert import convert
from keras_transformer.zoo.checkpoint import Checkpoint
from keras_transformer.zoo.errors import InputError
from keras_transformer.zoo.losses.losses import ClassLoss
from keras_transformer.zoo.tasks.classification import Classification
from keras_transformer.zoo.tasks.measure import evaluate
from keras_transformer.zoo.tasks.registry import task_from_json
from keras_transformer.zoo.training.train_recipe import train_recipe
from tests.zoo import tiny

TEXTS = ["the iron box", "our plum", "things"]


def refused(message):
    return pytest.raises(InputError, match=f"^{re.escape(message)}$")


def test_the_loss_is_that_of_the_papers():
    rng = np.random.default_rng(0)
    logits = rng.normal(0, 2, (6, 3)).astype("float32")
    targets = np.array([0, 1, 2, 2, 1, 0])
    weights = np.array([0.5, 2.0, 1.0])
    log_p = scipy.special.log_softmax(logits.astype("float64"), axis=1)
    own = log_p[np.arange(6), targets]
    factor = weights[targets] * (1 - np.exp(own)) ** 1.5
    found = ClassLoss(weights=weights.tolist(), focal=1.5)(targets, logits)
    np.testing.assert_allclose(found, -(factor * own).mean(), rtol=1e-5)
    smoothed = -(0.7 * own + 0.1 * log_p.sum(axis=1))
    found = ClassLoss(0.3, weights.tolist(), 1.5)(targets, logits)
    np.testing.assert_allclose(found, (factor * smoothed).mean(), rtol=1e-5)


def test_the_focal_loss_of_a_certain_row_has_a_gradient():
    logits = tf.Variable([[40.0, 0.0], [0.0, 40.0]])
    with tf.GradientTape() as tape:
        loss = ClassLoss(focal=0.5)(np.array([0, 0]), logits)
    assert np.isfinite(tape.gradient(loss, logits).numpy()).all() and loss > 10


def test_balanced_weights_are_those_of_scikit_learn():
    texts, labels = ["a"] * 10, ["x"] * 6 + ["y"] * 3 + ["z"]
    task = Classification(class_weights="balanced")
    learned = task.learned_from(task.read((texts, labels)))
    expected = sklearn.utils.class_weight.compute_class_weight(
        "balanced", classes=np.array(["x", "y", "z"]), y=labels
    )
    np.testing.assert_allclose(learned.weights, expected)
    assert task.loss().weights == () and learned.loss().weights == learned.weights
    # Of labels that are given, one may have no row.
    named = Classification(class_weights="balanced", labels=["w", "x", "y", "z"])
    weights = named.learned_from(named.read((texts, labels))).weights
    np.testing.assert_allclose(weights, [1.0, *expected * 3 / 4])


def test_options_reach_the_loss_and_the_checkpoint(tables):
    recipe = tiny.recipe(tables, class_weights="balanced", focal=2, calibrate=False, epochs=1)
    trained = train_recipe(recipe)
    assert trained.task.focal == 2 and len(trained.task.weights) == 2
    assert trained.task.temperature == 1.0 and not trained.task.calibrate
    assert trained.model.loss.get_config()["focal"] == 2
    again = task_from_json(json.loads(json.dumps(trained.task.to_json())), trained.labels)
    assert dataclasses.asdict(again) == dataclasses.asdict(trained.task)


def test_probabilities_are_calibrated_in_checkpoints_and_files(learned, float_file, tables):
    folder, trained = learned
    temperature = trained.task.temperature
    assert temperature != 1.0
    loaded, runner = Checkpoint.load(folder), Runner(float_file)
    assert runner.decision == loaded.decision == {"temperature": temperature}
    expected = scipy.special.softmax(trained.scores(TEXTS) / temperature, axis=1)
    text = Runner(convert(trained, target="text"))
    for predictor in (trained, loaded, runner, text):
        found = [list(one.scores.values()) for one in predictor.predict(TEXTS)]
        np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-6)
    plain = dataclasses.replace(trained, task=dataclasses.replace(trained.task, temperature=1.0))
    rows = tables / "validation.tsv"
    one, other = (each.evaluate(rows) for each in (trained, plain))
    assert one["accuracy"] == other["accuracy"] and one["macro_f1"] == other["macro_f1"]
    assert one["expected_calibration_error"] != other["expected_calibration_error"]
    found = trained.metrics["validation"]["expected_calibration_error"]
    assert found == pytest.approx(one["expected_calibration_error"])
    labels = [prediction.label for prediction in trained.predict(TEXTS)]
    assert [prediction.label for prediction in plain.predict(TEXTS)] == labels


@pytest.fixture(scope="module")
def float_file(learned):
    """The bytes of the float32 file of `learned`."""
    return bytes(convert(learned[1]))


@pytest.mark.parametrize("temperature", [0.0, "hot", None, float("nan"), 1])
def test_a_file_with_another_temperature_is_refused(float_file, temperature):
    flatbuffer, description, files = unpack(float_file)
    description["task"]["temperature"] = temperature
    with pytest.raises(InputError, match="temperature"):
        Runner(pack(flatbuffer, description, files))


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"focal": -1.0}, "Expected focal to be a number from 0 to 10, got focal=-1.0."),
        ({"focal": "2"}, "Expected focal to be a number from 0 to 10, got focal='2'."),
        ({"calibrate": 1}, "Expected calibrate to be true or false, got calibrate=1."),
        ({"temperature": 0.0}, "Expected temperature to be a number from 0.01 to 100, got "
         "temperature=0.0."),
        ({"labels": ["a", "b"], "weights": (1.0, 0.0)}, "Expected weights to be 2 numbers above 0, "
         "got weights=[1.0, 0.0]."),
    ],
)  # fmt: skip
def test_impossible_tasks_are_refused(values, message):
    with refused(message):
        Classification(**values)


@pytest.fixture(scope="module")
def scoped(tables, tmp_path_factory):
    """The folder and the model of a run with rows out of its scope: those without a keyword."""
    folder = tmp_path_factory.mktemp("scoped")
    lines = ["text\tlabel", *(f"{word} things of ours\tnone" for word in tiny.FILLERS)]
    (folder / "outside.tsv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    recipe = tiny.recipe(tables, epochs=6, out_of_scope=str(folder / "outside.tsv"))
    return folder, train_recipe(recipe, folder / "out")


def test_what_is_out_of_scope_has_no_label(scoped, tables):
    folder, trained = scoped
    decides = trained.task.out_of_scope
    assert decides["score"] == "probability" and 0 < decides["threshold"] < 1.01
    artifact = convert(trained)
    loaded, runner = Checkpoint.load(folder / "out"), Runner(artifact)
    assert loaded.decision == runner.decision
    texts = [*TEXTS, *(f"{word} things of ours" for word in tiny.FILLERS)]
    expected = trained.scores(texts)
    largest = scipy.special.softmax(expected / trained.task.temperature, axis=1).max(axis=1)
    # Rounding decides where a probability is next to the threshold.
    clear = np.abs(largest - decides["threshold"]) > 1e-4
    assert clear.sum() > 5
    for predictor in (trained, loaded, runner):
        found = np.array([one.label is None for one in predictor.predict(texts)])
        np.testing.assert_array_equal(found[clear], (largest < decides["threshold"])[clear])
    rows = tables / "validation.tsv"
    for predictor in (loaded, runner):
        found = evaluate(predictor, rows, out_of_scope=folder / "outside.tsv")
        assert found["out_of_scope_rows"] == 10
        assert found["out_of_scope_recall"] + found["in_scope_accuracy"] > 1.0
        assert found["in_scope_accuracy"] <= found["accuracy"]
    measured = trained.metrics["validation"]
    for name in ("in_scope_accuracy", "out_of_scope_recall"):
        assert measured[name] == pytest.approx(found[name], abs=0.11), name
    card = artifact.card()
    assert "always answers" not in card and "always answers" in convert(
        dataclasses.replace(trained, task=dataclasses.replace(trained.task, out_of_scope=None))
    ).card()


def test_out_of_scope_is_shown(scoped, tables, tmp_path):
    folder, trained = scoped
    trained = dataclasses.replace(
        trained, task=dataclasses.replace(
            trained.task, out_of_scope={"score": "probability", "threshold": 2.0}
        ),
    )  # fmt: skip
    path = tmp_path / "m.tflite"
    path.write_bytes(bytes(convert(trained)))
    run = CliRunner()
    shown = run.invoke(main, ["run", str(path), "the iron box"])
    assert shown.stdout.strip().startswith("Out of scope") and "fruit" in shown.stdout
    shown = run.invoke(main, ["run", str(path), "the iron box", "a plum"])
    assert shown.stdout.count("out of scope") == 2
    shown = run.invoke(main, ["run", str(path), "the iron box", "--json"])
    assert json.loads(shown.stdout)["predictions"][0]["label"] is None
    command = ["evaluate", str(path), "--data", str(tables / "validation.tsv")]
    outside = ["--out-of-scope", str(folder / "outside.tsv")]
    shown = run.invoke(main, [*command, *outside, "--errors", str(tmp_path / "wrong.csv")])
    assert shown.exit_code == 0 and re.search(r"out of scope recall +1\.0000", shown.stdout)
    assert len((tmp_path / "wrong.csv").read_text().splitlines()) == 49


def test_who_rejects_nothing_says_so(learned, tables):
    with refused(
        "Expected a model that rejects what is out of its scope, got one without a threshold; "
        "train with --out-of-scope."
    ):
        evaluate(learned[1], tables / "validation.tsv", out_of_scope=tables / "validation.tsv")
    path = str(tables / "validation.tsv")
    with refused(f"Expected no out_of_scope for regression, got out_of_scope={path!r}."):
        train_recipe(tiny.recipe(tables, task="regression", label="number", out_of_scope=path))


def test_outputs_that_are_probabilities_have_no_energy(learned):
    trained = learned[1]
    decides = {"score": "energy", "threshold": 1.0}
    task = dataclasses.replace(trained.task, out_of_scope=decides)
    with refused(
        "Expected scope_score to be probability for the target text, whose outputs are "
        "probabilities, got scope_score='energy'."
    ):
        convert(dataclasses.replace(trained, task=task), target="text")
