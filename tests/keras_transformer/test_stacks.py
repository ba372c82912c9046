import keras
import numpy as np
import pytest

from keras_transformer import Decoder, Encoder
from keras_transformer.masks import causal_bias
from keras_transformer.reading import outputs_read_alone
from tests import reference
from tests.keras_transformer.checks import (
    assert_close,
    built,
    check_precision,
    check_round_trip,
    gradients,
    normal,
    random_mask,
    values,
)
from tests.slow import mostly_slow

B, T, S, D, H, F, N = 2, 4, 5, 8, 4, 6, 2
X, MEMORY = normal(B, T, D), normal(B, S, D - 2, seed=1)
MASK, MEMORY_MASK = random_mask(B, T), random_mask(B, S, seed=1)
PADDED = np.arange(T) < np.array([[T], [T - 1]])
FORMS = {
    "post_norm": {},
    "pre_norm_alibi": {"pre_norm": True, "position_bias": "alibi"},
    "t5": {"position_bias": "t5", "norm": "rms_norm", "activation": "relu", "pre_norm": True},
    "llama": {
        "pre_norm": True, "norm": "rms_norm", "gated": True, "activation": "silu",
        "num_key_value_heads": 2, "rotary": True, "use_bias": False,
    },
    "qwen": {
        "pre_norm": True, "norm": "rms_norm", "use_bias": False, "qkv_bias": True, "qk_norm": True,
        "rotary": {"max_wavelength": 100.0},
    },
    "gemma": {
        "pre_norm": True, "norm": "rms_norm", "sandwich": True, "qk_norm": True, "window": 2,
        "pattern": "LG", "rotary": {"max_wavelength": 1000.0}, "num_key_value_heads": 1,
        "local_rotary": {"max_wavelength": 10.0},
    },
    "modern": {"pre_norm": True, "first_norm": False, "window": 2, "pattern": "GL", "rotary": True},
    "pythia": {
        "pre_norm": True, "parallel": True, "rotary": {"fraction": 0.5}, "head_dim": 4,
    },
    "shared": {"shared": True},
}  # fmt: skip
forms = pytest.mark.parametrize("form", FORMS)


def expected(
    w, x, memory=None, *, bidirectional=True, position_bias=None, use_bias=True, qkv_bias=None,
    head_dim=None, first_norm=True, **kw,
):  # fmt: skip
    length, bias = x.shape[1], 0.0
    if position_bias == "t5":
        bias = reference.t5_bias(w["position_bias"], length, length, bidirectional=bidirectional)
    elif position_bias == "alibi":
        bias = reference.alibi_bias(H, length, length)
    return reference.stack(w, x, memory, num_layers=N, num_heads=H, bias=bias, **kw)


def mask_of(form):
    """A mask of tokens with which no window of the form is empty."""
    return PADDED if "window" in form else MASK


def decoded(w, form, x=X, memory=MEMORY):
    return expected(
        w, x, memory, bidirectional=False, memory_allowed=reference.over_heads(MEMORY_MASK),
        allowed=reference.causal(x.shape[1]) & reference.over_heads(mask_of(form)), **form,
    )  # fmt: skip


@forms
def test_encoder_equals_the_reference(form):
    form = FORMS[form]
    layer = built(Encoder(N, H, F, **form), X)
    w = values(layer)
    # Each position attends at least to itself, which is within any window.
    pairs, heads = random_mask(B, T, T) | np.eye(T, dtype=bool), random_mask(B, H, T, T)
    for mask in (None, mask_of(form), pairs, heads | np.eye(T, dtype=bool)):
        allowed = True if mask is None else reference.over_heads(mask)
        assert_close(layer(X, mask=mask), expected(w, X, allowed=allowed, **form), atol=1e-5)


@forms
def test_decoder_equals_the_reference(form):
    form = FORMS[form]
    layer = built(Decoder(N, H, F, cross_attention=True, **form), X, MEMORY)
    outputs = layer(X, MEMORY, mask=mask_of(form), memory_mask=MEMORY_MASK)
    assert_close(outputs, decoded(values(layer), form), atol=1e-5)


def test_decoder_without_a_memory():
    layer = built(Decoder(N, H, F), X)
    assert_close(layer(X), expected(values(layer), X, allowed=reference.causal(T)), atol=1e-5)


