import itertools
import re

import keras
import numpy as np
import pytest
from keras import ops

from keras_transformer.quantization import QuantPoint
from keras_transformer.zoo.errors import InputError
from keras_transformer.zoo.models.build import all_layers, build, get_weights, set_weights
from keras_transformer.zoo.models.config_checks import ARCHITECTURES
from keras_transformer.zoo.tasks.classification import Classification
from keras_transformer.zoo.tasks.regression import Regression
from tests import reference
from tests.slow import mostly_slow
from tests.zoo import tiny
from tests.zoo.models.variants import ALL, CASES, NEW_FORMS, OF_ENCODERS, OF_LOGITS, USUAL

PAIR = Classification(labels=("a", "b", "c"), pair=True)
INT8 = {"kernel_bits": 8, "activation_bits": 8}


def refused(message):
    return pytest.raises(InputError, match=f"^{re.escape(message)}$")


def filled(model, seed=0):
    """The model with weights large enough that every part shows in the outputs."""
    rng = np.random.default_rng(seed)
    for weight in model.trainable_variables:
        start = 1.0 if weight.path.endswith("gamma") else 0.0
        weight.assign(start + 0.4 * rng.normal(size=weight.shape))
    return model


def inputs_of(model, rows=3, length=7, seed=0):
    """Ids from 1 up for each input, so that nothing is padding; segments are 0 and 1."""
    rng = np.random.default_rng(seed)
    low_high = {"segment_ids": (0, 2)}
    return {
        name: rng.integers(*low_high.get(name, (1, 20)), (rows, length)).astype("int32")
        for name in (tensor.name for tensor in model.inputs)
    }


def outputs(model, inputs):
    return ops.convert_to_numpy(model(inputs))


def padded(values, count):
    return np.pad(values, ((0, 0), (0, count)))


@pytest.mark.parametrize(
    ("architecture", "task", "names", "shape"),
    [
        ("encoder", None, ["ids"], (3, 16)),
        ("encoder", tiny.TASK, ["ids"], (3, 2)),
        ("encoder", PAIR, ["ids", "segment_ids"], (3, 3)),
        ("encoder", Regression(), ["ids"], (3, 1)),
        ("decoder", None, ["ids"], (3, 7, 20)),
        ("encoder-decoder", None, ["ids", "source_ids"], (3, 7, 20)),
    ],
)
def test_inputs_and_outputs(architecture, task, names, shape):
    model = build(tiny.config(architecture), task)
    assert sorted(tensor.name for tensor in model.inputs) == names
    assert outputs(model, inputs_of(model)).shape == shape
    # One model takes every length.
    assert outputs(model, inputs_of(model, rows=2, length=12)).shape[0] == 2
    assert outputs(model, inputs_of(model, rows=1, length=1)).shape[0] == 1


