"""Learned rounding: on the grid of the file, with smaller errors, and what it refuses."""

import itertools

import numpy as np
import pytest
from keras import ops

from keras_transformer.edge.quantize import learned_rounding
from keras_transformer.edge.quantize.learned_rounding import (
    Moments,
    compensated,
    learn_rounding,
    least_error_scale,
)
from keras_transformer.edge.quantize.qat import quantized_model
from keras_transformer.edge.targets.convert import convert
from keras_transformer.quantization import Projection
from keras_transformer.zoo.errors import InputError
from keras_transformer.zoo.models.build import all_layers, get_weights
from keras_transformer.zoo.models.running.predict import model_inputs
from tests.edge import generators
from tests.edge.models import calibration, random_model
from tests.slow import mostly_slow

GRIDS = {
    "int8": {"kernel_bits": 8},
    "int4": {"kernel_bits": 4},
    "blocks": {"kernel_bits": 4, "kernel_block": 8, "row_bits": 8},
}


def projection(bits, width=32, units=6, seed=0, **kwargs):
    """A projection with a random kernel, and rows whose channels go together."""
    rng = np.random.default_rng(seed)
    layer = Projection(units, bits=bits, **kwargs)
    layer.build((None, width))
    layer.kernel.assign(rng.normal(size=(width, units)).astype("float32"))
    mixing = rng.normal(size=(width // 2, width)) + 0.3
    rows = (rng.normal(size=(256, width // 2)) @ mixing).astype("float32")
    return layer, rows


def moments_of(rows):
    moments = Moments.of_width(rows.shape[-1])
    moments.add(rows)
    return moments


def learned(layer, rows):
    kernel = ops.convert_to_numpy(layer.kernel)
    scale = least_error_scale(kernel, np.square(rows).sum(0), layer)
    return kernel, compensated(kernel, moments_of(rows), scale, layer.kernel_bits)


def nearest(layer, kernel):
    return ops.convert_to_numpy(layer.rounded_kernel(kernel))


@pytest.mark.parametrize("factor", [1.0, 0.3])
@pytest.mark.parametrize("grid", GRIDS)
def test_the_kernel_is_on_its_grid(grid, factor):
    """What a file stores is rounded from the kernel once more, and must not move it."""
    layer, rows = projection(GRIDS[grid], factor=factor)
    _, rounded = learned(layer, rows)
    np.testing.assert_allclose(nearest(layer, rounded), rounded, rtol=1e-6, atol=0)


@pytest.mark.parametrize("grid", GRIDS)
def test_outputs_are_nearer(grid):
    layer, rows = projection(GRIDS[grid])
    kernel, rounded = learned(layer, rows)

    def error(other):
        return np.square(rows @ (other - kernel)).sum(0)

    ratio = error(rounded) / error(nearest(layer, kernel))
    # On the rows that were learned from; half of the channels follow from the other half, so that
    # most of an error can be made up for, in each column alone.
    assert ratio.mean() < 0.5
    assert ratio.max() < 0.8


def test_the_rounding_is_near_the_best_of_all():
    """Against the best of every combination of rounding up and down, of one column."""
    width = 10
    layer, rows = projection({"kernel_bits": 4}, width=width, units=1)
    kernel = ops.convert_to_numpy(layer.kernel)
    moments = rows.T @ rows
    scale = np.full((width, 1), float(np.abs(kernel).max()) / 7, np.float32)
    ups = (np.arange(2**width)[:, None] >> np.arange(width)) & 1
    candidates = (np.floor(kernel[:, 0] / scale[:, 0]) + ups).clip(-7, 7) * scale[:, 0]
    differences = candidates - kernel[:, 0]
    errors = np.einsum("ni,ij,nj->n", differences, moments, differences)
    found = compensated(kernel, moments_of(rows), scale, 4)[:, 0] - kernel[:, 0]
    nearest_ = np.rint(kernel[:, 0] / scale[:, 0]) * scale[:, 0] - kernel[:, 0]
    assert errors.min() <= found @ moments @ found * (1 + 1e-5)
    assert found @ moments @ found < 0.5 * (nearest_ @ moments @ nearest_)


def test_uncorrelated_inputs_round_to_the_nearest_value():
    """Nothing can make up for an error there; the scale is given."""
    layer, _ = projection({"kernel_bits": 8})
    kernel = ops.convert_to_numpy(layer.kernel)
    scale = np.broadcast_to(ops.convert_to_numpy(layer.scale)[:, 0], kernel.shape)
    found = compensated(kernel, moments_of(np.eye(len(kernel), dtype=np.float32)), scale, 8)
    np.testing.assert_allclose(found, nearest(layer, kernel), rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize("grid", GRIDS)
def test_zeros_stay(grid):
    """Pruned values, a whole channel and inputs that are never read included."""
    layer, rows = projection(GRIDS[grid])
    kernel = ops.convert_to_numpy(layer.kernel).copy()
    kernel[::3] = 0.0
    kernel[:, 2] = 0.0
    layer.kernel.assign(kernel)
    rows[:, 7] = 0.0
    _, rounded = learned(layer, rows)
    assert np.isfinite(rounded).all()
    np.testing.assert_array_equal(rounded[kernel == 0.0], 0.0)
    np.testing.assert_allclose(nearest(layer, rounded), rounded, rtol=1e-6, atol=0)


def outputs(model, checkpoint):
    return ops.convert_to_numpy(model(model_inputs(model, checkpoint.probes), training=False))


@pytest.mark.parametrize("kind", mostly_slow(["llama", "bart", "gpt"], ["llama"]))
def test_a_model_loses_less(kind):
    checkpoint = generators.generator(kind, intermediate_dim=64, hidden_dim=32)
    batches = generators.calibration(kind)
    exact = outputs(checkpoint.model, checkpoint)

    def error(rounding):
        model = quantized_model(checkpoint, batches, "int4", rounding=rounding)
        return np.square(outputs(model, checkpoint) - exact).mean()

    # Probes are other rows than those that it was learned from.
    assert error("learned") < 0.9 * error("nearest")


def test_the_mean_of_each_output_stays():
    """The bias makes up for the mean error, on the rows that were read."""
    checkpoint, batches = random_model(), calibration()
    model = quantized_model(checkpoint, batches, "dynamic_int8")
    before = get_weights(model)
    seen = {}
    layers = [one for one in all_layers(model) if isinstance(one, Projection)]
    for layer in layers:
        layer.observer = lambda one, rows: seen.setdefault(one.path, []).append(
            ops.convert_to_numpy(one.rows_read(rows)).reshape(-1, rows.shape[-1])
        )
    for batch in batches.epoch(0):
        model(batch.inputs, training=False)
    for layer in layers:
        layer.observer = None
    told = []
    learn_rounding(model, batches, told.append)
    assert told == [f"Learned the rounding of {len(layers)} of {len(layers)} kernels."]
    after = get_weights(model)
    for layer in layers:
        mean = np.concatenate(seen[layer.path]).mean(0)
        kernel, bias = layer.kernel.path, layer.bias.path
        np.testing.assert_allclose(
            mean @ after[kernel] + after[bias], mean @ before[kernel] + before[bias],
            rtol=1e-4, atol=1e-5,
        )  # fmt: skip


@pytest.mark.parametrize(
    "precision", mostly_slow(["dynamic_int8", "int8", "static_int8", "int4"], ["int4"])
)
def test_files_are_written(precision):
    checkpoint = generators.generator("llama", intermediate_dim=64, num_layers=1)
    batches = generators.calibration("llama")
    kwargs = {"calibration": batches, "smooth": "auto", "lengths": [8]}
    learned = convert(checkpoint, precision, rounding="learned", **kwargs)
    assert learned.parity.rows
    assert learned.files != convert(checkpoint, precision, **kwargs).files


def test_what_does_not_fit_is_refused():
    checkpoint, batches = random_model(), calibration()
    with pytest.raises(InputError, match="one of nearest, learned, got rounding='best'"):
        convert(checkpoint, "int4", calibration=batches, rounding="best")
    with pytest.raises(InputError, match="Expected rounding only with calibration data"):
        convert(checkpoint, "int4", rounding="learned")
    with pytest.raises(InputError, match="got smooth=none and rounding=nearest"):
        convert(checkpoint, "int4", calibration=batches, smooth="none")
    convert(checkpoint, "int4", calibration=batches, smooth="none", rounding="learned")


def separate_moments(layers, model, batches):
    """What each projection reads in plain calls, summed by itself."""
    found = {one.path: moments_of(np.zeros((0, one.kernel.shape[0]), "float32")) for one in layers}
    for layer in layers:
        layer.observer = lambda one, rows: found[one.path].add(one.rows_read(rows))
    for batch in batches.epoch(0):
        model(batch.inputs, training=False)
    for layer in layers:
        layer.observer = None
    return found


@pytest.mark.parametrize(
    ("kind", "precision"),
    mostly_slow(
        itertools.product(["llama", "bart", "gemma"], ["int4", "int8"]),
        [("llama", "int4"), ("bart", "int8")],
    ),
)
def test_projections_that_read_one_tensor_share_its_moments(kind, precision):
    layers = 1 if kind == "bart" else 2  # of each stack
    checkpoint = generators.generator(kind, intermediate_dim=64, num_layers=layers)
    batches = generators.calibration(kind)
    model = quantized_model(checkpoint, batches, precision)
    layers = [one for one in all_layers(model) if isinstance(one, Projection)]
    separate = separate_moments(layers, model, batches)
    readers = learned_rounding._readers(layers, model, batches)
    together = {
        frozenset(one.path.split("/")[-1] for one in shared.projections)
        for shared in readers if len(shared.projections) > 1
    }  # fmt: skip
    assert {"query", "key", "value"} in together
    assert ({"up", "gate"} in together) == checkpoint.config.gated
    assert ({"key", "value"} in together) == (kind == "bart")  # of all cross attention
    assert {one for shared in readers for one in shared.projections} == set(layers)
    # In one pass, and in several that end where their projections have been met.
    for group in (readers, readers[:2], readers[2:5], readers[5:]):
        shared = learned_rounding._moments(group, model, batches)
        for one in group:
            for projection in one.projections:
                expected, found = separate[projection.path], shared[one.first.path]
                np.testing.assert_array_equal(found.second, expected.second)
                np.testing.assert_array_equal(found.mean, expected.mean)
                assert found.rows == expected.rows


def test_passes_of_parts_of_the_projections_learn_the_same(monkeypatch):
    checkpoint = generators.generator("llama", intermediate_dim=64, num_layers=1)
    batches = generators.calibration("llama")
    weights, told = [], []
    # A pass sees the kernels that earlier ones rounded, which is another rounding than of one pass.
    for held in (learned_rounding._HELD, 1):
        monkeypatch.setattr(learned_rounding, "_HELD", held)
        model = quantized_model(checkpoint, batches, "int4", rounding="learned", note=told.append)
        weights.append(get_weights(model))
    assert len(told) == 1 + 4
    assert told[-1] == told[0] == "Learned the rounding of 7 of 7 kernels."
    first = "decoder/block_0/attention/sublayer/query/kernel"
    np.testing.assert_array_equal(weights[0][first], weights[1][first])
