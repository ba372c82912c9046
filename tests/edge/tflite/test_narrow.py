"""Files whose kernels alone are integers: what they hold, read by the schema."""

import functools
from collections import Counter

import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema
from ai_edge_litert.interpreter import Interpreter, OpResolverType

from keras_transformer.edge.runtime import litert
from keras_transformer.edge.runtime.packed import unpack
from keras_transformer.edge.runtime.runner import Runner
from keras_transformer.edge.targets.convert import convert
from keras_transformer.edge.tflite.schema import count_ops, kernels
from keras_transformer.zoo.errors import InputError
from keras_transformer.zoo.models.build import get_weights
from tests.edge.generators import changes_for, generator
from tests.edge.models import random_model


def file_of(tmp_path, trained, precision, **options):
    path = tmp_path / f"{precision}.tflite"
    path.write_bytes(bytes(convert(trained, precision, **options)))
    return path


def stored(flatbuffer):
    """Shape -> values of every constant of integers, by their scales."""
    model = schema.ModelT.InitFromObj(schema.Model.GetRootAs(flatbuffer, 0))
    [graph] = model.subgraphs
    found = {}
    for tensor in graph.tensors:
        data = model.buffers[tensor.buffer].data
        quantization = tensor.quantization
        if data is None or quantization is None:
            continue
        shape = tuple(tensor.shape)
        if tensor.type == schema.TensorType.INT8:
            integers = np.asarray(data).view(np.int8).reshape(shape).astype(np.float64)
            scale = np.asarray(quantization.scale)
            values = integers * (scale if scale.size == 1 else scale[:, None])
        else:
            halves = np.asarray(data).view(np.uint8)
            integers = np.stack([halves & 0xF, halves >> 4], 1).reshape(-1).astype(np.int64)
            integers = np.where(integers > 7, integers - 16, integers)
            if quantization.details is None:
                scale, block = np.asarray(quantization.scale), shape[-1]
            else:
                scales = graph.tensors[quantization.details.scales]
                scale = np.asarray(model.buffers[scales.buffer].data).view(np.float16)
                block = quantization.details.blockSize
            values = integers.reshape(-1, block) * scale.astype(np.float64)[:, None]
        found.setdefault(shape, []).append(values.reshape(shape))
    return found


def scales_of_rows(flatbuffer, rows):
    """The float constant (rows, 1)."""
    model = schema.ModelT.InitFromObj(schema.Model.GetRootAs(flatbuffer, 0))
    [graph] = model.subgraphs
    [found] = [
        np.asarray(model.buffers[one.buffer].data).view(np.float32).reshape(rows, 1)
        for one in graph.tensors
        if one.type == schema.TensorType.FLOAT32 and tuple(one.shape) == (rows, 1)
        if model.buffers[one.buffer].data is not None
    ]
    return found


def near(kernel, values, bits, block):
    """Whether values (units, width) are a kernel (width, units) rounded by blocks."""
    blocks = kernel.T.reshape(len(kernel.T), -1, block or len(kernel))
    half = np.abs(blocks).max(-1, keepdims=True) / (2 ** (bits - 1) - 1) / 2
    # A scale of 8 significant bits is off by up to 1/256, and with it the largest value.
    limit = half * 1.01 + (np.abs(blocks) / 256 if block else 1e-7)
    return (np.abs(values.reshape(blocks.shape) - blocks) <= limit).all()


@pytest.mark.parametrize(
    ("precision", "bits", "block"),
    [("dynamic_int8", 8, None), ("int4", 4, 32), ("channel_int4", 4, None)],
)
def test_every_kernel_is_stored_in_its_grid(precision, bits, block, tmp_path):
    trained = random_model(num_heads=1)
    flatbuffer = unpack(file_of(tmp_path, trained, precision))[0]
    found = stored(flatbuffer)
    weights = get_weights(trained.model)
    paths = [path for path in weights if path.endswith("/kernel")]
    # The query's scale is a part of its kernel in the file.
    factor = {"encoder/block_0/attention/sublayer/query/kernel": 32**-0.5}
    for path in paths:
        kernel = weights[path] * factor.get(path, 1.0)
        candidates = found[kernel.shape[::-1]]
        assert any(near(kernel, values, bits, block) for values in candidates), path
    assert len({kernel.buffer for kernel in kernels(flatbuffer)}) == len(paths) == 8
    expected = weights["token_embedding/embeddings"]
    [integers] = found[expected.shape]
    # Looked up with a scale of 1, and multiplied by those of the rows.
    errors = np.abs(integers * scales_of_rows(flatbuffer, len(expected)) - expected)
    assert (errors <= np.abs(expected).max(1, keepdims=True) / 127 / 2 * 1.001).all()
    assert count_ops(flatbuffer)["DEQUANTIZE"] == 1


def test_what_is_kept_stays_as_it_was(tmp_path):
    trained = random_model()
    path = file_of(tmp_path, trained, "dynamic_int8", keep=["*/feed_forward=float32"])
    types = {kernel.shape: kernel.type for kernel in kernels(unpack(path)[0])}
    assert types == {
        (64, 32): "FLOAT32", (32, 64): "FLOAT32", (32, 32): "INT8", (3, 32): "INT8",
    }  # fmt: skip
    assert Runner(path).precision == "dynamic_int8"


