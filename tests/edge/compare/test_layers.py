"""Where a file departs: in no layer of an honest file, and where its bytes were altered."""

import itertools
import json

import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema

from keras_transformer.edge.compare.compare import compare_layers
from keras_transformer.edge.compare.distances import (
    BLOCKS_LIMIT,
    FLOAT_LIMIT,
    distances,
    limit_of,
)
from keras_transformer.edge.compare.layers import explain
from keras_transformer.edge.quantize.ranges import learned_points
from keras_transformer.edge.runtime.packed import pack, unpack
from keras_transformer.edge.runtime.runner import Runner
from keras_transformer.edge.tflite.inside import Tensor
from keras_transformer.zoo.errors import InputError
from keras_transformer.zoo.training.run_data import read_inputs
from tests.edge.generators import generator
from tests.slow import mostly_slow

BLOCK = (
    "attention/sublayer/query_point", "attention/sublayer/key_point",
    "attention/sublayer/value_point", "attention/sublayer/scores_point",
    "attention/sublayer/probabilities_point", "attention/sublayer/context_point",
    "attention/sublayer/output_point", "attention/norm_point", "feed_forward/sublayer/up_point",
    "feed_forward/sublayer/activation_point", "feed_forward/sublayer/down_point",
    "feed_forward/norm_point",
)  # fmt: skip


def rows_of(runs):
    trained = runs.trained
    inputs = read_inputs(trained, trained.recipe.data.validation, **trained.columns)
    return {name: rows[:12] for name, rows in inputs.items()}


ALTERED = "attention/sublayer/value_point", "feed_forward/sublayer/down_point"


def altered(path, out, layer):
    """Writes a file with a change in the first value of what a layer's op reads last, its bias."""
    flatbuffer, description, files = unpack(path)
    data = bytearray(flatbuffer)
    model = schema.Model.GetRootAs(data, 0)
    graph = model.Subgraphs(0)
    place = description["layers"]["predict"][layer]
    ops = [graph.Operators(i) for i in range(graph.OperatorsLength())]
    [op] = [op for op in ops if place in op.OutputsAsNumpy()]
    if op.InputsLength() == 1:  # rounds to a grid what the matmul gives
        [op] = [one for one in ops if op.Inputs(0) in one.OutputsAsNumpy()]
    bias = graph.Tensors(op.Inputs(op.InputsLength() - 1))
    is_integer = bias.Type() == schema.TensorType.INT32
    values = model.Buffers(bias.Buffer()).DataAsNumpy().view(np.int32 if is_integer else np.float32)
    # Several steps of the output, or several times the size of its values.
    values[0] += 10_000 if is_integer else 8.0
    description = {
        name: value for name, value in description.items()
        if name not in ("format", "flatbuffer_bytes")
    }  # fmt: skip
    out.write_bytes(pack(bytes(data), description, files))
    return out


@pytest.mark.parametrize(
    "precision", mostly_slow(["float32", "float16", "dynamic_int8", "int8"], ["int8"])
)
def test_no_layer_of_an_honest_file_departs(runs, files, precision):
    trained = runs.quantized if precision == "int8" else runs.trained
    layers = explain(trained, Runner(files[precision]), rows_of(runs))
    assert [one.layer for one in layers if one.departs] == []
    names = [one.layer for one in layers]
    blocks = [f"encoder/block_{block}/{name}" for block in range(2) for name in BLOCK]
    # The order is the one in which they run, but keys and queries are as the runtime likes.
    assert set(blocks) < set(names)
    assert names[0] == "token_embedding/point"
    assert names[-1] == "head_point"
    if precision == "int8":
        # What int8 does not store, such as the sums before norms, is compared as floats.
        stored = {point.path for point in learned_points(trained.model)}
        integers = [one for one in layers if one.is_integer]
        assert stored <= {one.layer for one in integers}
        # Each layer alone is right but for ties; what they add up to may be more.
        assert max(one.own for one in layers) < 1.01
        assert layers[-1].total <= 3.01
        assert 0.0 <= max(one.share for one in integers) < 0.5
    if precision == "float32":
        assert max(one.own for one in layers) < 1e-5


@pytest.mark.parametrize(
    ("precision", "name"),
    mostly_slow(
        itertools.product(["float32", "dynamic_int8", "int8"], ALTERED),
        [("int8", ALTERED[0])],
    ),
)
def test_an_altered_bias_is_found_where_it_is_added(runs, files, tmp_path, precision, name):
    trained = runs.quantized if precision == "int8" else runs.trained
    layer = f"encoder/block_1/{name}"
    path = altered(files[precision], tmp_path / "altered.tflite", layer)
    found = compare_layers(trained, [path], rows_of(runs))[str(path)]
    assert [one.layer for one in found if one.departs] == [layer]
    [departing] = [one for one in found if one.departs]
    later = found[found.index(departing) + 1 :]
    # The layers behind it compute rightly what follows from it.
    assert max(one.total / one.limit for one in later) > 1.0