@pytest.mark.parametrize("form", ["t5", "llama", "gemma", "pythia", "shared"])
def test_gradients_along_random_directions(form):
    form = FORMS[form]
    layer = built(Decoder(N, H, F, cross_attention=True, **form), X, MEMORY)
    of_inputs, of_weights = gradients(
        layer, [X, MEMORY], mask=mask_of(form), memory_mask=MEMORY_MASK, training=False
    )
    w, upstream = values(layer), normal(*X.shape, seed=99).astype("float64")

    def total(x=X, memory=MEMORY):
        return (decoded(w, form, x, memory=memory) * upstream).sum()

    step, random = 1e-5, np.random.default_rng(5)
    for name, array, actual in (("x", X, of_inputs[0]), ("memory", MEMORY, of_inputs[1])):
        way = random.normal(size=array.shape)
        sides = [total(**{name: array + sign * step * way}) for sign in (1, -1)]
        assert_close((actual * way).sum(), (sides[0] - sides[1]) / (2 * step), 1e-3, 1e-4)
    for path, actual in of_weights.items():
        *parents, name = path.split("/")
        node = w
        for parent in parents:
            node = node[parent]
        array, way, sides = node[name], random.normal(size=node[name].shape), []
        for sign in (1, -1):
            node[name] = array + sign * step * way
            sides.append(total())
        node[name] = array
        # One number stands for a tensor: its terms cancel more than the entries' own do.
        assert_close((actual * way).sum(), (sides[0] - sides[1]) / (2 * step), 1e-3, 1e-4)


