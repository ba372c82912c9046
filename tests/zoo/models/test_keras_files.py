"""Models as Keras' own files: `model.save("m.keras")` and `keras.models.load_model`."""

import subprocess
import sys

import keras
import numpy as np
import pytest
from keras import ops

from keras_transformer import Encoder, TokenEmbedding
from keras_transformer.quantization import QuantPoint
from keras_transformer.zoo.models.build import all_layers, build, get_weights
from keras_transformer.zoo.models.catalog import CATALOG
from keras_transformer.zoo.models.kept_layers import rounded_layers
from keras_transformer.zoo.tasks.classification import Classification
from keras_transformer.zoo.tasks.regression import Regression

CLASSES = Classification(labels=("a", "b", "c"))
PAIRS = Classification(labels=("a", "b"), pair=True)
NUMBER = Regression(mean=120_000.0, deviation=0.5)
INT8 = {"kernel_bits": 8, "activation_bits": 8}
# Each family at a tiny width, with each of its heads.
FAMILIES = [
    ("bert_tiny", {}, None), ("bert_tiny", {}, CLASSES), ("bert_tiny", {"pooling": "mean"}, PAIRS),
    ("bert_tiny", {"pooling": "max"}, NUMBER), ("gpt_nano", {}, None), ("llama_nano", {}, None),
    ("transformer_tiny", {"num_layers": 1}, None),
    ("transformer_tiny", {"num_layers": 1, "source_vocab_size": 30}, None),
]  # fmt: skip
STORED = {
    "float": {},
    "kernels": {"bits": {"kernel_bits": 4, "kernel_block": 4}, "keep": ["*/down=int8"]},
    "int8": {"bits": INT8},
    "integer": {"bits": {**INT8, "inner_bits": 8}},
    "kept": {"bits": INT8, "keep": ["*block_0/feed_forward", "token_embedding", "head"]},
}
# How a family is stored in the default run, if it is in it.
USUAL = (None, "kept", None, "integer", None, "kernels", None, None)


def tiny(name, **changes):
    shape = {"vocab_size": 20, "max_length": 16, "hidden_dim": 16, "intermediate_dim": 24,
             "num_layers": 2, "num_heads": 4}  # fmt: skip
    return CATALOG[name].replace(**{**shape, **changes})


def filled(model, seed=0):
    rng = np.random.default_rng(seed)
    for weight in model.weights:
        if not weight.path.endswith(("range_min", "range_max")):
            weight.assign(weight.value + 0.3 * rng.normal(size=weight.shape))
    for layer in all_layers(model):
        if isinstance(layer, QuantPoint) and layer.built and layer.is_learned:
            layer.set_range(-rng.uniform(1, 4), rng.uniform(1, 4))
    return model


def inputs_of(model, seed=0):
    rng = np.random.default_rng(seed)
    inputs = {}
    for tensor in model.inputs:
        ids = rng.integers(1, 20, (3, 7)).astype("int32")
        inputs[tensor.name] = ids % 2 if tensor.name == "segment_ids" else ids
        inputs[tensor.name][1, 5:] = 0
    return inputs


def outputs(model, inputs):
    return ops.convert_to_numpy(model(inputs))


def reloaded(model, folder):
    model.save(folder / "m.keras")
    return keras.models.load_model(folder / "m.keras")


@pytest.mark.parametrize(
    ("name", "changes", "task", "stored"),
    [
        pytest.param(*family, stored, marks=() if stored == usual else pytest.mark.slow)
        for family, usual in zip(FAMILIES, USUAL, strict=True)
        for stored in STORED
    ],
)
def test_a_built_model_comes_back(tmp_path, name, changes, task, stored):
    given = dict(STORED[stored])
    if task is None and "keep" in given:
        given["keep"] = given["keep"][:2]
    model = filled(build(tiny(name, **changes), task, **given))
    loaded = reloaded(model, tmp_path)
    inputs = inputs_of(model)
    np.testing.assert_array_equal(outputs(loaded, inputs), outputs(model, inputs))
    assert list(get_weights(loaded)) == list(get_weights(model))
    assert [one.path for one in rounded_layers(loaded)] == [
        one.path for one in rounded_layers(model)
    ]
    # A second time, from the file's own configuration.
    again = reloaded(loaded, tmp_path)
    np.testing.assert_array_equal(outputs(again, inputs), outputs(model, inputs))


def test_matmuls_beside_floats_come_back(tmp_path):
    kept = {"bits": {**INT8, "row_bits": 8}, "keep": ["*/up_point", "*/attention/norm_point"]}
    model = filled(build(tiny("gpt_nano"), **kept))
    loaded, inputs = reloaded(model, tmp_path), inputs_of(model)
    np.testing.assert_array_equal(outputs(loaded, inputs), outputs(model, inputs))
    stay = [{one.path for one in all_layers(of) if getattr(one, "stays_dynamic", False)}
            for of in (loaded, model)]  # fmt: skip
    assert stay[0] == stay[1] and "decoder/block_0/feed_forward/sublayer/up" in stay[0]


@keras.saving.register_keras_serializable(package="tests")
class Tagger(keras.Model):
    """What a user writes who builds upon the layers."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.embedding = TokenEmbedding(300, 16, name="embedding")
        self.encoder = Encoder(2, 2, 24, name="encoder")
        self.tags = keras.layers.Dense(5, name="tags")

    def call(self, ids):
        return self.tags(self.encoder(self.embedding(ids)))


def test_a_subclassed_model_comes_back_with_its_weights(tmp_path):
    model = Tagger()
    ids = np.random.default_rng(0).integers(0, 300, (2, 6))
    expected = outputs(model, ids)
    np.testing.assert_array_equal(outputs(reloaded(model, tmp_path), ids), expected)


@pytest.mark.parametrize("policy", ["float32", "mixed_bfloat16", "mixed_float16"])
def test_ids_may_be_of_any_dtype(policy):
    layer = TokenEmbedding(3000, 4, dtype=policy)
    ids = np.array([[0, 2999, 2049]])
    expected = ops.convert_to_numpy(ops.cast(layer(ids.astype("int32")), "float32"))
    table = ops.convert_to_numpy(ops.cast(layer.embeddings.value, layer.compute_dtype))
    np.testing.assert_array_equal(expected, table[ids].astype("float32"))
    for dtype in ("int64", "uint16", "float32", "float64"):
        found = ops.convert_to_numpy(ops.cast(layer(ids.astype(dtype)), "float32"))
        np.testing.assert_array_equal(found, expected)


@pytest.mark.slow
def test_a_new_process_loads_it_with_nothing_but_an_import(tmp_path):
    model = filled(build(tiny("gpt_nano")))
    model.save(tmp_path / "m.keras")
    np.save(tmp_path / "expected.npy", outputs(model, inputs_of(model)))
    np.save(tmp_path / "ids.npy", inputs_of(model)["ids"])
    program = (
        "import keras, numpy as np, keras_transformer.zoo.models.build\n"
        "model = keras.models.load_model('m.keras')\n"
        "found = np.asarray(model({'ids': np.load('ids.npy')}))\n"
        "np.testing.assert_allclose(found, np.load('expected.npy'), rtol=1e-5, atol=1e-6)\n"
    )
    command = [sys.executable, "-c", program]
    finished = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert finished.returncode == 0, finished.stderr[-2000:]