def test_kernels_stay_in_int8_among_those_of_int4(tmp_path):
    trained = random_model()
    path = file_of(tmp_path, trained, "int4", keep=["*/feed_forward=int8", "head=float32"])
    flatbuffer = unpack(path)[0]
    types = {kernel.shape: kernel.type for kernel in kernels(flatbuffer)}
    assert types == {
        (64, 32): "INT8", (32, 64): "INT8", (32, 32): "INT4", (3, 32): "FLOAT32",
    }  # fmt: skip
    kernel = get_weights(trained.model)["encoder/block_0/feed_forward/sublayer/down/kernel"]
    assert any(near(kernel, values, 8, None) for values in stored(flatbuffer)[kernel.shape[::-1]])
    assert Runner(path).precision == "int4"


def test_kernels_of_the_shape_of_the_table(tmp_path):
    """As many pieces as the model is wide: a kernel of int4 is on no grid of a table of 8 bits."""
    trained = random_model(hidden_dim=64, vocab_size=64, intermediate_dim=96)
    flatbuffer = unpack(file_of(tmp_path, trained, "int4", keep=["*/value=float32"]))[0]
    types = [kernel.type for kernel in kernels(flatbuffer) if kernel.shape == (64, 64)]
    assert Counter(types) == {"INT4": 4, "FLOAT32": 1}
    assert count_ops(flatbuffer)["DEQUANTIZE"] == 1


@pytest.mark.slow
def test_a_table_is_held_once(tmp_path):
    trained = generator("gpt", num_layers=1, **changes_for("int4"))
    for precision in ("dynamic_int8", "int4"):
        flatbuffer = unpack(file_of(tmp_path, trained, precision, lengths=[8, 16]))[0]
        model = schema.ModelT.InitFromObj(schema.Model.GetRootAs(flatbuffer, 0))
        sizes = [len(buffer.data) for buffer in model.buffers if buffer.data is not None]
        assert sizes.count(261 * 32) == 1
        assert 4 * 261 * 32 not in sizes


def test_a_block_has_to_fit(tmp_path):
    with pytest.raises(InputError) as caught:
        convert(random_model(intermediate_dim=48), "int4")
    assert str(caught.value) == (
        "Expected the inputs of every kernel to be a multiple of 32 for int4, "
        "got 48 of encoder/block_0/feed_forward/sublayer/down."
    )


def by_both_kernels(path, ids):
    """Outputs by LiteRT's own kernels, and by XNNPACK's."""
    runner = Runner(path)
    padded = np.pad(ids, ((0, 0), (0, runner.max_length - ids.shape[1])))
    plain = Interpreter(
        model_content=unpack(path)[0],
        experimental_op_resolver_type=OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES,
    )
    predict = plain.get_signature_runner("predict")
    own = [next(iter(predict(ids=row[None]).values()))[0] for row in padded]
    return np.array(own), runner.run({"ids": ids})


def test_the_runtimes_own_kernels_round_as_xnnpack_does(tmp_path):
    trained = random_model()
    path = file_of(tmp_path, trained, "dynamic_int8")
    found, expected = by_both_kernels(path, trained.probes["ids"])
    # Processors add floats in other orders, which turns a rounding in a few rows. Without
    # asymmetric inputs every row would be off.
    same = np.isclose(found, expected, rtol=1e-4, atol=1e-5).all(axis=1)
    assert same.mean() >= 0.95
    np.testing.assert_allclose(found, expected, atol=0.05)


def test_the_runtimes_own_kernels_of_channels_of_4_bits(tmp_path):
    """They round rows symmetrically, to half as many steps: 0.05 was the largest difference."""
    trained = random_model()
    path = file_of(tmp_path, trained, "channel_int4")
    found, expected = by_both_kernels(path, trained.probes["ids"])
    np.testing.assert_allclose(found, expected, atol=0.1)
    assert (found.argmax(1) == expected.argmax(1)).mean() >= 0.95


def test_channels_of_4_bits_may_have_any_even_width(tmp_path):
    """Blocks of 32 do not fit 44 inputs; a byte holds two of them."""
    trained = random_model(intermediate_dim=44)
    path = file_of(tmp_path, trained, "channel_int4")
    kernel = get_weights(trained.model)["encoder/block_0/feed_forward/sublayer/down/kernel"]
    [values] = stored(unpack(path)[0])[kernel.shape[::-1]]
    assert near(kernel, values, 4, None)


@pytest.mark.slow
def test_int4_needs_xnnpack(tmp_path, monkeypatch):
    """LiteRT's own FULLY_CONNECTED passes over kernels with a scale for each block of inputs."""
    trained = random_model()
    path = file_of(tmp_path, trained, "int4", lengths=[12])
    plain = functools.partial(
        litert.Interpreter,
        experimental_op_resolver_type=OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES,
    )
    predict = plain(model_content=unpack(path)[0]).get_signature_runner("predict")
    padded = np.pad(trained.probes["ids"], ((0, 0), (0, 12 - trained.probes["ids"].shape[1])))
    given = np.concatenate([next(iter(predict(ids=row[None]).values())) for row in padded])
    expected = Runner(path).run({"ids": trained.probes["ids"]})
    assert len(np.unique(given, axis=0)) < len(np.unique(expected, axis=0)) // 4
    monkeypatch.setattr(litert, "Interpreter", plain)
    with pytest.raises(InputError, match="with XNNPACK to run precision=int4"):
        Runner(path)
    Runner(file_of(tmp_path, trained, "dynamic_int8"))
