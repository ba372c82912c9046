"""Any number of labels for a text, in every step from the table to the file."""

import dataclasses
import json
import random
import re

import keras
import numpy as np
import pytest
from click.testing import CliRunner

from keras_transformer.cli.main import main
from keras_transformer.edge.compare.compare import compare
from keras_transformer.edge.compress.prune import prune
from keras_transformer.edge.distill.distill import distill
from keras_transformer.edge.precision import PRECISIONS
from keras_transformer.edge.quantize.qat import quantize
from keras_transformer.edge.runtime.packed import pack, unpack
from keras_transformer.edge.runtime.runner import Runner
from keras_transformer.edge.targets.convert import convert
from keras_transformer.zoo.checkpoint import Checkpoint
from keras_transformer.zoo.errors import InputError
from keras_transformer.zoo.losses.label_sets import LabelSetLoss
from keras_transformer.zoo.outputs import LabelSet
from keras_transformer.zoo.tasks.measure import evaluate
from keras_transformer.zoo.tasks.multi_label import MultiLabel
from keras_transformer.zoo.tasks.registry import task_from_json
from keras_transformer.zoo.training.train import train
from tests.slow import mostly_slow
from tests.zoo import tiny

LABELS = ("fruit", "metal", "old")
WORDS = {"fruit": ("apple", "pear", "plum"), "metal": ("iron", "zinc", "tin"), "old": ("ancient",)}


def refused(message):
    return pytest.raises(InputError, match=f"^{re.escape(message)}$")


def write_sets(folder):
    """Tables of texts with a word for each of their labels, `old` being rare."""
    rng = random.Random(0)
    for name, count in (("train.tsv", 160), ("validation.tsv", 64)):
        lines = ["text\ttopics"]
        for _ in range(count):
            shares = {"fruit": 0.5, "metal": 0.4, "old": 0.2}
            labels = [one for one, share in shares.items() if rng.random() < share]
            words = rng.choices(tiny.FILLERS, k=3) + [rng.choice(WORDS[one]) for one in labels]
            rng.shuffle(words)
            lines.append(f"{' '.join(words)}\t{'|'.join(labels)}")
        (folder / name).write_text("\n".join(lines) + "\n", encoding="utf-8")


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """The folder and the model of a run."""
    folder = tmp_path_factory.mktemp("sets")
    write_sets(folder)
    checkpoint = train(
        "bert_tiny", MultiLabel(separator="|", class_weights="balanced"),
        train=folder / "train.tsv", validation=folder / "validation.tsv", label="topics",
        settings=dict(
            num_layers=1, hidden_dim=32, intermediate_dim=64, num_heads=2, dropout=0.0,
            pooling="mean",
        ),
        epochs=12, vocab_size=80,
        max_length=16, batch_tokens=128, learning_rate=0.01, out=folder / "out",
    )  # fmt: skip
    return folder, checkpoint


def test_labels_are_learned_with_thresholds_that_are_kept(trained):
    folder, checkpoint = trained
    found = checkpoint.metrics["validation"]
    assert found["micro_f1"] > 0.95 and found["mean_average_precision"] > 0.95
    task = checkpoint.task
    assert task.labels == LABELS and len(task.thresholds) == 3
    targets = checkpoint.task.read(folder / "train.tsv", {"label": "topics"}).targets
    ratio = (1 - targets).sum(axis=0) / targets.sum(axis=0)
    np.testing.assert_allclose(task.weights, ratio, rtol=1e-6)
    loaded = Checkpoint.load(folder / "out")
    assert dataclasses.asdict(loaded.task) == dataclasses.asdict(task)
    assert loaded.recipe.data.separator == "|"
    measured = loaded.evaluate(folder / "validation.tsv")
    assert measured["micro_f1"] == pytest.approx(found["micro_f1"])
    texts = ["the ancient things and some plum", "the box holds new iron", "things of ours"]
    first, second, third = loaded.predict(texts)
    assert isinstance(first, LabelSet)
    assert (set(first.labels), set(second.labels)) == ({"old", "fruit"}, {"metal"})
    assert third.labels == {}
    scores = dict(zip(LABELS, task.thresholds, strict=True))
    assert all(first.scores[one] >= scores[one] for one in first.labels)


def test_validation_data_with_another_label_is_refused(trained, tmp_path):
    _, checkpoint = trained
    path = tmp_path / "other.tsv"
    path.write_text("text\ttopics\na pear\tfruit\na thing\tfruit|new\n", encoding="utf-8")
    with refused(
        f"{path}, line 3: unknown label 'new'; the known labels are 'fruit', 'metal', 'old'."
    ):
        checkpoint.evaluate(path)


