"""Cached steps against the model's own logits over the whole sequence."""

import itertools

import numpy as np
import pytest

from keras_transformer.zoo.models.build import build
from keras_transformer.zoo.models.config_checks import POSITIONS
from keras_transformer.zoo.models.running.decoding_steps import KerasSteps
from keras_transformer.zoo.models.running.stepwise import Stepwise
from tests.slow import mostly_slow
from tests.zoo import tiny

LENGTH, ROOM = 9, 12
# Outputs are of size one; every step is computed in another order than the whole.
TOLERANCE = {"rtol": 1e-5, "atol": 1e-5}
VARIANTS = [
    *({"positions": positions} for positions in POSITIONS),
    *({"positions": p, "num_heads": 4, "num_key_value_heads": 2} for p in ("rotary", "t5")),
    {"num_heads": 4, "num_key_value_heads": 1, "pre_norm": True, "positions": "alibi"},
    {"num_heads": 3, "head_dim": 6, "positions": "rotary"},
    {
        "pre_norm": True, "norm": "rms_norm", "gated": True, "activation": "silu",
        "positions": "rotary", "num_heads": 4, "num_key_value_heads": 2, "use_bias": False,
    },
    {"scale_embeddings": True, "use_bias": False, "positions": "sinusoidal"},
    {
        "pre_norm": True, "norm": "rms_norm", "positions": "rotary", "rope_theta": 500.0,
        "qk_norm": True, "sandwich_norms": True, "window": 3, "layer_pattern": "LG",
        "local_rope_theta": 100.0, "tied_head": False, "qkv_bias": True, "use_bias": False,
    },
    {
        "pre_norm": True, "positions": "rotary", "rotary_fraction": 0.5,
        "parallel_residual": True, "logits_bias": True, "embedding_norm": True,
    },
    {"position_bias": "t5", "embedding_norm": True, "logits_bias": True, "tied_head": False},
]  # fmt: skip


def model_of(architecture, seed=0, **changes):
    values = {"num_layers": 2, "num_segments": 0, "max_length": ROOM, **changes}
    config = tiny.config(architecture, **values)
    model = build(config)
    rng = np.random.default_rng(seed)
    # Weights large enough that every part shows in the logits, which stay of size one.
    for weight in model.trainable_variables:
        start = float(weight.path.endswith("gamma"))
        weight.assign(start + 0.25 * rng.normal(size=weight.shape))
    return model, config


def some_ids(rows=3, length=LENGTH, seed=1):
    return np.random.default_rng(seed).integers(1, 20, (rows, length)).astype("int32")


def padded_sources():
    """Sources (3, 7) of which the second and third end early."""
    source = some_ids(length=7, seed=2)
    source[1, 4:] = 0
    source[2, 1:] = 0
    return source


def stepwise_logits(model, config, ids, stretches, source=None, room=ROOM):
    steps = Stepwise(model, config)
    assert steps.has_memory == (source is not None)
    memory = (steps.encode(source), source != 0) if steps.has_memory else (None, None)
    cache = steps.new_cache(len(ids), room)
    made, position = [], 0
    for length in stretches:
        x, cache = steps.decode(ids[:, position : position + length], position, cache, *memory)
        made.append(np.asarray(steps.logits(x)))
        position += length
    return np.concatenate(made, axis=1)


ARCHITECTURES = ("decoder", "encoder-decoder")
# Each position, norm and form of heads, with one of the two architectures.
USUAL = [
    ("decoder", {"positions": "learned"}),
    *(("decoder", VARIANTS[n]) for n in (-7, -5, -3, -2)),
    *(("encoder-decoder", VARIANTS[n]) for n in (-8, -4, -1)),
]


@pytest.mark.parametrize(
    ("architecture", "changes"),
    mostly_slow(itertools.product(ARCHITECTURES, VARIANTS), USUAL), ids=str,
)  # fmt: skip
def test_cached_equals_uncached(architecture, changes):
    model, config = model_of(architecture, **changes)
    ids, inputs, source = some_ids(), {}, None
    if architecture == "encoder-decoder":
        inputs["source_ids"] = source = padded_sources()
    expected = np.asarray(model({**inputs, "ids": ids}))
    assert expected.std() > 0.3
    found = stepwise_logits(model, config, ids, (4, 1, 1, 3), source)
    np.testing.assert_allclose(found, expected, **TOLERANCE)


