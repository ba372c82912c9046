"""Models with convolutions and without padding: files of every precision, and what is done before.

The embedding is a tokenizer of two convolutions, the outputs are pooled by attention.
"""

import functools
import itertools

import numpy as np
import pytest

import keras_transformer as kt
from keras_transformer.edge.compare.compare import compare_layers
from keras_transformer.edge.compare.inspect import inspect
from keras_transformer.edge.precision import PRECISIONS, TRAINED_PRECISIONS
from keras_transformer.edge.runtime.packed import unpack
from keras_transformer.edge.runtime.runner import Runner
from keras_transformer.edge.targets.convert import convert
from keras_transformer.edge.tflite.schema import count_ops, kernels
from keras_transformer.quantization import QuantPoint
from keras_transformer.zoo.models.build import all_layers, get_weights
from keras_transformer.zoo.models.counts import multiply_adds
from tests.edge import photos
from tests.slow import mostly_slow

KERNELS = ("tokenizer/convolution_0/kernel", "tokenizer/convolution_1/kernel")
CALIBRATION = photos.rows_of(64, seed=4)
TUNING = {"train": photos.rows_of(128, seed=5), "validation": photos.rows_of(64, seed=1)}


@pytest.fixture(scope="module", autouse=True)
def known():
    patch = photos.registered()
    yield
    patch.undo()


@pytest.fixture(scope="module")
def trained(known):
    """Returns a classifier of changes to the config, trained once."""
    return functools.cache(photos.trained)


@pytest.fixture(scope="module")
def checkpoint(trained):
    return trained()


def converted(checkpoint, precision, **options):
    needed = PRECISIONS[precision].is_static or "rounding" in options
    return convert(
        checkpoint, precision, calibration=CALIBRATION if needed else None, **options
    )  # fmt: skip


def test_it_learns(checkpoint):
    assert checkpoint.evaluate(photos.rows_of(64, seed=2))["accuracy"] > 0.95


def test_multiply_adds(checkpoint):
    # Convolutions at 8 x 8 and 4 x 4 places; a block of four tokens, as of text; the scores.
    block = 4 * (4 * 32 * 32 + 2 * 32 * 64) + 2 * 4 * 4 * 32
    expected = 64 * 27 * 8 + 16 * 72 * 32 + block + 4 * 32
    assert multiply_adds(checkpoint.model, 4) == expected


@pytest.mark.parametrize("precision", mostly_slow(PRECISIONS, ["int16x8", "int4"]))
def test_files(checkpoint, precision):
    artifact = converted(checkpoint, precision)
    flatbuffer = unpack(artifact)[0]
    ops = count_ops(flatbuffer)
    assert (ops["CONV_2D"], ops["MAX_POOL_2D"]) == (2, 2)
    stored = {one.type for one in kernels(flatbuffer) if len(one.shape) == 4}
    # No runtime has convolutions of 4 bits.
    assert stored == {PRECISIONS[precision].kernel_type.replace("INT4", "INT8")}
    rows, _ = photos.rows_of(100, seed=3)
    # Scores are up to 3; kernels of 8 bits are off by up to 1/254 of their largest value, of 4 bits
    # by 1/14.
    tolerances = {"float32": 1e-5, "float16": 0.01, "int4": 0.8, "channel_int4": 0.8}
    tolerance = tolerances.get(precision, 0.15)
    found = Runner(artifact).scores(rows)
    np.testing.assert_allclose(found, checkpoint.scores(rows), atol=tolerance)


@pytest.mark.parametrize("precision", mostly_slow(TRAINED_PRECISIONS, ["dynamic_int8"]))
def test_files_of_quantized_models(checkpoint, precision):
    small = kt.quantize(checkpoint, precision, epochs=1, **TUNING)
    runner = Runner(convert(small, precision))
    rows, _ = photos.rows_of(60, seed=3)
    difference = np.abs(runner.scores(rows) - small.scores(rows))
    if PRECISIONS[precision].is_static:
        # In steps of its own output: ties of a few layers add up in some rows.
        [step] = [
            one.scale for one in all_layers(small.model)
            if isinstance(one, QuantPoint) and one.name == "head_point"
        ]  # fmt: skip
        limit = 8 if PRECISIONS[precision].activation_bits == 16 else 4
        assert difference.max() < limit * step and np.median(difference) < 1.5 * step
        [layers] = compare_layers(small, runner, small.encode(rows).of(small.inputs)).values()
        assert layers and not any(one.departs for one in layers)
    else:
        # Where a value is near a tie, its image is rounded otherwise.
        assert np.median(difference) < 1e-5 and difference.max() < 0.05
    if precision == "integer":
        assert runner.description["simulated"]["equal"] == 1.0


@pytest.mark.parametrize(
    ("pooling", "pre_norm"),
    mostly_slow(
        itertools.product(("first", "mean", "max", "attention"), (False, True)),
        [("attention", False)],
    ),
)
def test_integers_are_simulated(trained, pooling, pre_norm):
    made = trained(epochs=1, pooling=pooling, pre_norm=pre_norm)
    assert converted(made, "integer").description["simulated"] | {"layers": 0} == {
        "layers": 0, "rows": 8, "equal": 1.0
    }  # fmt: skip


@pytest.mark.parametrize(
    "precision", mostly_slow(("float32", "dynamic_int8", "int4"), ["dynamic_int8"])
)
def test_beside_kernels_that_are_marked(trained, precision):
    """Without norms that add, kernels of projections are written after conversion."""
    made = trained(epochs=1, pre_norm=True, norm="rms_norm")
    assert converted(made, precision).parity.rows == 64


@pytest.mark.parametrize("precision", mostly_slow(("int8", "dynamic_int8"), ["dynamic_int8"]))
def test_learned_rounding_keeps_the_outputs(checkpoint, precision):
    rows, _ = photos.rows_of(100, seed=3)
    artifact = converted(checkpoint, precision, rounding="learned")
    found = Runner(artifact).scores(rows)
    np.testing.assert_allclose(found, checkpoint.scores(rows), atol=0.15)


@pytest.mark.parametrize("precision", mostly_slow(("int8", "dynamic_int8", "int4"), ["int8"]))
def test_a_tokenizer_that_stays_float(checkpoint, precision):
    artifact = converted(checkpoint, precision, keep=["tokenizer=float32"])
    stored = [one.type for one in kernels(unpack(artifact)[0]) if len(one.shape) == 4]
    assert stored == ["FLOAT32", "FLOAT32"]


def test_what_xnnpack_runs(checkpoint):
    delegated = inspect(converted(checkpoint, "int8")).delegated
    assert (delegated["CONV_2D"], delegated["MAX_POOL_2D"]) == (2, 2)


@pytest.mark.parametrize(
    ("name", "value"),
    mostly_slow([("rank", 4), ("sparsity", 0.5), ("clusters", 16)], [("rank", 4)]),
)
def test_pruning_leaves_convolutions_as_they_are(checkpoint, name, value):
    small = kt.prune(checkpoint, epochs=1, **TUNING, **{name: value})
    weights = get_weights(small.model)
    assert all((weights[path] != 0).all() for path in KERNELS)
    assert converted(small, "dynamic_int8").parity.rows == 64
