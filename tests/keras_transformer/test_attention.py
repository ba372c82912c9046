import keras
import numpy as np
import pytest

from keras_transformer import MultiHeadAttention, attention_bias, causal_bias
from tests import reference
from tests.keras_transformer.checks import (
    GRADIENT_ATOL,
    GRADIENT_RTOL,
    assert_close,
    built,
    check_gradients,
    check_precision,
    check_round_trip,
    gradients,
    normal,
    random_mask,
    values,
)

B, T, S, D, H = 2, 4, 5, 8, 4
MASKS = {
    "none": None,
    "tokens": random_mask(B, S),
    "pairs": random_mask(B, T, S),
    "heads": random_mask(B, H, T, S),
}
FORMS = {
    "plain": {},
    "grouped": {"num_key_value_heads": 2},
    "multi_query": {"num_key_value_heads": 1},
    "rotary": {"rotary": True},
    "grouped_rotary": {"num_key_value_heads": 2, "rotary": True},
    "wide_heads": {"head_dim": 6},
    "no_bias": {"use_bias": False},
}
# Where each switch alone would repeat what the reference already settles.
CORNERS = ["plain", "grouped_rotary"]


def in_reference(form):
    names = ("num_key_value_heads", "rotary")
    return {"num_heads": H} | {name: form[name] for name in names if name in form}


@pytest.mark.parametrize("mask", MASKS)
@pytest.mark.parametrize("form", FORMS)
def test_cross_attention_equals_the_reference(form, mask):
    query, memory, mask = normal(B, T, D), normal(B, S, D - 1, seed=1), MASKS[mask]
    layer = built(MultiHeadAttention(H, **FORMS[form]), query, memory)
    output, scores = layer(query, memory, mask=mask, return_scores=True)
    expected, probabilities = reference.attention(
        values(layer), query, memory, **in_reference(FORMS[form]),
        allowed=True if mask is None else reference.over_heads(mask),
    )  # fmt: skip
    assert_close(output, expected)
    assert_close(scores, probabilities)
    assert_close(layer(query, memory, mask=mask), expected)


@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize("form", FORMS)
def test_causal_self_attention_equals_the_reference(form, masked):
    query, bias = normal(B, T, D), normal(1, H, T, T, seed=2)
    layer = built(MultiHeadAttention(H, causal=True, **FORMS[form]), query)
    mask = random_mask(B, T) if masked else None
    allowed = reference.causal(T)
    if masked:
        allowed = allowed & reference.over_heads(mask)
    expected, _ = reference.attention(
        values(layer), query, allowed=allowed, bias=bias, **in_reference(FORMS[form])
    )
    assert_close(layer(query, mask=mask, bias=bias), expected)


def test_biases_are_zero_where_a_pair_may_attend():
    low = np.float32(-3e4)
    mask = np.array([[True, False]])
    assert_close(attention_bias(mask), np.array([[[[0, low]]]]), rtol=0, atol=0)
    expected = np.array([[[[0, 0, low, low], [0, 0, 0, low]]]])
    assert_close(causal_bias(2, 4, start=1), expected, rtol=0, atol=0)


def copy_to_keras(layer, other):
    """Gives Keras' layer the weights of ours, reshaped to its (D, H, K) and (H, K, D)."""
    theirs = {weight.path.split("/", 1)[1]: weight for weight in other.weights}
    for name, weights in values(layer).items():
        for kind, array in weights.items():
            name = {"output": "attention_output"}.get(name, name)
            theirs[f"{name}/{kind}"].assign(array.reshape(theirs[f"{name}/{kind}"].shape))
    return theirs


