"""QAT that learns from the float model, against losses in NumPy."""

import dataclasses
import re

import numpy as np
import pytest
import scipy.special

from keras_transformer.edge.precision import get_precision
from keras_transformer.edge.quantize import qat
from keras_transformer.edge.quantize.qat import quantize, quantized_model
from keras_transformer.zoo.checkpoint import Checkpoint
from keras_transformer.zoo.errors import InputError
from keras_transformer.zoo.models.build import build, get_weights, set_weights
from tests.edge.distill.test_distill import untrained
from tests.slow import mostly_slow
from tests.zoo import tiny

TEXTS = ["rain and wind today", "a song", "some cheese", "the violin of a choir"]
TARGETS = ["weather", "music", "food", "music"]


@pytest.fixture(scope="module")
def unsure(runs):
    """A float model without dropout that rounding changes: no class is all but certain."""
    recipe = runs.trained.recipe
    settings = {**recipe.model.settings, "attention_dropout": 0.0}
    floats = untrained(recipe.replace(settings=settings))
    rng = np.random.default_rng(0)
    shapes = {path: value.shape for path, value in get_weights(floats.model).items()}
    set_weights(floats.model, {path: rng.normal(0, 0.3, shape) for path, shape in shapes.items()})
    return floats


def first_loss(floats, **options):
    """The loss of the first step, on a batch of all of `TEXTS`."""
    heard = tiny.Heard()
    made = quantize(
        floats, "int4", train=list(zip(TEXTS, TARGETS, strict=True)), epochs=1, report=heard,
        token_dropout=0.0, **options,
    )  # fmt: skip
    assert [step for step, _ in heard.steps] == [1]
    return heard.steps[0][1], made


@pytest.mark.parametrize(
    ("share", "temperature"), mostly_slow([(1.0, 1.0), (1.0, 3.0), (0.25, 2.0)], [(0.25, 2.0)])
)
def test_the_loss_is_that_of_the_float_model_and_the_labels(unsure, share, temperature):
    spec = get_precision("int4")
    rounded = dataclasses.replace(
        unsure, model=quantized_model(unsure, None, "int4"), bits=spec.bits
    )
    expected, found = (one.scores(TEXTS).astype("float64") for one in (unsure, rounded))
    soft, softer = (scipy.special.softmax(x / temperature, axis=-1) for x in (expected, found))
    divergence = scipy.special.rel_entr(soft, softer).sum(axis=-1).mean() * temperature**2
    smoothing = unsure.recipe.optimizer.label_smoothing
    classes = [unsure.labels.index(label) for label in TARGETS]
    wanted = (1 - smoothing) * np.eye(3)[classes] + smoothing / 3
    labels = -(wanted * scipy.special.log_softmax(found, axis=-1)).sum(axis=-1).mean()
    assert divergence > 1e-3
    loss, _ = first_loss(unsure, share=share, temperature=temperature)
    assert loss == pytest.approx(share * divergence + (1 - share) * labels, rel=1e-4)


@pytest.mark.slow
def test_the_recipe_has_the_share_and_the_float_model_stays(unsure):
    before = get_weights(unsure.model)
    _, made = first_loss(unsure, share=0.25, temperature=3)
    done = made.recipe.distill
    assert (done.share, done.temperature, done.init) == (0.25, 3.0, "student")
    tiny.assert_same_weights(get_weights(unsure.model), before)


@pytest.mark.slow
@pytest.mark.parametrize("share", [0.5, 1.0])
def test_there_is_no_dropout_where_labels_do_not_count(runs, share):
    _, made = first_loss(runs.trained, share=share)
    assert made.config.attention_dropout == runs.trained.config.attention_dropout == 0.1
    ids = {"ids": np.arange(5, 13, dtype="int32").reshape(2, 4)}
    training, running = (np.asarray(made.model(ids, training=one)) for one in (True, False))
    assert np.array_equal(training, running) == (share == 1)


def test_without_a_share_the_float_model_is_not_run(unsure, monkeypatch):
    def followed(*arguments):
        raise AssertionError("The float model is run.")

    monkeypatch.setattr(qat, "Following", followed)
    _, made = first_loss(unsure, share=0.0)
    assert made.recipe.distill is None


@pytest.mark.slow
@pytest.mark.parametrize("precision", ["int8", "integer", "dynamic_int8"])
@pytest.mark.parametrize("recipe", [tiny.language_recipe, tiny.translation_recipe])
def test_models_of_text_follow_the_float_one(tables, recipe, precision):
    """A loss without labels begins near zero, since the weights are those of the float model."""
    floats = untrained(recipe(tables))
    heard = tiny.Heard()
    made = quantize(floats, precision, share=1.0, epochs=1, report=heard)
    assert heard.epochs[0][1] < 0.05 * made.metrics["validation"]["loss"]


@pytest.mark.slow
def test_what_was_trained_in_bfloat16_is_followed(runs, tmp_path):
    """A model still in memory computes as it was trained; the simulation is in float32."""
    model = build(runs.trained.config, runs.trained.task, dtype="mixed_bfloat16")
    set_weights(model, get_weights(runs.trained.model))
    heard = tiny.Heard()
    made = quantize(
        dataclasses.replace(runs.trained, model=model), out=tmp_path / "int8", share=1.0,
        epochs=1, report=heard,
    )  # fmt: skip
    assert heard.epochs[0][1] < 0.1
    assert made.metrics["validation"]["accuracy"] > 0.9
    assert Checkpoint.load(tmp_path / "int8").recipe.distill == made.recipe.distill


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"share": 1.5}, "Expected share to be from 0 to 1, got share=1.5."),
        ({"share": -0.1}, "Expected share to be from 0 to 1, got share=-0.1."),
        ({"share": float("nan")}, "Expected share to be from 0 to 1, got share=nan."),
        ({"temperature": 0.0}, "Expected temperature to be above 0, got temperature=0.0."),
    ],
)
def test_what_cannot_be(runs, tmp_path, options, sentence):
    with pytest.raises(InputError, match=f"^{re.escape(sentence)}$"):
        quantize(runs.trained, out=tmp_path / "int8", **options)
    assert list(tmp_path.iterdir()) == []
