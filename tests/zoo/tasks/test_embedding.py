"""Embeddings of texts: vectors, their cosines as scores, and what is refused."""

import dataclasses
import re

import keras
import numpy as np
import pytest
import scipy.stats
import tensorflow as tf

from keras_transformer.edge.distill.distill import distill
from keras_transformer.edge.quantize.qat import quantize
from keras_transformer.zoo.checkpoint import Checkpoint
from keras_transformer.zoo.errors import InputError
from keras_transformer.zoo.models.heads import Head
from keras_transformer.zoo.outputs import Outputs, Vector
from keras_transformer.zoo.tasks.embedding import Embedding
from keras_transformer.zoo.tasks.registry import task_from_json, tasks_for
from keras_transformer.zoo.training.run_data import read_inputs
from keras_transformer.zoo.training.train_recipe import train_recipe
from tests.zoo import tiny

PAIRS = ["a", "b c", "d"], ["e f", "g", "h"], [5.0, 1.0, 3.0]
IRON, PLUM = ["the iron box", "some old zinc"], ["our plum", "new things and an apple"]


def refused(message):
    return pytest.raises(InputError, match=f"^{re.escape(message)}$")


@pytest.fixture(scope="module")
def trained(tables, tmp_path_factory):
    """The folder and the model of a run where texts of one kind of keyword are similar."""
    folder = tmp_path_factory.mktemp("similar")
    for name in ("train.tsv", "validation.tsv"):
        rows = [
            line.split("\t")
            for line in (tables / name).read_text(encoding="utf-8").splitlines()[1:]
        ]
        lines = [f"{row[0]}\t{row[2]}\t{5 if row[1] == row[3] else 1}" for row in rows]
        text = "\n".join(["text\tsecond\tscore", *lines])
        (folder / name).write_text(f"{text}\n", encoding="utf-8")
    recipe = tiny.recipe(
        folder, task="embedding", text_pair="second", label="score", epochs=12,
        settings={**tiny.SETTINGS, "pooling": "mean"},
    )  # fmt: skip
    return folder, train_recipe(recipe, folder / "out")


def test_texts_of_one_kind_get_similar_vectors(trained, tmp_path):
    folder, checkpoint = trained
    assert checkpoint.metrics["validation"]["spearman"] > 0.8
    assert (checkpoint.task.lowest, checkpoint.task.highest) == (1.0, 5.0)
    vectors = checkpoint.embed(IRON + PLUM)
    assert vectors.shape == (4, 16) and vectors.dtype == "float32"
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1.0, rtol=1e-6)
    products = vectors @ vectors.T
    assert min(products[0, 1], products[2, 3]) > products[:2, 2:].max() + 0.2
    found = checkpoint.evaluate(folder / "validation.tsv")
    assert found["spearman"] == pytest.approx(checkpoint.metrics["validation"]["spearman"])
    loaded = Checkpoint.load(folder / "out")
    assert dataclasses.asdict(loaded.task) == dataclasses.asdict(checkpoint.task)
    np.testing.assert_allclose(loaded.embed(IRON), vectors[:2], atol=1e-6)
    [first, _] = loaded.predict(IRON)
    assert isinstance(first, Vector) and not first.truncated
    np.testing.assert_allclose(first.vector, vectors[0], atol=1e-6)
    assert loaded.embed([]).shape == (0, 16)
    loaded.model.save(tmp_path / "m.keras")
    inputs = {"ids": loaded.probes["ids"]}
    np.testing.assert_allclose(
        keras.models.load_model(tmp_path / "m.keras").predict_on_batch(inputs),
        loaded.model.predict_on_batch(inputs), atol=1e-6,
    )  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize(
    "of",
    [
        lambda checkpoint: quantize(checkpoint, epochs=1),
        lambda checkpoint: quantize(checkpoint, epochs=1, share=1.0),
        lambda checkpoint: distill(checkpoint, checkpoint, epochs=1),
        lambda checkpoint: distill(
            checkpoint, "bert_tiny", epochs=8,
            settings={**tiny.SETTINGS, "hidden_dim": 24, "pooling": "mean"},
        ),  # fmt: skip
    ],
    ids=["int8", "int8 of the float model", "distilled on", "distilled anew, of another width"],
)
def test_what_goes_on_from_vectors_stays_as_good(trained, of):
    assert of(trained[1]).metrics["validation"]["spearman"] > 0.75


def test_a_validation_share_keeps_pairs_together(trained):
    folder, _ = trained
    _, train, validation = Embedding().read_parts(
        folder / "train.tsv", 0.25, {"text_pair": "second", "label": "score"}
    )
    assert (len(train), len(validation)) == (72, 24)
    lines = (folder / "train.tsv").read_text(encoding="utf-8").splitlines()
    for one, other, score, line in zip(
        validation.texts, validation.pairs, validation.targets, validation.lines, strict=True
    ):
        assert lines[line - 1] == f"{one}\t{other}\t{score:.0f}"


def test_the_model_reads_all_first_texts_and_then_the_second():
    examples = Embedding().read(PAIRS)
    assert Embedding().rows(examples) == (["a", "b c", "d", "e f", "g", "h"], None)
    singles = Embedding().read((["a", "b"],), labelled=False)
    assert singles.pairs is None
    assert Embedding().rows(singles) == (["a", "b"], None)


def test_rows_to_calibrate_on_may_be_single_texts(trained, tmp_path):
    folder, checkpoint = trained
    path = tmp_path / "texts.tsv"
    path.write_text("text\nthe iron box\nour plum\n", encoding="utf-8")
    assert len(read_inputs(checkpoint, path, **checkpoint.columns)["ids"]) == 2
    both = read_inputs(checkpoint, folder / "train.tsv", **checkpoint.columns)
    assert len(both["ids"]) == 2 * 96