@forms
def test_cached_steps_equal_one_pass(form):
    form = FORMS[form]
    layer = built(Decoder(N, H, F, cross_attention=True, **form), X, MEMORY)
    tokens = mask_of(form)
    outputs = keras.ops.convert_to_numpy(layer(X, MEMORY, mask=tokens, memory_mask=MEMORY_MASK))
    memory_cache = layer.project_memory(keras.ops.convert_to_tensor(MEMORY))
    shape = (B, T + 2, form.get("num_key_value_heads", H), form.get("head_dim", D // H))
    cache = tuple((np.zeros(shape, "float32"), np.zeros(shape, "float32")) for _ in range(N))
    mask, start = np.concatenate([tokens, np.ones((B, 2), bool)], axis=1), 0
    for size in (2, 1, 1):
        step, cache = layer(
            X[:, start : start + size], mask=mask, cache=cache, cache_index=start,
            memory_cache=memory_cache, memory_mask=MEMORY_MASK,
        )  # fmt: skip
        assert_close(step, outputs[:, start : start + size], atol=1e-5)
        start += size


@forms
def test_masked_and_future_tokens_change_nothing(form):
    layer = built(Decoder(N, H, F, cross_attention=True, **FORMS[form]), X, MEMORY)
    hidden = np.where(MEMORY_MASK[..., None], MEMORY, 9.0)
    later = X.copy()
    later[:, 3:] = normal(B, 1, D, seed=7)
    before, other, after = (
        keras.ops.convert_to_numpy(layer(x, memory, memory_mask=MEMORY_MASK))
        for x, memory in ((X, MEMORY), (X, hidden), (later, MEMORY))
    )
    np.testing.assert_array_equal(before, other)
    np.testing.assert_array_equal(before[:, :3], after[:, :3])
    assert not np.allclose(before[:, 3:], after[:, 3:])

    encoder = built(Encoder(N, H, F, **FORMS[form]), X)
    changed = np.where(MASK[..., None], X, 9.0)
    before, after = (keras.ops.convert_to_numpy(encoder(x, mask=MASK)) for x in (X, changed))
    np.testing.assert_array_equal(before[MASK], after[MASK])


ROUND_TRIPS = ["t5", "llama", "gemma", "modern", "pythia", "shared"]


@pytest.mark.parametrize("form", mostly_slow(ROUND_TRIPS, ["gemma", "shared"]))
def test_round_trips(tmp_path, form):
    bits = {"activation_bits": 8, "kernel_bits": 8}
    check_round_trip(tmp_path, Encoder(N, H, F, **FORMS[form], bits=bits), X, mask=MASK)
    layer = Decoder(N, H, F, cross_attention=True, **FORMS[form])
    check_round_trip(tmp_path, layer, X, MEMORY, mask=MASK, memory_mask=MEMORY_MASK)


@pytest.mark.parametrize(
    ("policy", "form"),
    [("mixed_float16", "llama"), ("mixed_bfloat16", "pre_norm_alibi"), ("mixed_float16", "gemma")],
)
def test_precision(policy, form):
    def decoder(**kwargs):
        return Decoder(N, H, F, cross_attention=True, **FORMS[form], **kwargs)

    mask = mask_of(FORMS[form])
    check_precision(policy, decoder, X, MEMORY, mask=mask, memory_mask=MEMORY_MASK)


def test_an_unknown_position_bias_is_refused():
    with pytest.raises(ValueError, match="one of t5, alibi, got position_bias='sine'"):
        Encoder(N, H, F, position_bias="sine")


@pytest.mark.parametrize("pattern", ["", "LX"])
def test_a_pattern_of_other_letters_is_refused(pattern):
    with pytest.raises(ValueError, match=f"letters L and G, got pattern='{pattern}'"):
        Encoder(N, H, F, window=2, pattern=pattern)


@pytest.mark.parametrize("form", [{"sandwich": True}, {"first_norm": False}, {"parallel": True}])
def test_forms_of_pre_norm_are_refused_after_the_sublayer(form):
    with pytest.raises(ValueError, match="got pre_norm=False"):
        Encoder(N, H, F, **form)


def test_a_shared_block_has_the_weights_of_one():
    assert len(built(Encoder(3, H, F, shared=True), X).weights) == len(
        built(Encoder(1, H, F), X).weights
    )


def test_an_unknown_argument_of_a_block_is_refused():
    with pytest.raises(ValueError, match="among head_dim, .*, rank, got causal=True"):
        Encoder(N, H, F, causal=True)
    with pytest.raises(ValueError, match="rank, cross_attention, got widht=3"):
        Decoder(N, H, F, cross_attention=True, widht=3)


@pytest.mark.parametrize("kind", [Encoder, Decoder])
def test_only_some_blocks_run(kind):
    layer = built(kind(3, H, F), X)
    whole = keras.ops.convert_to_numpy(layer(X))
    with layer.only_blocks([2, 0]):
        found = keras.ops.convert_to_numpy(layer(X))
    bias = {}
    if kind is Decoder:
        bias["bias"] = causal_bias(X.shape[1], X.shape[1])
    expected = layer.blocks[0](layer.blocks[2](X, **bias), **bias)
    np.testing.assert_array_equal(found, keras.ops.convert_to_numpy(expected))
    np.testing.assert_array_equal(keras.ops.convert_to_numpy(layer(X)), whole)
    with pytest.raises(RuntimeError), layer.only_blocks([0]):
        raise RuntimeError
    np.testing.assert_array_equal(keras.ops.convert_to_numpy(layer(X)), whole)


def test_outputs_inside_a_stack_are_observed():
    layer, heard = built(Encoder(2, H, F), X), []
    for block in layer.blocks:
        block.output_observer = lambda block, outputs: heard.append((block.name, outputs))
    outputs = layer(X)
    assert [name for name, _ in heard] == ["block_0", "block_1"]
    np.testing.assert_array_equal(
        keras.ops.convert_to_numpy(heard[1][1]), keras.ops.convert_to_numpy(outputs)
    )


@pytest.mark.parametrize("form", mostly_slow(FORMS, ["post_norm", "t5", "gemma", "pythia"]))
def test_the_first_output_is_computed_alone(form):
    """Attended by all keys and values, but of the last block's queries only the first is left."""
    layer = built(Encoder(N, H, F, **FORMS[form]), X)
    pairs = random_mask(B, T, T) | np.eye(T, dtype=bool)
    for mask in (None, mask_of(FORMS[form]), pairs):
        whole = keras.ops.convert_to_numpy(layer(X, mask=mask))
        layer.reads_first = True
        np.testing.assert_array_equal(keras.ops.convert_to_numpy(layer(X, mask=mask)), whole)
        with outputs_read_alone():
            alone = keras.ops.convert_to_numpy(layer(X, mask=mask))
            assert layer(X, mask=mask, training=True).shape == whole.shape
            layer.reads_first = False
            assert layer(X, mask=mask).shape == whole.shape
        assert alone.shape == (B, 1, D)
        # The products are of fewer rows, whose sums may have another order.
        assert_close(alone, whole[:, :1], atol=1e-5)
