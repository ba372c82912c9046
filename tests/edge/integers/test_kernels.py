"""Kernels in NumPy against LiteRT's, on all values of their inputs and grids drawn at random."""

import dataclasses

import numpy as np
import pytest

from keras_transformer.edge.integers import hard_silu, kernels
from keras_transformer.edge.integers.kernels import Grid, Kernel, windows
from keras_transformer.edge.integers.values import Floats
from keras_transformer.zoo.errors import RunError
from tests.edge.integers.single_op import TYPES, run, single_op

ALL = np.arange(-128, 128)
ROWS, COLUMNS = np.repeat(ALL, 256).reshape(1, 256, 256), np.tile(ALL, (1, 256, 1))
SEEDS = range(6)


def grids(seed, count):
    """Grids whose steps differ by a factor of up to about 20."""
    rng = np.random.default_rng(seed)
    ranges = rng.uniform(0.3, 6.0, (count, 2)) * [-1.0, 1.0]
    return [Grid.of(low, high) for low, high in ranges]


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("name", ["ADD", "SUB", "MUL"])
def test_two_tensors(name, seed):
    xs, ys, out = grids(seed, 3)
    data = single_op(
        name, [((1, 256, 256), xs), ((1, 256, 256), ys)], out, (1, 256, 256),
        options=(f"{name.title()}Options", {}),
    )  # fmt: skip
    kernel = {"ADD": kernels.add, "SUB": kernels.subtract, "MUL": kernels.multiply}[name]
    np.testing.assert_array_equal(run(data, ROWS, COLUMNS), kernel(ROWS, COLUMNS, xs, ys, out))


def test_steps_that_are_too_far_apart():
    with pytest.raises(RunError, match="less than 256 times its output's, got 394 times"):
        kernels.add(ALL, ALL, Grid.of(-0.5, 0.4), Grid.of(-512.0, 0.0), Grid.of(-0.7, 0.6))


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("width", [16, 48, 128, 300])
@pytest.mark.parametrize("axis", [1, 2])
def test_a_mean(seed, width, axis):
    xs, out = grids(seed, 2)
    shape = (1, 200, width) if axis == 2 else (1, width, 200)
    x = np.random.default_rng(seed).integers(-128, 128, shape)
    expected = kernels.mean(axis, x, xs, out)
    data = single_op(
        "MEAN", [(shape, xs)], out, expected.shape,
        constants=[{"shape": (1,), "dtype": TYPES.INT32, "data": np.array([axis], np.int32)}],
        options=("ReducerOptions", {"keepDims": True}),
    )  # fmt: skip
    np.testing.assert_array_equal(run(data, x), expected)


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("is_symmetric", [True, False])
def test_a_product_of_tensors(seed, is_symmetric):
    xs, ys, out = grids(seed, 3)
    out = Grid.of(-40.0, 38.0)
    if is_symmetric:
        ys = dataclasses.replace(ys, zero=0)
    rng = np.random.default_rng(seed)
    x, y = rng.integers(-128, 128, (1, 2, 60, 24)), rng.integers(-128, 128, (1, 2, 24, 50))
    data = single_op(
        "BATCH_MATMUL", [(x.shape, xs), (y.shape, ys)], out, (1, 2, 60, 50),
        options=("BatchMatMulOptions", {}),
    )  # fmt: skip
    np.testing.assert_array_equal(run(data, x, y), kernels.matmul(x, y, xs, ys, out))


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("relu", [False, True])
def test_a_projection(seed, relu):
    xs, out = grids(seed, 2)
    rng = np.random.default_rng(seed)
    x, values = rng.integers(-128, 128, (300, 64)), rng.normal(size=(64, 40)).astype("float32")
    scales = np.abs(values).max(0) / np.float32(127)
    values = np.float32(np.rint(values / scales) * scales)
    bias = rng.normal(size=40).astype("float32")
    # Of a pruned channel the bias is left, in steps so small that a large one overflows.
    values[:, 3], bias[3] = 0.0, 0.01
    kernel = Kernel.of(values, bias)
    out = Grid.of(0.0, 20.0) if relu else Grid.of(-20.0, 19.0)
    products = np.float64(xs.scale) * np.float64(kernel.scales)
    data = single_op(
        "FULLY_CONNECTED", [(x.shape, xs)], out, (300, 40),
        constants=[
            {"shape": (40, 64), "data": kernel.integers.T.astype(np.int8),
             "scales": kernel.scales},
            {"shape": (40,), "dtype": TYPES.INT32,
             "data": np.rint(bias / products).astype(np.int32), "scales": products},
        ],
        options=("FullyConnectedOptions", {"fusedActivationFunction": int(relu)}),
    )  # fmt: skip
    np.testing.assert_array_equal(run(data, x), kernel.project(x, xs, out, relu=relu))


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("relu", [False, True])
def test_a_convolution(seed, stride, relu):
    xs, out = grids(seed, 2)
    rng = np.random.default_rng(seed)
    size = (3, 3) if seed % 2 else (2, 5)
    x = rng.integers(-128, 128, (2, 9, 10, 7))
    values = rng.normal(size=(*size, 7, 20)).astype("float32").reshape(-1, 20)
    scales = np.abs(values).max(0) / np.float32(127)
    kernel = Kernel.of(
        np.float32(np.rint(values / scales) * scales), rng.normal(size=20).astype("float32")
    )
    out = Grid.of(0.0, 30.0) if relu else Grid.of(-30.0, 29.0)
    products = np.float64(xs.scale) * np.float64(kernel.scales)
    expected = kernel.project(windows(x, size, stride, xs.zero), xs, out, relu=relu)
    stored = kernel.integers.T.reshape(20, *size, 7).astype(np.int8)
    data = single_op(
        "CONV_2D", [(x.shape, xs)], out, expected.shape,
        constants=[
            {"shape": stored.shape, "data": stored, "scales": kernel.scales},
            {"shape": (20,), "dtype": TYPES.INT32,
             "data": np.rint(kernel.bias / products).astype(np.int32), "scales": products},
        ],
        options=("Conv2DOptions", {
            "strideH": stride, "strideW": stride, "fusedActivationFunction": int(relu),
        }),
    )  # fmt: skip
    np.testing.assert_array_equal(run(data, x), expected)
    assert len(np.unique(expected)) > 50


