"""Translators and language models that write together, against their own probabilities."""

import numpy as np
import pytest

from keras_transformer.zoo.checkpoint import Checkpoint
from keras_transformer.zoo.errors import InputError, RunError
from keras_transformer.zoo.fusion.fuse import fuse
from keras_transformer.zoo.generation.text import TextGenerator
from keras_transformer.zoo.models.running.decoding_steps import KerasSteps
from tests.zoo import tiny
from tests.zoo.fusion.test_fuse import drawn

RECIPES = {"translation": tiny.translation_recipe, "language-modeling": tiny.language_recipe}
# Validation data that is measured fast.
ROWS = {
    "translation": (["the box", "old and new"], ["BOX THE", "NEW AND OLD"]),
    "language-modeling": ["the old box holds some things", "and new things of ours"],
}  # fmt: skip
# Of another width, depth, number of key-value heads, kind of position and head than the first.
OTHER = {
    **tiny.SETTINGS, "num_layers": 2, "hidden_dim": 24, "num_heads": 4, "num_key_value_heads": 2,
    "positions": "rotary", "head_dim": 8, "dropout": 0.0, "tied_head": False,
}  # fmt: skip


@pytest.fixture(scope="module", params=RECIPES)
def members(request, tables):
    """Two random models of each task, with another shape each."""
    recipe = RECIPES[request.param]
    shapes = ({**tiny.SETTINGS, "dropout": 0.0}, OTHER)
    return [drawn(recipe(tables, settings=one), seed) for seed, one in enumerate(shapes, start=1)]


@pytest.fixture(scope="module")
def together(members):
    """The two as one."""
    return fuse(members, data=ROWS[members[0].task_name])


def softmax(x):
    exponents = np.exp(x.astype("float64") - x.max(axis=-1, keepdims=True))
    return exponents / exponents.sum(axis=-1, keepdims=True)


def shares_of(members, weights):
    """The weighted mean of the members' probabilities (rows, T, V) for the probes."""
    inputs = members[0].probes
    found = [softmax(np.asarray(one.model(inputs, training=False))) for one in members]
    return sum(weight * one for weight, one in zip(weights, found, strict=True))


def test_next_tokens_have_the_mean_probabilities(members, together, tmp_path):
    together.save(tmp_path / "fused")
    again = Checkpoint.load(tmp_path / "fused")
    assert again.config.outputs.weights == (0.5, 0.5) and again.config.num_layers == 3
    expected = shares_of(members, (0.5, 0.5))
    for one in (together, again):
        found = np.asarray(one.model(members[0].probes, training=False))
        np.testing.assert_allclose(softmax(found), expected, rtol=1e-4, atol=1e-7)
        np.testing.assert_allclose(found, np.log(expected), rtol=1e-4, atol=1e-4)
    # Their perplexity, and what they write, is measured beside the members'.
    measured = again.metrics["validation"]
    assert measured["perplexity"] == pytest.approx(np.exp(measured["loss"]))
    names = {"perplexity", *(("bleu",) if again.reads_sources else ())}
    assert all(names <= set(one) for one in (measured, *again.metrics["members"]))
    name = again.task.metric.name
    assert again.evaluate(ROWS[again.task_name])[name] == pytest.approx(measured[name])


def test_steps_with_caches_give_the_same(members, together):
    made = together
    steps, probes = KerasSteps(made.model, made.config, 16), members[0].probes
    ids = np.random.default_rng(0).integers(5, 20, (2, 6)).astype("int32")
    inputs = {"ids": ids}
    if made.reads_sources:
        inputs["source_ids"] = probes["source_ids"][:2]
        cache = steps.encode([row[row > 0] for row in inputs["source_ids"]])
        first = 0
    else:
        cache, first = steps.prefill(ids[:, :3]), 3
    expected = np.asarray(made.model(inputs, training=False))
    assert len(cache["blocks"]) == made.config.num_layers == 3
    for place in range(first, 6):
        logits, cache = steps.step(ids[:, place], cache)
        np.testing.assert_allclose(logits, expected[:, place], rtol=1e-4, atol=1e-4)
        # Both rows change places, with the caches of all members.
        ids, expected = ids[::-1], expected[::-1]
        cache = steps.select(cache, np.array([1, 0]))


