"""Models of several tasks that answer as one, against what each head's members say alone."""

import dataclasses

import numpy as np
import pytest

from keras_transformer.zoo.checkpoint import Checkpoint
from keras_transformer.zoo.errors import InputError
from keras_transformer.zoo.fusion.fuse import fuse
from keras_transformer.zoo.models.build import build, get_weights, set_weights
from tests.multi_task import table, trained

TEXTS = ["the old ship saw Anna Stone and Lima .", "the ship saw nothing of Paris ."]


def moved(size, seed=0, **changes):
    """The trained model with other weights."""
    checkpoint = trained()
    model, rng = build(checkpoint.config, checkpoint.task), np.random.default_rng(seed)
    set_weights(
        model,
        {
            path: value + rng.normal(0, size, value.shape).astype("float32")
            for path, value in get_weights(checkpoint.model).items()
        },
    )
    return dataclasses.replace(checkpoint, model=model, **changes)


def with_task(task, **changes):
    return dataclasses.replace(task, tasks={**task.tasks, **changes})


@pytest.fixture(scope="module")
def members():
    """Two models, whose probabilities of kinds have temperatures of their own."""
    task = trained().task
    colder = dataclasses.replace(task.tasks["kind"], temperature=0.5)
    warmer = dataclasses.replace(task.tasks["kind"], temperature=2.0)
    return [
        dataclasses.replace(trained(), task=with_task(task, kind=colder)),
        moved(0.05, task=with_task(task, kind=warmer)),
    ]


def softmax(x):
    exponents = np.exp(x.astype("float64") - x.max(axis=-1, keepdims=True))
    return exponents / exponents.sum(axis=-1, keepdims=True)


@pytest.mark.slow
def test_each_head_has_the_mean_of_its_members(members, tmp_path):
    made = fuse(members, tmp_path / "fused")
    again = Checkpoint.load(tmp_path / "fused")
    assert made.head_names == again.head_names == ("kind", "names", "named")
    heads = [{name: one.head(name) for name in one.head_names} for one in members]
    kinds = [
        softmax(one["kind"].scores(TEXTS) / one["kind"].task.temperature) for one in heads
    ]
    tags = [softmax(np.concatenate(one["names"].scores(TEXTS))) for one in heads]
    numbers = [one["named"].scores(TEXTS, TEXTS) for one in heads]
    for checkpoint in (made, again):
        own = {name: checkpoint.head(name) for name in checkpoint.head_names}
        np.testing.assert_allclose(
            softmax(own["kind"].scores(TEXTS)), np.mean(kinds, axis=0), rtol=1e-4
        )
        np.testing.assert_allclose(
            softmax(np.concatenate(own["names"].scores(TEXTS))), np.mean(tags, axis=0), rtol=1e-4
        )
        np.testing.assert_allclose(
            own["named"].scores(TEXTS, TEXTS), np.mean(numbers, axis=0), rtol=1e-4
        )
    # The mean of probabilities has a temperature of its own.
    assert again.task.tasks["kind"].temperature not in (0.5, 2.0)
    found = made.metrics["validation"]
    assert found["mean"] == pytest.approx(
        np.mean([found[name] for name in ("kind accuracy", "names f1", "named pearson")])
    )
    assert [one["weight"] for one in again.metrics["members"]] == [0.5, 0.5]
    assert again.metrics["members"][0]["names f1"] > 0.9
    heads = again.recipe.model.settings["heads"]
    assert heads["kind"]["temperatures"] == [0.5, 2.0] and "temperatures" not in heads["names"]
    assert again.config.to_json()["heads"] == heads


def test_weights_are_fitted_for_each_head_to_what_members_give(members):
    """How batches were drawn and losses weighed is no difference between members."""
    other = dataclasses.replace(
        members[1].task, sampling_power=0.1, loss_weights="uncertainty", columns_of={}
    )
    members = [members[0], dataclasses.replace(members[1], task=other)]
    made = fuse(members, by="fitted", data=table())
    # Of a table that is given, the validation part is measured.
    assert len(made.rows["validation"]) == len(members[0].rows["validation"])
    outputs = made.config.outputs
    rows = members[0].rows["validation"].parts["kind"]
    found = np.stack(
        [
            softmax(one.head("kind").scores(rows.texts) / one.task.tasks["kind"].temperature)[
                np.arange(len(rows)), rows.targets
            ]
            for one in members
        ],
        axis=1,
    )
    # The calibrated probabilities have their least cross entropy at these weights.
    losses = {share: -np.log(found @ [share, 1 - share]).mean() for share in np.linspace(0, 1, 101)}
    share = min(losses, key=losses.get)
    assert outputs["kind"].weights[0] == pytest.approx(share, abs=0.02)
    assert outputs["named"].weights != outputs["kind"].weights
    expected = np.mean([one.weights for one in outputs.values()], axis=0)
    assert [one["weight"] for one in made.metrics["members"]] == pytest.approx(expected.tolist())


def test_what_cannot_be_fused(members):
    with pytest.raises(InputError, match=r"^Expected models that choose a .*regression \(named\)"):
        fuse(members, by="vote")
    kind = dataclasses.replace(members[0].task.tasks["kind"], labels=("LOC", "ORG"))
    other = dataclasses.replace(members[1], task=with_task(members[1].task, kind=kind))
    with pytest.raises(InputError, match="same labels, got kind of .* LOC, PER, .* LOC, ORG, "):
        fuse([members[0], other])
