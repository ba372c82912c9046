"""Files compute the outputs of the last block only where something reads them."""

import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema

from keras_transformer.edge.compare.layers import explain
from keras_transformer.edge.compare.probes import model_outputs, probe_inputs
from keras_transformer.edge.runtime.packed import unpack
from keras_transformer.edge.runtime.runner import Runner
from keras_transformer.edge.targets.convert import convert
from keras_transformer.edge.tflite.schema import op_name
from keras_transformer.reading import whole_outputs
from keras_transformer.zoo.models.heads import Head, Heads
from keras_transformer.zoo.models.pooling import reads_first
from tests.edge.models import LENGTH, calibration, random_model

D, F, LABELS = 32, 64, 3


def products(flatbuffer):
    """The multiply-adds of a graph's fully connected layers."""
    model = schema.ModelT.InitFromObj(schema.Model.GetRootAs(flatbuffer, 0))
    graph, found = model.subgraphs[0], 0
    for op in graph.operators:
        if op_name(model.operatorCodes[op.opcodeIndex]) == "FULLY_CONNECTED":
            kernel, output = graph.tensors[op.inputs[1]], graph.tensors[op.outputs[0]]
            found += int(np.prod(output.shape)) * int(kernel.shape[1])
    return found


def of_block(rows):
    """The multiply-adds of a block with outputs at some positions."""
    return 2 * LENGTH * D * D + 2 * rows * D * D + 2 * rows * D * F


@pytest.mark.parametrize(
    ("precision", "settings"),
    [
        ("float32", {"num_layers": 2}),
        pytest.param("int8", {"pre_norm": True}, marks=pytest.mark.slow),
    ],
)
def test_one_position_of_the_last_block(precision, settings, tmp_path):
    trained = random_model(**settings)
    is_static = precision == "int8"
    converted = convert(trained, precision, calibration=calibration() if is_static else None)
    path = tmp_path / "model.tflite"
    path.write_bytes(bytes(converted))
    before = (settings.get("num_layers", 1) - 1) * of_block(LENGTH)
    assert products(unpack(path)[0]) == before + of_block(1) + D * D + D * LABELS
    if not is_static:
        # The Keras model computes all outputs; an int8 file's difference is the parity check's.
        found = Runner(path).run(probe_inputs(trained, LENGTH))
        expected = model_outputs(trained.model, trained, LENGTH)
        np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)


def test_all_positions_where_all_are_read(tmp_path):
    path = tmp_path / "model.tflite"
    path.write_bytes(bytes(convert(random_model(pooling="mean"), "float32")))
    assert products(unpack(path)[0]) == of_block(LENGTH) + D * LABELS


@pytest.mark.parametrize(
    ("kinds", "pooling", "found"),
    [
        (["pooled"], "first", True), (["vector", "pooled"], "first", True),
        (["pooled"], "max", False), (["tokens"], "first", False),
        (["pooled", "tokens"], "first", False),
        (["masked"], "first", False), ([], "first", True),
    ],
)  # fmt: skip
def test_what_reads_the_first_position_alone(kinds, pooling, found):
    config = random_model(pooling=pooling).config
    heads = {
        f"head{i}": Head(kind=kind, units=3 if kind in ("pooled", "tokens") else None)
        for i, kind in enumerate(kinds)
    }  # fmt: skip
    head = next(iter(heads.values()), None) if len(heads) < 2 else Heads(heads=heads)
    assert reads_first(config, head) == found


def test_layers_of_a_file_with_all_outputs(tmp_path):
    """As an earlier version wrote it: without the entry of the description, and with all rows."""
    trained, path = random_model(), tmp_path / "model.tflite"
    with whole_outputs():
        path.write_bytes(bytes(convert(trained, "float32")))
    runner = Runner(path)
    assert products(unpack(path)[0]) == of_block(LENGTH) + D * D + D * LABELS
    assert runner.description.pop("read_alone") is False
    found = explain(trained, runner, probe_inputs(trained, LENGTH))
    assert {one.layer for one in found} >= {"encoder/block_0/feed_forward/norm_point"}
    assert all(one.own <= one.limit for one in found)