@pytest.mark.parametrize(("kind", "signatures"), [
    ("transformer", ["encode", "decode"]),
    pytest.param("gpt", ["prefill", "decode"], marks=pytest.mark.slow),
])  # fmt: skip
@pytest.mark.slow
def test_every_signature_of_a_model_that_writes(written, kind, signatures):
    trained = generator(kind)
    layers = explain(trained, Runner(written(kind)), {
        name: rows[:2] for name, rows in trained.probes.items()
    })  # fmt: skip
    assert list(dict.fromkeys(one.signature for one in layers)) == signatures
    assert [one.layer for one in layers if one.departs] == []
    decoded = {one.layer for one in layers if one.signature == "decode"}
    assert {"decoder/block_1/feed_forward/sublayer/down_point", "logits_point"} <= decoded


def test_a_map_of_few_bytes(runs, files):
    _, description, _ = unpack(files["int8"])
    assert len(json.dumps(description["layers"])) < 2000


def test_what_cannot_be_explained(runs, files, tmp_path):
    with pytest.raises(InputError) as caught:
        explain(runs.trained, Runner(files["int8"]), rows_of(runs))
    assert str(caught.value) == (
        f"Expected the quantized checkpoint that {files['int8']} was made of, got a float one, "
        "which does not hold the file's ranges."
    )
    flatbuffer, description, contents = unpack(files["float32"])
    older = tmp_path / "older.tflite"
    names = ("format", "flatbuffer_bytes", "layers")
    description = {name: value for name, value in description.items() if name not in names}
    older.write_bytes(pack(flatbuffer, description, contents))
    with pytest.raises(InputError) as caught:
        explain(runs.trained, Runner(older), rows_of(runs))
    assert str(caught.value) == (
        f"{older} does not say where its layers stand; convert the checkpoint again, with "
        "--target plain."
    )


def test_the_rounding_of_an_outlier_is_not_that_of_its_layer():
    # As in block 0 of all-MiniLM-L6-v2: 195 among values of size 1.8, and a float32 sum of it.
    values = np.full((100, 100), 1.75)
    values[3, 5] = 195.0
    outlier, other = (3, 5), (3, 6)
    for place, error, is_within in (
        (outlier, 3e-4, True), (outlier, 3e-3, False), (other, 3e-4, False)
    ):  # fmt: skip
        found = values.copy()
        found[place] += error
        tensor = Tensor(values=found, step=None)
        assert (distances(values, tensor, 1.75).max() <= FLOAT_LIMIT) == is_within
    steps = Tensor(values=values + 0.5, step=0.5)
    assert distances(values, steps, 1.75).max() == 1.0


def test_sums_of_blocks_have_a_limit_of_their_own():
    """The zero point's share and the blocks' sums nearly cancel where one input is huge."""
    rng = np.random.default_rng(0)
    width, units, block = 1536, 576, 32
    inputs = rng.standard_normal(width).astype(np.float32)
    inputs[7] = 300.0
    kernel = np.abs(rng.standard_normal((width, units))).astype(np.float32) * 0.05
    kernel[7, 3] = 1.0
    blocks = kernel.reshape(-1, block, units)
    scale = np.abs(blocks).max(1, keepdims=True) / np.float32(7)
    integers = np.rint(blocks / scale)

    step = np.float32((inputs.max() - inputs.min()) / 255)
    zero = np.rint(-128 - inputs.min() / step)
    stored = np.clip(np.rint(inputs / step) + zero, -128, 127).reshape(-1, block, 1)
    outputs = np.zeros(units, np.float32)
    for whole in (np.full_like(stored, -zero), stored):
        for row, integer, one in zip(whole, integers, scale[:, 0], strict=True):
            outputs += (row * integer).sum(0).astype(np.float32) * one
    outputs = outputs * step

    def exact(integers):
        return ((stored - zero) * step * (integers * scale.astype(np.float64))).sum((0, 1))

    expected = exact(integers)
    size = float(np.sqrt(np.mean(np.square(expected))))
    off = distances(expected, Tensor(values=outputs, step=None), size).max()
    assert FLOAT_LIMIT < off < BLOCKS_LIMIT

    integers[5, 4, 3] += 1  # one wrong value of the kernel is not explained
    wrong = Tensor(values=exact(integers).astype(np.float32), step=None)
    assert distances(expected, wrong, size).max() > BLOCKS_LIMIT
    limits = [limit_of(wrong, is_rounded, "int4") for is_rounded in (True, False)]
    assert limits == [BLOCKS_LIMIT, FLOAT_LIMIT]
    assert limit_of(wrong, True, "dynamic_int8") == FLOAT_LIMIT