@pytest.fixture(scope="module")
def quantized(trained):
    return quantize(trained[1], epochs=1)


@pytest.mark.parametrize("precision", mostly_slow(PRECISIONS, ["int8"]))
def test_files_choose_the_same_labels(trained, quantized, precision):
    folder, checkpoint = trained
    checkpoint = quantized if precision == "int8" else checkpoint
    rows = folder / "validation.tsv"
    calibration = rows if PRECISIONS[precision].is_static and precision != "int8" else None
    artifact = convert(checkpoint, precision, calibration=calibration)
    assert artifact.parity.agreement > 0.9 and artifact.parity.departing <= 0.05
    runner = Runner(artifact)
    assert runner.decision == {"thresholds": list(checkpoint.task.thresholds)}
    [one] = compare(checkpoint, artifact, rows)
    assert one.metric == "micro_f1"
    assert one.value == pytest.approx(evaluate(runner, rows)["micro_f1"])
    assert one.value > 0.85
    texts = ["the ancient things and some plum", "the box holds new iron"]
    expected, found = checkpoint.predict(texts), runner.predict(texts)
    assert [set(one.labels) for one in found] == [set(one.labels) for one in expected]


def test_a_quantized_model_tunes_its_own_thresholds(trained, quantized):
    assert len(quantized.task.thresholds) == 3
    assert quantized.task.thresholds != trained[1].task.thresholds
    assert quantized.task.weights == trained[1].task.weights
    assert quantized.metrics["validation"]["micro_f1"] > 0.9


@pytest.mark.slow
def test_it_is_pruned_and_distilled(trained):
    folder, checkpoint = trained
    pruned = prune(checkpoint, sparsity=0.5, epochs=1)
    assert pruned.metrics["validation"]["micro_f1"] > 0.6
    student = distill(
        checkpoint, "bert_tiny", settings={**tiny.SETTINGS, "hidden_dim": 8}, epochs=1, share=1.0
    )
    assert student.task == checkpoint.task and len(student.task.thresholds) == 3


@pytest.mark.slow
def test_other_targets_take_it_or_say_why_not(trained):
    _, checkpoint = trained
    with refused(
        "Expected one label of single texts for the target mediapipe, got multi-label."
    ):
        convert(checkpoint, target="mediapipe")
    artifact = convert(checkpoint, target="text")
    texts = ["the ancient things and some plum", "the box holds new iron"]
    found = Runner(artifact).predict(texts)
    assert [set(one.labels) for one in found] == [
        set(one.labels) for one in checkpoint.predict(texts)
    ]


@pytest.fixture(scope="module")
def float_file(trained):
    """The bytes of the float32 file of `trained`."""
    return bytes(convert(trained[1]))


@pytest.mark.parametrize("thresholds", [[0.5], [0.5, 0.5, 1.0], "abc", [0.5, 0.5, "x"], None])
def test_a_file_with_other_thresholds_is_refused(float_file, thresholds):
    flatbuffer, description, files = unpack(float_file)
    description["task"]["thresholds"] = thresholds
    with refused(
        "the file: expected thresholds to be 3 numbers above 0 and below 1, got "
        f"thresholds={thresholds!r}."
    ):
        Runner(pack(flatbuffer, description, files))


def test_the_command_line(trained, float_file, tmp_path):
    folder, _ = trained
    path = tmp_path / "m.tflite"
    path.write_bytes(float_file)
    run = CliRunner()
    for model in (path, folder / "out"):
        shown = run.invoke(main, ["run", str(model), "the ancient things and some plum", "--json"])
        [row] = json.loads(shown.stdout)["predictions"]
        assert set(row["labels"]) == {"fruit", "old"} and set(row["scores"]) == set(LABELS)
    texts = ["the ancient things and some plum", "things of ours"]
    shown = run.invoke(main, ["run", str(path), *texts])
    assert re.search(r"things of ours +-", shown.stdout) and "%" in shown.stdout
    shown = run.invoke(main, ["evaluate", str(path), "--data", str(folder / "validation.tsv")])
    assert shown.exit_code == 0, shown.output
    for text in ("micro", "exact match", "mean average precision", "Average precision", "old"):
        assert text in shown.stdout


