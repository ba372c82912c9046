"""Smoothing: equal outputs in float, smaller errors when rounded, and what it refuses."""

import dataclasses
import io

import numpy as np
import pytest
from keras import ops

from keras_transformer.edge.precision import get_precision
from keras_transformer.edge.quantize.qat import quantized_model
from keras_transformer.edge.quantize.seams import seams
from keras_transformer.edge.quantize.smoothing import STRENGTHS, smoothed
from keras_transformer.edge.targets.convert import convert
from keras_transformer.zoo.errors import InputError
from keras_transformer.zoo.models.build import build, get_weights, set_weights
from keras_transformer.zoo.models.running.predict import model_inputs
from keras_transformer.zoo.progress import Printed
from tests.edge import generators
from tests.edge.models import calibration, random_model
from tests.slow import mostly_slow

# Between them every seam and what stands beside it: shared heads, gates, relu, cross attention,
# parallel sublayers, norms of heads, post-norm, and low-rank factors.
KINDS = {kind: {} for kind in generators.KINDS} | {"low_rank": {"rank": 4}}


# Kernels that queries and keys begin with.
SCORING = tuple(f"{name}/{part}kernel" for name in ("query", "key") for part in ("", "reduce/"))


def with_large_channels(checkpoint):
    """The checkpoint with norms, values and hidden units that have a channel 20 times as large.

    Queries and keys hardly read that of a norm: scores of hundreds would make a softmax that picks
    one position.
    """
    weights = get_weights(checkpoint.model)
    for path, value in weights.items():
        if path.endswith(("norm/gamma", "value/kernel", "up/kernel")):
            value[..., 5] *= 20.0
        if path.endswith(SCORING):
            value[5] /= 20.0
    model = build(checkpoint.config, checkpoint.task)
    set_weights(model, weights)
    return dataclasses.replace(checkpoint, model=model)


@pytest.fixture(scope="module")
def llama():
    return with_large_channels(generators.generator("llama", intermediate_dim=64))


def outputs(model, checkpoint):
    return ops.convert_to_numpy(model(model_inputs(model, checkpoint.probes), training=False))


def changed_to(checkpoint, weights):
    model = build(checkpoint.config, checkpoint.task)
    set_weights(model, {**get_weights(checkpoint.model), **weights})
    return model


@pytest.mark.parametrize("strength", mostly_slow(["0.6", "auto"], ["auto"]))
@pytest.mark.parametrize("kind", mostly_slow(KINDS, ["llama", "transformer", "low_rank"]))
def test_outputs_in_float_stay(kind, strength):
    name = "llama" if kind == "low_rank" else kind
    checkpoint = with_large_channels(generators.generator(name, **KINDS[kind]))
    found = smoothed(
        checkpoint.model, generators.calibration(name), get_precision("dynamic_int8"), strength
    )
    expected = outputs(checkpoint.model, checkpoint)
    actual = outputs(changed_to(checkpoint, found.weights), checkpoint)
    assert any(found.strengths.values())
    # Powers of two change no digit of a product.
    np.testing.assert_array_equal(actual, expected)


def test_seams_of_a_gated_decoder(llama):
    blocks = [f"decoder/block_{number}" for number in range(2)]
    expected = [
        (f"{block}/{writer}", [f"{block}/{reader}" for reader in readers], size)
        for block in blocks
        for writer, readers, size in (
            (
                "attention/norm",
                [f"attention/sublayer/{one}" for one in ("query", "key", "value")], 32,
            ),
            ("attention/sublayer/value", ["attention/sublayer/output"], 16),
            ("feed_forward/norm", [f"feed_forward/sublayer/{one}" for one in ("up", "gate")], 32),
            ("feed_forward/sublayer/up", ["feed_forward/sublayer/down"], 64),
        )
    ]  # fmt: skip
    found = [
        (one.name, [reader.path for reader in one.readers], one.shared[0] * one.shared[2])
        for one in seams(llama.model)
    ]
    assert sorted(found) == sorted(expected)


def test_post_norm_blocks_have_the_seams_between_linear_layers_alone():
    encoder = random_model(activation="gelu")
    assert [one.name for one in seams(encoder.model)] == [
        "encoder/block_0/attention/sublayer/value"
    ]
    rectified = random_model(activation="relu")
    assert [one.name for one in seams(rectified.model)] == [
        "encoder/block_0/attention/sublayer/value", "encoder/block_0/feed_forward/sublayer/up",
    ]  # fmt: skip


