"""Files of models of embeddings: vectors of length 1 in every precision and for every host."""

import dataclasses
import itertools

import numpy as np
import pytest

from keras_transformer.edge.compare.compare import compare
from keras_transformer.edge.compare.parity import Parity
from keras_transformer.edge.demo.demo import check_files
from keras_transformer.edge.precision import get_precision
from keras_transformer.edge.runtime.packed import pack, unpack
from keras_transformer.edge.runtime.runner import Runner
from keras_transformer.edge.targets.convert import convert
from keras_transformer.edge.tflite.schema import count_ops
from keras_transformer.zoo.errors import InputError, RunError
from keras_transformer.zoo.models.build import build, get_weights, set_weights
from keras_transformer.zoo.outputs import Vector, cosines
from keras_transformer.zoo.tasks.measure import evaluate
from tests.edge.models import calibration, random_model
from tests.slow import mostly_slow

TEXTS = ["w1 w2 w3", "w30 w5", "w9", "w3 w3 w8 w7 w12"]
POOLED = {"pooling": "mean"}, {"pooling": "first", "pooler": "none"}
PAIRS = TEXTS[:3], TEXTS[1:], [1.0, 2.0, 5.0]


def in_full(checkpoint):
    """The checkpoint whose vectors keep their length."""
    task = dataclasses.replace(checkpoint.task, normalize=False)
    model = build(checkpoint.config, task)
    set_weights(model, get_weights(checkpoint.model))
    return dataclasses.replace(checkpoint, task=task, model=model)


@pytest.fixture(scope="module")
def embedder():
    return random_model("embedding", pooling="mean")


@pytest.fixture(scope="module")
def file(embedder):
    return convert(embedder)


@pytest.mark.parametrize(
    ("settings", "precision"),
    mostly_slow(
        itertools.product(POOLED, ("float32", "float16", "dynamic_int8", "int8", "integer")),
        [(POOLED[0], "int8")],
    ), ids=str,
)  # fmt: skip
def test_vectors_have_length_1_in_every_precision(precision, settings):
    checkpoint = random_model("embedding", **settings)
    given = {"calibration": calibration()} if get_precision(precision).is_static else {}
    artifact, plain = (
        convert(one, precision, **given) for one in (checkpoint, in_full(checkpoint))
    )
    found, whole = Runner(artifact).embed(TEXTS), Runner(plain).embed(TEXTS)
    assert found.shape == (4, 32) and found.dtype == "float32"
    np.testing.assert_allclose(np.linalg.norm(found, axis=1), 1.0, rtol=1e-6)
    lengths = np.linalg.norm(whole, axis=1, keepdims=True)
    assert np.abs(lengths - 1).min() > 0.5
    np.testing.assert_allclose(found, whole / lengths, atol=1e-6)
    # The division is the last op, of floats, whatever is stored before it.
    ops = count_ops(unpack(artifact)[0])
    ops.subtract(count_ops(unpack(plain)[0]))
    assert {name: more for name, more in ops.items() if more} == {"L2_NORMALIZATION": 1}
    assert artifact.description["output_step"] is None
    assert artifact.parity.agreement is None and artifact.parity.cosine > 0.99
    assert cosines(found, checkpoint.embed(TEXTS)).min() > 0.9


def test_each_length_gives_the_same_vectors(embedder, file):
    several = Runner(convert(embedder, lengths=[4, 12]))
    np.testing.assert_allclose(several.embed(TEXTS), Runner(file).embed(TEXTS), atol=1e-6)


def test_a_file_predicts_vectors_and_measures_itself(embedder, file):
    runner = Runner(file)
    [first, *_] = runner.predict(TEXTS)
    assert isinstance(first, Vector) and not first.truncated
    np.testing.assert_array_equal(first.vector, runner.embed(TEXTS)[0])
    assert runner.embed([]).shape == (0, 32) and runner.predict([]) == []
    assert evaluate(runner, PAIRS)["spearman"] == evaluate(embedder, PAIRS)["spearman"]
    [found] = compared = compare(embedder, file, PAIRS)
    assert found.value == found.checkpoint_value
    assert (found.parity.rows, found.metric) == (6, "spearman")
    assert "smallest cosine" in repr(compared) and "1.0000" in repr(compared)
    assert "agreement" not in repr(compared)


def test_workers_give_the_same_vectors(file):
    np.testing.assert_array_equal(Runner(file, workers=2).embed(TEXTS), Runner(file).embed(TEXTS))


def test_the_card_says_cosines_and_no_choice(file, tmp_path):
    card = file.card(tmp_path / "m.tflite")
    assert "cosines of 1.0000 and above" in card
    assert "the same choice" not in card and "one of its labels" not in card


@pytest.mark.slow
def test_mediapipe_gets_a_text_embedder_without_being_asked(embedder):
    expected = Runner(convert(embedder)).embed(TEXTS)
    artifact = convert(embedder, target="mediapipe")
    assert bytes(artifact) == bytes(convert(embedder, target="mediapipe", embedding=True))
    np.testing.assert_allclose(Runner(artifact).embed(TEXTS), expected, atol=1e-6)
    assert "text.TextEmbedder.create_from_options" in artifact.card("m.tflite")
    with pytest.raises(InputError, match="^Expected no score calibration for a model of vectors"):
        convert(embedder, target="mediapipe", score_calibration=b"1,1,1")


@pytest.mark.slow
def test_other_hosts(embedder):
    expected = Runner(convert(embedder)).embed(TEXTS)
    for target, options in (("mediapipe", {"embedding": True}), ("text", {})):
        runner = Runner(convert(embedder, target=target, **options))
        np.testing.assert_allclose(runner.embed(TEXTS), expected, atol=1e-6, err_msg=target)


def test_the_demo_page_shows_no_vectors(file, tmp_path):
    path = tmp_path / "m.tflite"
    path.write_bytes(bytes(file))
    with pytest.raises(InputError, match="^Expected a file that predicts or writes, .* gives vect"):
        check_files([path])


def test_a_file_of_another_width_is_refused(file):
    flatbuffer, description, attached = unpack(bytes(file))
    changed = {**description, "model": {**description["model"], "hidden_dim": 31}}
    with pytest.raises(InputError, match="vectors of the model's hidden_dim=31, got 32 outputs"):
        Runner(pack(flatbuffer, changed, attached))


def parity(cosine, **changes):
    values = {
        "rows": 9, "agreement": None, "largest": 0.5, "relative": 0.0, "steps": 99.0,
        "most_steps": 99.0, "cosine": cosine,
    }  # fmt: skip
    return Parity(**{**values, **changes})


@pytest.mark.parametrize(
    ("precision", "limit"),
    [("int8", 0.98), ("dynamic_int8", 0.98), ("int4", 0.98), ("integer", 0.97)],
)
def test_vectors_that_point_elsewhere_are_refused(precision, limit):
    spec = get_precision(precision)
    parity(limit + 0.001).check(spec)
    with pytest.raises(RunError, match=f"within a cosine of {limit}, got {limit - 0.01:.4f} on 9 "):
        parity(limit - 0.01).check(spec)
    with pytest.raises(RunError, match="within a cosine of "):
        parity(1.0, largest=np.nan).check(spec)