@pytest.mark.parametrize(("architecture", "changes"), CASES, ids=str)
def test_padding_changes_nothing(architecture, changes):
    config = tiny.config(architecture, **changes)
    task = PAIR if config.num_segments else tiny.TASK
    model = filled(build(config, task if architecture == "encoder" else None))
    inputs = inputs_of(model)
    expected = outputs(model, inputs)
    longer = outputs(model, {name: padded(value, 4) for name, value in inputs.items()})
    if architecture != "encoder":
        longer = longer[:, :7]
    np.testing.assert_allclose(longer, expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("architecture", ["decoder", "encoder-decoder"])
def test_no_output_sees_a_later_token(architecture):
    model = filled(build(tiny.config(architecture)))
    inputs = inputs_of(model)
    changed = {**inputs, "ids": inputs["ids"].copy()}
    changed["ids"][:, 4] = changed["ids"][:, 4] % 19 + 1
    before, after = outputs(model, inputs), outputs(model, changed)
    np.testing.assert_allclose(after[:, :4], before[:, :4], rtol=1e-5, atol=1e-5)
    assert (np.abs(after[:, 4:] - before[:, 4:]).max(axis=2) > 1e-3).all()


def test_segments_and_order_count():
    model = filled(build(tiny.config(), PAIR))
    inputs = inputs_of(model)
    flipped = {**inputs, "segment_ids": 1 - inputs["segment_ids"]}
    assert np.abs(outputs(model, flipped) - outputs(model, inputs)).max() > 1e-3
    turned = {name: value[:, ::-1] for name, value in inputs.items()}
    assert np.abs(outputs(model, turned) - outputs(model, inputs)).max() > 1e-3


@pytest.mark.parametrize(("architecture", "changes"), CASES, ids=str)
def test_every_variant_has_finite_gradients_everywhere(architecture, changes):
    tf = pytest.importorskip("tensorflow")
    task = tiny.TASK if architecture == "encoder" else None
    model = build(tiny.config(architecture, **changes), task)
    inputs = inputs_of(model)
    with tf.GradientTape() as tape:
        y = model(inputs, training=True)
        total = ops.sum(y * np.random.default_rng(1).normal(size=y.shape).astype("float32"))
    values = [variable.value for variable in model.trainable_variables]
    gradients = tape.gradient(total, values)
    for variable, gradient in zip(model.trainable_variables, gradients, strict=True):
        assert gradient is not None, variable.path
        assert np.isfinite(tf.convert_to_tensor(gradient).numpy()).all(), variable.path


@pytest.mark.parametrize("architecture", ["decoder", "encoder-decoder"])
def test_logits_are_tied_to_the_embeddings(architecture):
    model = build(tiny.config(architecture))
    tables = [path for path, value in get_weights(model).items() if value.shape == (20, 16)]
    assert tables == ["token_embedding/embeddings"]
    filled(model)
    hidden = keras.Model(model.inputs, model.get_layer("decoder").output)
    inputs = inputs_of(model)
    table = get_weights(model)[tables[0]]
    expected = outputs(hidden, inputs) @ table.T
    np.testing.assert_allclose(outputs(model, inputs), expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("architecture", ["decoder", "encoder-decoder"])
@pytest.mark.parametrize("changes", OF_LOGITS, ids=str)
def test_logits_of_their_own(architecture, changes):
    model = filled(build(tiny.config(architecture, **changes)))
    weights = get_weights(model)
    kernel = weights["token_embedding/embeddings"].T
    name = "token_embedding/logits_bias"
    if not changes.get("tied_head", True):
        kernel, name = weights["logits_head/kernel"], "logits_head/bias"
    assert (name in weights) == changes.get("logits_bias", False)
    inputs = inputs_of(model)
    hidden = outputs(keras.Model(model.inputs, model.get_layer("decoder").output), inputs)
    expected = reference.logits(kernel.T, hidden, weights.get(name, 0.0))
    np.testing.assert_allclose(outputs(model, inputs), expected, rtol=1e-4, atol=1e-4)


def test_shared_blocks_and_narrow_embeddings_have_fewer_weights():
    config = tiny.config(embedding_dim=8, share_layers=True, num_layers=3)
    weights = get_weights(build(config))
    assert {path.split("/")[1] for path in weights if path.startswith("encoder/")} == {"block_0"}
    assert weights["token_embedding/embeddings"].shape == (20, 8)
    assert weights["embedding_projection/kernel"].shape == (8, 16)
    assert weights["embedding_norm/gamma"].shape == (8,)


INTEGERS = {"kernel_bits": 8, "activation_bits": 8, "inner_bits": 8}


@pytest.mark.parametrize("positions", ["rotary", "alibi", "t5", "learned"])
def test_integers_store_a_look_up_once(positions):
    paths = get_weights(build(tiny.config(positions=positions), tiny.TASK, bits=INTEGERS))
    # Two points in succession would have ranges of their own, of which a file keeps one.
    assert ("position_sum_point/range_min" in paths) == (positions == "learned")
    paths = get_weights(build(tiny.config("decoder", positions=positions), bits=INTEGERS))
    assert ("embedding_point/range_min" in paths) == (positions == "learned")


def test_a_look_up_before_a_layer_norm_is_refused_in_integers():
    changes = {"positions": "rotary", "pre_norm": True}
    with pytest.raises(InputError, match="or norm=rms_norm, .*, got positions='rotary'"):
        build(tiny.config("decoder", **changes), bits=INTEGERS)
    build(tiny.config("decoder", norm="rms_norm", **changes), bits=INTEGERS)
    build(tiny.config(**changes), tiny.TASK, bits=INTEGERS)


def test_a_gelu_of_more_than_8_bits_is_refused():
    with pytest.raises(InputError, match="a pooler other than gelu, .*, got activation_bits=16"):
        build(
            tiny.config(pooler="gelu"), tiny.TASK,
            bits={"kernel_bits": 8, "activation_bits": 16},
        )  # fmt: skip


def test_a_source_vocabulary_is_looked_up_in_its_own_table():
    shared = filled(build(tiny.config("encoder-decoder")))
    own = build(tiny.config("encoder-decoder", source_vocab_size=33))
    weights = get_weights(shared)
    path = "source_token_embedding/embeddings"
    assert set(get_weights(own)) == {*weights, path}
    # Rows 10 to 30 of the new table are those of the shared one.
    table = np.random.default_rng(1).normal(size=(33, 16)).astype("float32")
    table[10:30] = weights["token_embedding/embeddings"]
    set_weights(own, {**weights, path: table})
    inputs = inputs_of(shared)
    moved = {**inputs, "source_ids": inputs["source_ids"] + 10}
    np.testing.assert_allclose(outputs(own, moved), outputs(shared, inputs), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(
    ("architecture", "dtype"),
    mostly_slow(
        itertools.product(ARCHITECTURES, ("mixed_bfloat16", "mixed_float16")),
        [("encoder", "mixed_float16"), ("encoder-decoder", "mixed_bfloat16")],
    ),
)
def test_mixed_precision_gives_float32(architecture, dtype):
    task = tiny.TASK if architecture == "encoder" else None
    model = build(tiny.config(architecture), task, dtype=dtype)
    plain = build(tiny.config(architecture), task)
    set_weights(model, get_weights(plain))
    inputs = inputs_of(model)
    result = outputs(model, inputs)
    assert result.dtype == np.float32
    assert {value.dtype for value in get_weights(model).values()} == {np.dtype("float32")}
    # bfloat16 keeps eight bits of a number; the outputs are of size one.
    np.testing.assert_allclose(result, outputs(plain, inputs), atol=0.05)


# Paths and shapes alone: those of each architecture, and of layers that others lack.
OF_PATHS = [USUAL[1], ("encoder", OF_ENCODERS[0]), ("decoder", NEW_FORMS[1]), USUAL[-3]]


@pytest.mark.parametrize(("architecture", "changes"), mostly_slow(ALL, OF_PATHS), ids=str)
def test_float_weights_are_a_subset_of_the_quantized(architecture, changes):
    config = tiny.config(architecture, **changes)
    task = tiny.TASK if architecture == "encoder" else None
    plain, quantized = build(config, task), build(config, task, bits=INT8)
    shapes, more = ({p: w.shape for p, w in get_weights(m).items()} for m in (plain, quantized))
    extra = {path: shape for path, shape in more.items() if path not in shapes}
    assert {path: more[path] for path in shapes} == shapes
    assert set(extra.values()) == {()}
    assert {path.rpartition("/")[2] for path in extra} == {"range_min", "range_max"}
    set_weights(quantized, get_weights(plain), ranges_missing=True)
    for path, value in get_weights(plain).items():
        np.testing.assert_array_equal(get_weights(quantized)[path], value)
    with pytest.raises(InputError, match=r"^The weights lack .*/range_min, which the model has\.$"):
        set_weights(quantized, get_weights(plain))


def test_set_weights_is_strict():
    model = build(tiny.config(), tiny.TASK)
    weights = get_weights(model)
    path = "head/kernel"
    with refused(f"The weights lack {path}, which the model has."):
        set_weights(model, {name: value for name, value in weights.items() if name != path})
    with refused(f"Expected the weight {path} to have shape (16, 2), got (16, 3)."):
        set_weights(model, {**weights, path: np.zeros((16, 3), "float32")})
    with refused("The weights hold other/kernel, which the model does not have."):
        set_weights(model, {**weights, "other/kernel": np.zeros(3), "other/scale": np.zeros(3)})


def test_weights_have_paths_of_names_given():
    paths = get_weights(build(tiny.config(), tiny.TASK))
    assert sorted({path.split("/")[0] for path in paths}) == [
        "embedding_norm", "encoder", "head", "pooler", "position_embedding", "segment_embedding",
        "token_embedding",
    ]  # fmt: skip
    # A second model in the same process has the same: no counters in the names.
    assert list(get_weights(build(tiny.config(), tiny.TASK))) == list(paths)


def test_all_layers_reaches_the_deepest():
    names = {layer.path for layer in all_layers(build(tiny.config(), tiny.TASK))
             if isinstance(layer, QuantPoint)}  # fmt: skip
    assert any(name.endswith("attention/sublayer/scores_point") for name in names)


@pytest.mark.parametrize("tied_head", [True, False])
def test_int8_leaves_logits_float_and_gives_each_row_of_the_table_a_scale(tied_head):
    bits = {**INT8, "row_bits": 8}
    config = tiny.config("decoder", tied_head=tied_head, num_segments=0, pre_norm=True)
    model = build(config, bits=bits)
    stored = [one.path for one in all_layers(model) if isinstance(one, QuantPoint) and one.bits]
    assert stored
    assert all(path.startswith("decoder/block_") for path in stored)
    table = model.get_layer("token_embedding")
    assert table.rounds_table
    assert (table if tied_head else model.get_layer("logits_head")).rounds_rows


def test_int8_of_a_llama_stores_no_activations():
    changes = {"positions": "rotary", "norm": "rms_norm", "gated": True, "pre_norm": True}
    model = build(
        tiny.config("decoder", num_segments=0, **changes), bits={**INT8, "row_bits": 8}
    )
    assert not [one.path for one in all_layers(model) if isinstance(one, QuantPoint) and one.bits]