@pytest.mark.parametrize(
    ("stretches", "room"),
    mostly_slow(
        itertools.product([(1,) * LENGTH, (LENGTH,), (7, 2)], (LENGTH, ROOM)),
        [((1,) * LENGTH, LENGTH), ((7, 2), ROOM)],
    ),
    ids=str,
)
def test_any_stretches_and_room_will_do(stretches, room):
    model, config = model_of("decoder", positions="t5")
    ids = some_ids()
    found = stepwise_logits(model, config, ids, stretches, room=room)
    np.testing.assert_allclose(found, np.asarray(model({"ids": ids})), **TOLERANCE)


def test_a_source_vocabulary_of_its_own():
    model, config = model_of("encoder-decoder", source_vocab_size=31)
    ids, source = some_ids(), padded_sources()
    source[0] += 11
    expected = np.asarray(model({"source_ids": source, "ids": ids}))
    found = stepwise_logits(model, config, ids, (6, 3), source)
    np.testing.assert_allclose(found, expected, **TOLERANCE)


def next_logits(steps, cache, ids):
    """Logits (B, T, V) of feeding the ids one column after the other."""
    made = []
    for column in ids.T:
        logits, cache = steps.step(column, cache)
        assert (logits.dtype, logits.shape) == (np.float32, (len(ids), steps.vocab_size))
        made.append(logits)
    return np.stack(made, axis=1), cache


@pytest.mark.parametrize(
    ("positions", "prompt"),
    mostly_slow(
        [*((name, 5) for name in POSITIONS), ("rotary", 0), ("rotary", 1), ("t5", 1)],
        [("learned", 5), ("rotary", 0), ("t5", 1)],
    ),
)
def test_prompts_are_filled_in_at_once(positions, prompt):
    model, config = model_of("decoder", positions=positions)
    steps, ids = KerasSteps(model, config, ROOM), some_ids()
    assert (steps.vocab_size, steps.cache_length) == (20, ROOM)
    found, _ = next_logits(steps, steps.prefill(ids[:, :prompt]), ids[:, prompt:])
    np.testing.assert_allclose(found, np.asarray(model({"ids": ids}))[:, prompt:], **TOLERANCE)


def test_ragged_sources_are_read_together():
    model, config = model_of("encoder-decoder")
    steps, ids, source = KerasSteps(model, config, ROOM), some_ids(), padded_sources()
    rows = [row[row != 0] for row in source]
    assert [len(row) for row in rows] == [7, 4, 1]
    found, _ = next_logits(steps, steps.encode(rows), ids)
    for i, row in enumerate(rows):
        alone = np.asarray(model({"source_ids": row[None], "ids": ids[i : i + 1]}))
        np.testing.assert_allclose(found[i], alone[0], **TOLERANCE)


@pytest.mark.parametrize(
    ("architecture", "chosen"),
    mostly_slow(
        itertools.product(ARCHITECTURES, ([2, 0], [2, 1, 0, 0, 1])),
        [("encoder-decoder", [2, 1, 0, 0, 1])],
    ),
    ids=str,
)
def test_beams_take_their_caches_with_them(architecture, chosen):
    """After a reordering each row goes on from the tokens and the source of the row it was."""
    model, config = model_of(architecture, positions="rotary", num_key_value_heads=1)
    steps, before = KerasSteps(model, config, ROOM), some_ids(length=4)
    inputs = {}
    if architecture == "encoder-decoder":
        inputs["source_ids"] = padded_sources()
        cache = steps.encode([row[row != 0] for row in inputs["source_ids"]])
        _, cache = next_logits(steps, cache, before)
    else:
        cache = steps.prefill(before)
    rows = np.array(chosen, np.int64)
    after = some_ids(rows=len(rows), length=3, seed=5)
    found, _ = next_logits(steps, steps.select(cache, rows), after)
    whole = np.concatenate([before[rows], after], axis=1)
    inputs = {name: value[rows] for name, value in inputs.items()}
    expected = np.asarray(model({**inputs, "ids": whole}))[:, 4:]
    np.testing.assert_allclose(found, expected, **TOLERANCE)
    # The cache that was selected from is as it was.
    again, _ = next_logits(steps, steps.select(cache, rows), after)
    np.testing.assert_array_equal(again, found)


def test_the_last_position_of_the_cache_can_be_fed():
    model, config = model_of("decoder", positions="learned")
    steps, ids = KerasSteps(model, config, LENGTH), some_ids()
    found, cache = next_logits(steps, steps.prefill(ids[:, :-1]), ids[:, -1:])
    np.testing.assert_allclose(found[:, 0], np.asarray(model({"ids": ids}))[:, -1], **TOLERANCE)
    assert cache["position"] == LENGTH
