"""Answers of several models, against the geometric mean of their own probabilities."""

import dataclasses

import numpy as np
import pytest

import keras_transformer as kt
from keras_transformer.zoo.errors import InputError, RunError
from keras_transformer.zoo.fusion.fuse import fuse
from keras_transformer.zoo.fusion.shares import logit_shares
from keras_transformer.zoo.models.build import build, get_weights, set_weights
from tests import answering

ROWS = answering.questions(40, 7, unanswerable=0.3)
# The last context does not fit in a window of 24 tokens.
CONTEXTS = ["Dora Emil Oslo Bob", "Anna Bob", "Emil Anna Fritz Bob Carla " * 6 + "Lima Anna"]
QUESTIONS = ["where ?"] * len(CONTEXTS)


@pytest.fixture(scope="module")
def members():
    return [answering.disturbed(1), answering.disturbed(2)]


def distributions(checkpoint, question, context):
    """For begin and end: the probabilities of each word in each window, and of none in each."""
    rows = [{"question": question, "context": context, "answers": []}]
    examples = checkpoint.task.examples_of(rows, checkpoint.columns)
    found = ([], [])
    for window in checkpoint.task.windows(examples, checkpoint.modality).windows:
        inputs = {"ids": window.ids[None], "segment_ids": window.segment_ids[None]}
        logits = np.asarray(checkpoint.model(inputs))[0].astype("float64")
        for side, places in enumerate((window.starts, window.ends)):
            found[side].append(np.append(np.exp(logits[places, side]), np.exp(logits[0, side])))
    sums = [sum(map(np.sum, side)) for side in found]
    return [[one / total for one in side] for side, total in zip(found, sums, strict=True)]


def answered(members, weights, question, context, threshold):
    """The score of the answer, by the weighted geometric mean of the members' probabilities."""
    sides = []
    for parts in zip(*(distributions(one, question, context) for one in members), strict=True):
        pooled = [
            np.prod([one**weight for one, weight in zip(window, weights, strict=True)], axis=0)
            for window in zip(*parts, strict=True)
        ]
        total = sum(map(np.sum, pooled))
        sides.append([one / total for one in pooled])
    spans = [
        begin[i] * end[j]
        for begin, end in zip(*sides, strict=True)
        for i in range(len(begin) - 1) for j in range(i, len(end) - 1)
    ]  # fmt: skip
    nothing = min(begin[-1] * end[-1] for begin, end in zip(*sides, strict=True))
    is_none = threshold is not None and np.log(nothing / max(spans)) > threshold
    return nothing if is_none else max(spans), is_none


@pytest.mark.parametrize("by", ["mean", "fitted"])
def test_answers_have_the_geometric_mean_of_the_probabilities(by, members, tmp_path):
    made = fuse(members, tmp_path / "fused", by=by, data=ROWS)
    weights = [one["weight"] for one in made.metrics["members"]]
    again = kt.load(tmp_path / "fused")
    assert again.config.outputs.combine == "logits"
    assert sum(weights) == pytest.approx(1.0)
    assert (weights == [0.5, 0.5]) == (by == "mean")
    for one in (made, again):
        found = one.predict(QUESTIONS, CONTEXTS)
        for answer, question, context in zip(found, QUESTIONS, CONTEXTS, strict=True):
            score, is_none = answered(members, weights, question, context, made.null_threshold)
            # float32 logits of two sums.
            assert answer.score == pytest.approx(score, rel=1e-4)
            assert (answer.start is None) == is_none
    measured = again.evaluate(ROWS)
    assert measured["f1"] == again.metrics["validation"]["f1"]
    assert again.metrics["validation"]["null_threshold"] == again.null_threshold


def test_equal_members_answer_as_one(members):
    # The weights themselves are to differ, here by what changes nothing.
    model = build(members[0].config, members[0].task)
    weights = get_weights(members[0].model)
    set_weights(model, {**weights, "head/bias": weights["head/bias"] + np.float32(1e-6)})
    made = fuse([members[0], dataclasses.replace(members[0], model=model)], data=ROWS)
    ours, theirs = (one.outputs(QUESTIONS, CONTEXTS).candidates for one in (made, members[0]))
    np.testing.assert_allclose(ours, theirs, rtol=1e-5, atol=1e-5)


def loss_of(logits, firsts, rights, weights):
    parts = np.split(logits @ weights, firsts[1:])
    losses = [
        np.log(np.exp(one).sum()) - one[right - first]
        for one, first, right in zip(parts, firsts, rights, strict=True)
    ]
    return np.mean(losses)


def test_weights_have_the_smallest_loss_of_a_grid():
    rng = np.random.default_rng(0)
    counts = rng.integers(2, 9, 60)
    firsts = np.cumsum(counts) - counts
    rights = firsts + rng.integers(0, counts)
    logits = rng.normal(0, 1, (counts.sum(), 3))
    # The first two know what is right, the first better; the last knows nothing.
    logits[rights] += (2.0, 1.0, 0.0)
    found = logit_shares(logits, firsts, rights)
    steps = np.linspace(0, 1, 51)
    grid = [
        loss_of(logits, firsts, rights, np.array([one, other, 1 - one - other]))
        for one in steps for other in steps if one + other <= 1
    ]  # fmt: skip
    assert loss_of(logits, firsts, rights, found) <= min(grid) + 1e-5
    assert found.sum() == pytest.approx(1.0) and found.min() >= 0


def test_a_member_that_only_harms_is_left_out():
    firsts, rights = np.array([0, 2]), np.array([0, 3])
    logits = np.array([[4.0, -4.0], [0.0, 0.0], [0.0, 0.0], [4.0, -4.0]])
    np.testing.assert_array_equal(logit_shares(logits, firsts, rights), [1.0, 0.0])


def test_what_answers_are_not_fused_of(members):
    with pytest.raises(InputError, match="^Expected models that choose a label .*question-answ"):
        fuse(members, by="vote", data=ROWS)
    broken = members[0].model
    kept = broken.get_weights()
    broken.set_weights([np.full_like(one, np.nan) for one in kept])
    try:
        for by in ("mean", "fitted"):
            with pytest.raises(RunError, match="^Expected finite outputs of the model"):
                fuse(members, by=by, data=ROWS)
    finally:
        broken.set_weights(kept)