@pytest.mark.parametrize("seed", range(20))
@pytest.mark.parametrize(("op", "name"), [("LOGISTIC", "sigmoid"), ("TANH", "tanh")])
def test_a_function(op, name, seed):
    [xs] = grids(seed, 1)
    out = {"sigmoid": Grid.of(0.0, 255 / 256), "tanh": Grid.of(-1.0, 127 / 128)}[name]
    data = single_op(op, [((1, 256), xs)], out, (1, 256))
    found = run(data, ALL[None])[0]
    np.testing.assert_array_equal(found, getattr(kernels, name)(ALL, xs, out))


@pytest.mark.parametrize("seed", range(20))
def test_gelu_is_looked_up(seed):
    xs, out = grids(seed, 2)
    data = single_op(
        "GELU", [((1, 256), xs)], out, (1, 256), options=("GeluOptions", {"approximate": False})
    )
    values = xs.values(ALL)
    gelu = 0.5 * values * (1 + kernels.erf(values / np.float32(np.sqrt(2))))
    np.testing.assert_array_equal(
        run(data, ALL[None])[0], kernels.looked_up(gelu, ALL, out)
    )


@pytest.mark.parametrize("seed", range(20))
def test_a_hard_silu(seed):
    rng = np.random.default_rng(seed)
    # Inputs past -3 and 3, at which the gate saturates, and outputs past the range.
    xs = Grid.of(-rng.uniform(0.05, 12.0), rng.uniform(0.05, 12.0))
    out = Grid.of(-rng.uniform(0.1, 0.4), rng.uniform(0.3, 12.0))
    data = single_op(
        "HARD_SWISH", [((1, 256), xs)], out, (1, 256), options=("HardSwishOptions", {}), version=1
    )
    found = hard_silu.hard_silu(ALL, xs, out)
    np.testing.assert_array_equal(run(data, ALL[None])[0], found)
    # The fixed point is not far from the function.
    x = xs.values(ALL)
    np.testing.assert_allclose(found, out.store(x * np.clip(x / 6 + 0.5, 0, 1)), rtol=0, atol=1)


@pytest.mark.parametrize("seed", range(20))
def test_an_inverse_root(seed):
    rng = np.random.default_rng(seed)
    xs, out = Grid.of(0.0, rng.uniform(0.01, 9.0)), Grid.of(0.0, rng.uniform(0.1, 9.0))
    data = single_op("RSQRT", [((1, 256), xs)], out, (1, 256))
    np.testing.assert_array_equal(run(data, ALL[None])[0], kernels.inverse_root(ALL, xs, out))


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("width", [4, 13, 32, 128])
def test_a_softmax(seed, width):
    xs, out = Grid.of(-0.2 * 3.0**seed, 0.1 * 3.0**seed), Grid.of(0.0, 255 / 256)
    x = np.random.default_rng(seed).integers(-128, 128, (1, 1, 400, width))
    x[..., : width // 2] = np.minimum(x[..., : width // 2], -60)
    data = single_op(
        "SOFTMAX", [(x.shape, xs)], out, x.shape, options=("SoftmaxOptions", {"beta": 1.0})
    )
    np.testing.assert_array_equal(run(data, x), kernels.softmax(x, xs, out))


def test_joined_tensors_keep_their_grid():
    grid = Grid.of(-1.0, 3.0)
    rows = np.random.default_rng(0).uniform(-1, 3, (2, 4, 3)).astype("float32")
    parts = [Floats(values=row).rounded(grid) for row in rows]
    first, second = parts
    joined = first.joined(lambda integers: np.concatenate([integers, second.integers]))
    assert joined.grid == grid
    np.testing.assert_array_equal(joined.floats(), np.concatenate([one.floats() for one in parts]))
    # Rounded to the same grid once more, nothing changes.
    np.testing.assert_array_equal(joined.source.finish(grid), joined.integers)