# The kernels of int4 themselves cost the most.
@pytest.mark.parametrize(
    ("precision", "most"),
    mostly_slow(
        [("dynamic_int8", 0.7), ("int8", 0.7), ("static_int8", 0.7), ("int4", 0.9)],
        [("int8", 0.7)],
    ),
)
def test_large_channels_cost_less(llama, precision, most):
    batches = generators.calibration("llama")
    exact = outputs(llama.model, llama)

    def error(smooth):
        model = quantized_model(llama, batches, precision, smooth=smooth)
        return np.square(outputs(model, llama) - exact).mean()

    assert error("auto") < most * error("none")


def test_the_factors_of_a_strength(llama):
    """Against the formula, on the norm before the first feed-forward layer."""
    batches = generators.calibration("llama")
    found = smoothed(llama.model, batches, get_precision("dynamic_int8"), "0.5")
    seam = next(one for one in seams(llama.model) if one.name.endswith("0/feed_forward/norm"))
    seen = []
    reader = seam.readers[0]
    reader.observer = lambda _, inputs: seen.append(ops.convert_to_numpy(inputs).reshape(-1, 32))
    for batch in batches.epoch(0):
        llama.model(batch.inputs, training=False)
    reader.observer = None
    kernels = np.concatenate([ops.convert_to_numpy(one.kernel) for one in seam.readers], axis=1)
    sizes = np.abs(np.concatenate(seen)).max(0)
    factors = np.sqrt(sizes / np.abs(kernels).max(1))
    factors = 2.0 ** np.rint(np.log2(factors) - np.log2(factors).mean())
    gamma = ops.convert_to_numpy(llama.model.get_layer("decoder").blocks[0].feed_forward.norm.gamma)
    ratio = gamma / found.weights[seam.writers[0]]
    np.testing.assert_array_equal(ratio, factors)


def test_auto_chooses_what_is_listed(llama):
    found = smoothed(
        llama.model, generators.calibration("llama"), get_precision("dynamic_int8"), "auto"
    )
    assert set(found.strengths.values()) <= set(STRENGTHS)
    assert str(found).startswith("Smoothed ")


@pytest.mark.parametrize("smooth", ["half", "1.5", "-0.1", "nan", ""])
def test_other_strengths_are_refused(llama, smooth):
    with pytest.raises(InputError, match="Expected smooth to be auto, none or a number"):
        convert(llama, "dynamic_int8", calibration=generators.calibration("llama"), smooth=smooth)


def test_smoothing_needs_data_and_data_a_use(llama):
    with pytest.raises(InputError, match="Expected smooth only with calibration data"):
        convert(llama, "dynamic_int8", smooth="auto")
    batches = generators.calibration("llama")
    with pytest.raises(InputError, match="got smooth=none and rounding=nearest"):
        convert(llama, "dynamic_int8", calibration=batches, smooth="none")
    with pytest.raises(InputError, match="Expected calibration data only where a float checkpoint"):
        convert(llama, "float32", calibration=batches)
    with pytest.raises(InputError, match="Expected percentile only for a precision with ranges"):
        convert(llama, "dynamic_int8", calibration=batches, percentile=99.0)


@pytest.mark.slow
@pytest.mark.parametrize("precision", ["dynamic_int8", "int8"])
def test_files_of_smoothed_models_are_written(llama, precision):
    batches = generators.calibration("llama")
    artifact = convert(llama, precision, calibration=batches, smooth="auto", lengths=[8])
    assert artifact.parity.rows


@pytest.mark.parametrize("precision", mostly_slow(["int8", "dynamic_int8"], ["dynamic_int8"]))
def test_precisions_without_ranges_are_smoothed_by_default(precision):
    told = io.StringIO()
    convert(random_model(), precision, calibration=calibration(), report=Printed(told))
    assert ("Smoothed " in told.getvalue()) == (precision == "dynamic_int8")


def test_an_encoder_without_seams_that_help_stays():
    encoder = random_model()
    found = smoothed(encoder.model, calibration(), get_precision("int8"), "auto")
    assert set(found.strengths) == {"encoder/block_0/attention/sublayer/value"}