class Mixture:
    """Decoding steps whose logits are logarithms of the members' mean probabilities, in NumPy."""

    def __init__(self, members, length=16):
        self.steps = [KerasSteps(one.model, one.config, length) for one in members]
        first = self.steps[0]
        self.vocab_size, self.batch_size = first.vocab_size, first.batch_size
        self.source_length = self.cache_length = length

    def encode(self, sources):
        return [one.encode(sources) for one in self.steps]

    def prefill(self, prompts):
        return [one.prefill(prompts) for one in self.steps]

    def step(self, tokens, caches):
        made = [one.step(tokens, cache) for one, cache in zip(self.steps, caches, strict=True)]
        mean = np.mean([softmax(logits) for logits, _ in made], axis=0)
        return np.log(mean).astype("float32"), [cache for _, cache in made]

    def select(self, caches, rows):
        return [one.select(cache, rows) for one, cache in zip(self.steps, caches, strict=True)]


@pytest.mark.parametrize(
    "decoding", [{}, {"beams": 3}, {"temperature": 0.9, "top_k": 8, "seed": 2}], ids=str
)
def test_they_write_by_their_mean_probabilities(decoding, members, together):
    made = together
    by_hand = TextGenerator(
        Mixture(members), made.tokenizer, made.target_tokenizer, reads_sources=made.reads_sources
    )
    texts = ["the box holds", "old things", "and"]
    expected = [one.text for one in by_hand.generate(texts, **decoding)]
    assert made.generate(texts, **decoding) == expected
    assert any(expected)


@pytest.mark.slow
def test_fitted_weights_lose_the_least(members):
    first, rows = members[0], ROWS[members[0].task_name]
    made = fuse(members, by="fitted", data=rows)
    examples = first.task.read(rows, first.columns)
    validator = first.task.run_data(examples, examples, first.modality).validator()
    # The probabilities (tokens, members) of all that is to be written.
    found = np.stack([np.exp(-validator.scores(one.model)[:, 0]) for one in members], axis=1)
    losses = [-np.log(found @ (share, 1 - share)).mean() for share in np.linspace(0, 1, 21)]
    weights = [one["weight"] for one in made.metrics["members"]]
    loss = made.metrics["validation"]["loss"]
    assert loss == pytest.approx(-np.log(found @ weights).mean(), rel=1e-4)
    assert loss <= min(losses) + 1e-4


def test_other_models_are_refused(members, together, tables):
    first = members[0]
    recipe = RECIPES[first.task_name]
    changes = {"vocab_size": 60} if first.reads_sources else {"tokenizer": "bytes"}
    other = drawn(recipe(tables, **changes), 1)
    with pytest.raises(InputError, match="^Expected members with one vocabulary, got another"):
        fuse([first, other])
    with pytest.raises(InputError, match="^Expected models that choose a label where they vote"):
        fuse(members, by="vote")
    with pytest.raises(InputError, match="^Expected members of one shape"):
        fuse(members, by="soup")
    with pytest.raises(InputError, match="^Expected members of one task .* in member 2"):
        fuse([first, drawn(tiny.recipe(tables), 1)])
    with pytest.raises(InputError, match="^Expected one model for each member"):
        fuse([together, first])


def test_what_is_not_finite_is_refused(members):
    broken = drawn(members[0].recipe, 1)
    for weight in broken.model.weights:
        weight.assign(np.full(weight.shape, np.nan))
    with pytest.raises(RunError, match="^Expected finite outputs of the model"):
        fuse([members[1], broken], by="fitted")