@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize("groups", [H, 2, 1])
def test_equals_keras_with_the_same_weights(groups, masked):
    query, memory = normal(B, T, D), normal(B, S, D, seed=1)
    layer = built(MultiHeadAttention(H, num_key_value_heads=groups), query, memory)
    if groups == H:
        other = keras.layers.MultiHeadAttention(H, D // H)
    else:
        other = keras.layers.GroupQueryAttention(D // H, H, groups)
    other(query, memory)
    theirs = copy_to_keras(layer, other)
    mask = random_mask(B, T, S) if masked else None
    output, scores = layer(query, memory, mask=mask, return_scores=True)
    expected, probabilities = other(
        query, memory, attention_mask=mask, return_attention_scores=True
    )
    assert_close(output, keras.ops.convert_to_numpy(expected))
    assert_close(scores, keras.ops.convert_to_numpy(probabilities))

    of_inputs, of_weights = gradients(layer, [query, memory], mask=mask)
    their_inputs, their_weights = gradients(other, [query, memory], attention_mask=mask)
    for actual, expected in zip(of_inputs, their_inputs, strict=True):
        assert_close(actual, expected, GRADIENT_RTOL, GRADIENT_ATOL)
    assert len(theirs) == len(of_weights) == 8
    for path, actual in of_weights.items():
        expected = their_weights[path.replace("output", "attention_output")]
        assert_close(actual, expected.reshape(actual.shape), GRADIENT_RTOL, GRADIENT_ATOL)


def test_gradients():
    form = {"num_key_value_heads": 2, "rotary": True}
    query, bias, mask = normal(B, T, D), normal(1, H, T, T, seed=2), random_mask(B, T)
    layer = built(MultiHeadAttention(H, **form), query)

    def expected(w, x):
        allowed = reference.over_heads(mask)
        return reference.attention(w, x, allowed=allowed, bias=bias, **in_reference(form))[0]

    check_gradients(layer, expected, query, mask=mask, bias=bias)


@pytest.mark.parametrize("form", CORNERS)
def test_a_masked_token_changes_nothing(form):
    query, mask = normal(B, S, D), random_mask(B, S)
    layer = built(MultiHeadAttention(H, **FORMS[form]), query)
    changed = np.where(mask[..., None], query, 7.0 + normal(B, S, D, seed=3))
    before, after = (keras.ops.convert_to_numpy(layer(x, mask=mask)) for x in (query, changed))
    np.testing.assert_array_equal(before[mask], after[mask])
    assert not np.allclose(before[~mask], after[~mask])


@pytest.mark.parametrize("form", CORNERS)
def test_a_future_token_changes_no_earlier_output(form):
    query = normal(B, T, D)
    layer = built(MultiHeadAttention(H, causal=True, **FORMS[form]), query)
    changed = query.copy()
    changed[:, 2:] += 5.0
    before, after = (keras.ops.convert_to_numpy(layer(x)) for x in (query, changed))
    np.testing.assert_array_equal(before[:, :2], after[:, :2])
    assert not np.allclose(before[:, 2:], after[:, 2:])


@pytest.mark.parametrize("form", CORNERS)
@pytest.mark.parametrize("sizes", [(1, 1, 1, 1), (3, 1)])
def test_cached_steps_equal_one_pass(form, sizes):
    layer = MultiHeadAttention(H, causal=True, **FORMS[form])
    query, length = normal(B, T, D), T + 2
    mask = random_mask(B, length)
    built(layer, query)
    expected = keras.ops.convert_to_numpy(layer(query, mask=mask[:, :T]))
    shape = (B, length, FORMS[form].get("num_key_value_heads", H), FORMS[form].get("head_dim", 2))
    cache, start = (np.zeros(shape, "float32"), np.zeros(shape, "float32")), 0
    for size in sizes:
        step = query[:, start : start + size]
        output, cache = layer(step, mask=mask, cache=cache, cache_index=start)
        assert_close(output, expected[:, start : start + size])
        start += size
    assert [tuple(x.shape) for x in cache] == [shape, shape]


@pytest.mark.parametrize("form", CORNERS)
def test_projected_memory_equals_memory(form):
    query, memory, mask = normal(B, T, D), normal(B, S, D, seed=1), random_mask(B, S)
    layer = built(MultiHeadAttention(H, **FORMS[form]), query, memory)
    expected = layer(query, memory, mask=mask)
    cache = layer.project_memory(keras.ops.convert_to_tensor(memory))
    output, scores, same = layer(query, mask=mask, cache=cache, return_scores=True)
    assert_close(output, keras.ops.convert_to_numpy(expected), rtol=0, atol=0)
    assert tuple(scores.shape) == (B, H, T, S)
    assert [x.shape for x in same] == [x.shape for x in cache]


def test_dropout_acts_on_probabilities_in_training_only():
    query = normal(B, T, D)
    layer = built(MultiHeadAttention(H, dropout=0.5), query)
    plain, same, dropped = (layer(query, training=training) for training in (None, False, True))
    assert_close(plain, keras.ops.convert_to_numpy(same), rtol=0, atol=0)
    assert not np.allclose(*map(keras.ops.convert_to_numpy, (plain, dropped)))


@pytest.mark.parametrize("form", CORNERS)
def test_round_trip(tmp_path, form):
    layer = MultiHeadAttention(H, causal=True, **FORMS[form])
    check_round_trip(tmp_path, layer, normal(B, T, D), mask=random_mask(B, T), return_scores=True)


def test_round_trip_of_cross_attention(tmp_path):
    layer = MultiHeadAttention(H)
    inputs = normal(B, T, D), normal(B, S, D + 1), random_mask(B, S)
    check_round_trip(tmp_path, layer, *inputs, bias=normal(B, H, T, S))


@pytest.mark.parametrize("form", CORNERS)
@pytest.mark.parametrize("policy", ["mixed_float16", "mixed_bfloat16"])
def test_precision(policy, form):
    def make(**kwargs):
        return MultiHeadAttention(H, causal=True, **FORMS[form], **kwargs)

    check_precision(policy, make, normal(B, T, D), mask=random_mask(B, T))


def test_two_masks_stay_finite_in_float16():
    query = normal(B, T, D)
    layer = built(MultiHeadAttention(H, causal=True, dtype="mixed_float16"), query)
    output = layer(query, mask=np.zeros((B, T), bool))
    assert np.isfinite(keras.ops.convert_to_numpy(output)).all()


def test_heads_that_do_not_divide_are_refused():
    with pytest.raises(ValueError, match="got num_heads=4, num_key_value_heads=3"):
        MultiHeadAttention(4, num_key_value_heads=3)
    with pytest.raises(ValueError, match="got width=8, num_heads=3"):
        MultiHeadAttention(3).build((B, T, D))


@pytest.mark.parametrize("shape", [(5,), (1, 2, 3, 4, 5)])
def test_masks_of_another_rank_are_refused(shape):
    with pytest.raises(ValueError, match=rf"got mask.shape=\({shape[0]},"):
        attention_bias(np.ones(shape, bool))


def test_a_cache_index_without_a_cache_is_refused():
    with pytest.raises(ValueError, match="got cache_index=3"):
        MultiHeadAttention(H)(normal(B, T, D), cache_index=3)