class Fixed:
    """A predictor of fixed vectors, which cuts the second and the last of six texts."""

    def __init__(self, vectors):
        self.vectors = vectors

    def outputs(self, texts, pairs=None):
        assert (len(texts), pairs) == (6, None)
        return Outputs(self.vectors, [False, True, False, False, False, True])


def test_metrics_are_those_of_cosines():
    vectors = np.random.default_rng(0).normal(size=(6, 4)).astype("float32") * 7
    task = Embedding(lowest=0.0, highest=5.0)
    found = task.evaluate(Fixed(vectors), task.read(PAIRS))
    pairs = zip(vectors[:3], vectors[3:], strict=True)
    cosines = [a @ b / np.linalg.norm(a) / np.linalg.norm(b) for a, b in pairs]
    assert found["spearman"] == pytest.approx(scipy.stats.spearmanr(cosines, PAIRS[2])[0])
    assert found["pearson"] == pytest.approx(scipy.stats.pearsonr(cosines, PAIRS[2])[0])
    squares = np.square(5 * np.array(cosines) - PAIRS[2])
    assert found["mean_squared_error"] == pytest.approx(squares.mean())
    assert (found["rows"], found["truncated"]) == (3, 2)


def test_scores_that_are_all_one_number():
    examples = Embedding().read((*PAIRS[:2], [2.0] * 3))
    task = Embedding().learned_from(examples)
    assert (task.lowest, task.highest) == (1.0, 2.0)
    assert set(task.undefined(examples)) == {"pearson", "spearman"}
    assert task.defined(task.selection, examples) == task.fallback


def test_the_loss_is_that_of_cosines_whatever_the_lengths():
    vectors = np.array([[1, 0], [0, 2], [3, 0], [0, 0], [3, 3], [5, 5]], "float32")
    loss = Embedding(lowest=1.0, highest=3.0).loss()
    # Cosines of 0, sqrt(1/2) and sqrt(1/2) in place of 0, 1 and 0.
    expected = ((1 - 0.5**0.5) ** 2 + 0.5) / 3
    found = loss(np.array([1.0, 3.0, 1.0], "float32"), vectors)
    assert float(found) == pytest.approx(expected, rel=1e-5)
    again = keras.losses.deserialize(keras.losses.serialize(loss))
    assert (again.lowest, again.highest) == (1.0, 3.0)
    variable = tf.Variable(vectors)
    with tf.GradientTape() as tape:
        value = loss(np.array([1.0, 3.0, 1.0], "float32"), variable)
    assert np.isfinite(tape.gradient(value, variable)).all()


def test_the_difference_of_a_students_vectors():
    difference = Embedding().output_difference
    teacher = np.array([[1.0, 0.0], [0.0, 1.0]], "float32")
    student = np.array([[2.0, 0.0], [1.0, 1.0]], "float32")
    assert float(difference(None, teacher, student, 1.0)) == pytest.approx((1 - 0.5**0.5) / 2)
    # In the other space their cosine is the square root of a half, too.
    wider = np.array([[2.0, 0.0, 0.0], [1.0, 0.0, 1.0]], "float32")
    assert float(difference(None, teacher, wider, 1.0)) == pytest.approx(0.25, rel=1e-5)


def test_json_round_trip_and_head():
    task = Embedding(normalize=False, lowest=-1.0, highest=2.5)
    value = task.to_json()
    assert value == {
        "name": "embedding", "pair": False, "normalize": False, "lowest": -1.0, "highest": 2.5
    }  # fmt: skip
    assert dataclasses.asdict(task_from_json(value, ())) == dataclasses.asdict(task)
    assert task_from_json({"name": "embedding", "pair": False}, ()) == Embedding()
    assert task.head() == Head(kind="vector")
    assert Embedding().head() == Head(kind="vector", normalize=True)
    assert "embedding" in tasks_for("encoder") and "embedding" not in tasks_for("decoder")


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"pair": True}, "Expected a model of single texts for embedding, got pair=True."),
        ({"normalize": 1}, "Expected normalize to be true or false, got normalize=1."),
        *(
            (
                {"lowest": lowest, "highest": highest},
                "Expected lowest and highest to be finite numbers in ascending order, got "
                f"lowest={lowest!r}, highest={highest!r}.",
            )
            for lowest, highest in (
                (1.0, 1.0), (0.0, float("nan")), (float("-inf"), 1.0), ("0", 1.0), (False, 1.0)
            )
        ),
    ],
)  # fmt: skip
def test_impossible_values(given, message):
    with refused(message):
        Embedding(**given)


def test_data_without_pairs_or_scores():
    task = Embedding()
    with refused("data: expected a column of second texts to train on."):
        task.learned_from(task.read((["a"],), labelled=False))
    with refused("data: expected a column of second texts to evaluate on."):
        task.evaluate(None, task.read((["a"],), labelled=False))
    with refused(
        "data: expected a column of scores (label) to train on, or objective=ranking for pairs "
        "that match."
    ):
        task.learned_from(task.read(PAIRS[:2]))
    with pytest.raises(InputError, match=r"data: there is no column 'text_pair'"):
        task.read({"text": ["a"], "label": [1.0]})
    with refused("Expected label_smoothing to be 0 for embedding, got label_smoothing=0.1."):
        task.loss(0.1)


def test_models_of_other_tasks_have_no_vectors(learned):
    with refused("Expected a model of embeddings, got one of classification."):
        Checkpoint.load(learned[0]).embed(["a"])