def test_loss_is_the_mean_of_binary_cross_entropies():
    rng = np.random.default_rng(0)
    targets = (rng.random((5, 3)) < 0.5).astype("float32")
    logits = rng.normal(0, 3, (5, 3)).astype("float32")
    weights = np.array([1.0, 2.0, 0.5])
    p = 1 / (1 + np.exp(-logits.astype("float64")))
    plain = -(targets * np.log(p) + (1 - targets) * np.log(1 - p))
    found = LabelSetLoss()(targets, logits)
    np.testing.assert_allclose(found, plain.mean(), rtol=1e-5)
    found = LabelSetLoss(weights=weights.tolist())(targets, logits)
    np.testing.assert_allclose(
        found, (plain * np.where(targets > 0, weights, 1)).mean(), rtol=1e-5
    )
    found = LabelSetLoss(focal=2.0)(targets, logits)
    right = np.where(targets > 0, p, 1 - p)
    np.testing.assert_allclose(found, ((1 - right) ** 2 * plain).mean(), rtol=1e-5)
    smooth = targets * 0.8 + 0.1
    expected = -(smooth * np.log(p) + (1 - smooth) * np.log(1 - p)).mean()
    np.testing.assert_allclose(LabelSetLoss(0.2)(targets, logits), expected, rtol=1e-5)
    assert np.isfinite(LabelSetLoss()(targets, np.full((5, 3), 1e4, "float32")))
    again = keras.saving.deserialize_keras_object(
        keras.saving.serialize_keras_object(LabelSetLoss(0.1, (1.0, 2.0)))
    )
    assert again.get_config() == LabelSetLoss(0.1, (1.0, 2.0)).get_config()


def test_distillation_compares_each_label_alone():
    task = MultiLabel(labels=LABELS)
    rng = np.random.default_rng(0)
    expected, outputs = rng.normal(size=(2, 5, 3)).astype("float32")
    p, q = (1 / (1 + np.exp(-one.astype("float64") / 2)) for one in (expected, outputs))
    divergence = p * np.log(p / q) + (1 - p) * np.log((1 - p) / (1 - q))
    found = task.output_difference(None, expected, outputs, 2.0)
    np.testing.assert_allclose(found, divergence.mean() * 4, rtol=1e-4)
    np.testing.assert_allclose(task.output_difference(None, expected, expected, 2.0), 0, atol=1e-7)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"labels": ["a"]}, "Expected at least two labels, got ['a']."),
        ({"separator": ""}, "Expected separator to be one character, got separator=''."),
        ({"class_weights": "even"}, "Expected class_weights to be none or balanced, got "
         "class_weights='even'."),
        ({"labels": LABELS, "weights": (1.0,)}, "Expected weights to be 3 numbers above 0, got "
         "weights=[1.0]."),
        ({"labels": LABELS, "weights": 5}, "Expected weights to be 3 numbers above 0, got "
         "weights=[5]."),
        ({"labels": LABELS, "thresholds": 5}, "Expected thresholds to be 3 numbers above 0 and "
         "below 1, got thresholds=5."),
        ({"labels": LABELS, "thresholds": (0.0, 0.5, 0.5)}, "Expected thresholds to be 3 numbers "
         "above 0 and below 1, got thresholds=(0.0, 0.5, 0.5)."),
    ],
)  # fmt: skip
def test_impossible_tasks_are_refused(values, message):
    with refused(message):
        MultiLabel(**values)


def test_a_task_is_what_its_json_says():
    plain = MultiLabel(labels=LABELS)
    assert plain.to_json() == {"name": "multi-label", "pair": False}
    task = MultiLabel(labels=LABELS, pair=True, separator="|", thresholds=(0.1, 0.5, 0.25))
    found = task_from_json(json.loads(json.dumps(task.to_json())), LABELS)
    assert dataclasses.asdict(found) == dataclasses.asdict(task)


def test_its_options_are_no_other_task_s(tables):
    with refused("Expected no separator for classification, got separator='|'."):
        train(
            "bert_tiny", "classification", train=tables / "train.tsv", validation=0.2,
            separator="|",
        )  # fmt: skip


def test_a_file_of_a_model_that_was_trained_on_is_compared(trained, quantized):
    folder, checkpoint = trained
    artifact = convert(quantized)
    [one] = compare(checkpoint, artifact, folder / "validation.tsv")
    found = evaluate(Runner(artifact), folder / "validation.tsv")
    # Each has its own thresholds.
    assert one.value == pytest.approx(found["micro_f1"])
    assert one.checkpoint_value == checkpoint.metrics["validation"]["micro_f1"]
