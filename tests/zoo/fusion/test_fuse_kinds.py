"""Vectors, sets of labels and tags of several models, against the mean of the members' own."""

import numpy as np
import pytest

from keras_transformer.zoo.checkpoint import Checkpoint
from keras_transformer.zoo.errors import InputError
from keras_transformer.zoo.evaluation.label_sets import best_thresholds
from keras_transformer.zoo.fusion.fuse import fuse
from keras_transformer.zoo.logits import finite
from tests import tagging
from tests.zoo import tiny
from tests.zoo.fusion.test_fuse import drawn

TEXTS = ["the iron box", "an apple", "some old things of ours"]
DEEPER = {**tiny.SETTINGS, "num_layers": 2, "dropout": 0.0}
WIDER = {**tiny.SETTINGS, "hidden_dim": 24, "dropout": 0.0}


def pair_of(tables, settings=DEEPER, **values):
    """Two random models of a task, the second of other settings."""
    first, second = tiny.recipe(tables, **values), tiny.recipe(tables, settings=settings, **values)
    return [drawn(first, 1), drawn(second, 2)]


def test_vectors_have_the_mean_direction(tables, tmp_path):
    own = {"task": "embedding", "text_pair": "second", "label": "number"}
    members = pair_of(tables, **own)
    made = fuse(members, tmp_path / "fused")
    mean = sum(one.embed(TEXTS).astype("float64") for one in members)
    expected = mean / np.linalg.norm(mean, axis=1, keepdims=True)
    for one in (made, Checkpoint.load(tmp_path / "fused")):
        np.testing.assert_allclose(one.embed(TEXTS), expected, rtol=1e-4, atol=1e-6)
    assert made.evaluate(made.recipe.data.validation)["spearman"] == pytest.approx(
        made.metrics["validation"]["spearman"]
    )
    with pytest.raises(InputError, match="vectors are of one width, got hidden_dim=16, 24 in mem"):
        fuse(pair_of(tables, WIDER, **own))
    with pytest.raises(InputError, match="^Expected models of probabilities, numbers or answers"):
        fuse(members, by="fitted")


def test_label_sets_have_the_mean_probabilities(tables, tmp_path):
    members = pair_of(tables, WIDER, task="multi-label")
    made = fuse(members, tmp_path / "fused")
    rows = made.task.read(tables / "validation.tsv", made.columns)

    def sigmoid(logits):
        return 1 / (1 + np.exp(-logits.astype("float64")))

    shares = [sigmoid(one.scores(rows.texts)) for one in members]
    again = Checkpoint.load(tmp_path / "fused")
    for one in (made, again):
        np.testing.assert_allclose(
            sigmoid(one.scores(rows.texts)), np.mean(shares, axis=0), rtol=1e-4, atol=1e-6
        )
    # The thresholds are those of the mean, of no member.
    tuned = best_thresholds(rows.targets, finite(made.scores(rows.texts)))
    np.testing.assert_allclose(again.task.thresholds, tuned, rtol=1e-5)
    fitted = fuse(members, by="fitted").metrics
    losses = [one["cross_entropy"] for one in fitted["members"]]
    assert fitted["validation"]["cross_entropy"] <= min(losses) + 1e-5


def test_tags_have_the_mean_probabilities(tables):
    train, validation = tagging.sentences(60, 0), tagging.sentences(20, 1)
    recipes = (
        tiny.recipe(tables, task="token-classification", settings=one)
        for one in (tiny.SETTINGS, WIDER)
    )
    members = [
        drawn(recipe, seed, train=train, validation=validation)
        for seed, recipe in enumerate(recipes, start=1)
    ]
    made = fuse(members, data=validation)

    def shares_of(checkpoint):
        found = np.concatenate(checkpoint.outputs(validation[0]).scores).astype("float64")
        return np.exp(found) / np.exp(found).sum(axis=1, keepdims=True)

    expected = np.mean([shares_of(one) for one in members], axis=0)
    np.testing.assert_allclose(shares_of(made), expected, rtol=1e-4)
    assert made.evaluate(validation)["f1"] == made.metrics["validation"]["f1"]
    targets = np.concatenate(made.task.read(validation, made.columns).targets)
    rows = np.arange(len(targets))

    def loss(checkpoint):
        return -np.log(shares_of(checkpoint)[rows, targets]).mean()

    fitted = fuse(members, by="fitted", data=validation)
    assert loss(fitted) <= min(map(loss, (*members, made))) + 1e-4
    assert fuse(members, by="vote", data=validation).config.outputs.combine == "votes"
