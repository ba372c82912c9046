"""Files compute the outputs of the last block only where something reads them."""

import dataclasses

import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema

from keras_transformer.edge.compare.layers import explain
from keras_transformer.edge.compare.probes import model_outputs, probe_inputs
from keras_transformer.edge.precision import PRECISIONS
from keras_transformer.edge.runtime.packed import unpack
from keras_transformer.edge.runtime.runner import Runner
from keras_transformer.edge.targets.convert import convert
from keras_transformer.edge.tflite.schema import op_name
from keras_transformer.reading import whole_outputs
from keras_transformer.zoo.models.build import build, get_weights, set_weights
from keras_transformer.zoo.models.heads import Head, Heads
from keras_transformer.zoo.models.pooling import reads_first
from keras_transformer.zoo.tasks.classification import Classification
from keras_transformer.zoo.tasks.multi_task.multi_data import HEAD
from keras_transformer.zoo.tasks.multi_task.multi_task import MultiTask
from keras_transformer.zoo.tasks.regression import Regression
from keras_transformer.zoo.tasks.tagging.token_classification import TokenClassification
from tests.edge.models import LENGTH, calibration, random_model

D, F, LABELS = 32, 64, 3


def products(flatbuffer):
    """The multiply-adds of the fully connected layers of `predict`."""
    model = schema.ModelT.InitFromObj(schema.Model.GetRootAs(flatbuffer, 0))
    [place] = [one.subgraphIndex for one in model.signatureDefs if one.signatureKey == b"predict"]
    graph, found = model.subgraphs[place], 0
    for op in graph.operators:
        if op_name(model.operatorCodes[op.opcodeIndex]) == "FULLY_CONNECTED":
            kernel, output = graph.tensors[op.inputs[1]], graph.tensors[op.outputs[0]]
            found += int(np.prod(output.shape)) * int(kernel.shape[1])
    return found


def of_block(rows, keys=D):
    """The multiply-adds of a block with outputs at some positions, and keys of a width."""
    return 2 * LENGTH * D * keys + 2 * rows * D * D + 2 * rows * D * F


@pytest.mark.parametrize(
    ("precision", "settings"),
    [
        ("float32", {"num_layers": 2}),
        # One query is split into heads, and the heads into groups that share keys.
        ("int8", {"num_layers": 2, "num_key_value_heads": 2}),
        *(
            pytest.param(precision, settings, marks=pytest.mark.slow)
            for precision, settings in (
                ("int8", {"pre_norm": True}),
                ("static_int8", {"num_key_value_heads": 2}),
                ("int8", {"num_key_value_heads": 1}),
                ("int8", {"num_key_value_heads": 2, "pre_norm": True}),
                ("dynamic_int8", {"num_key_value_heads": 2}),
                ("int4", {"num_key_value_heads": 2, "pre_norm": True}),
                ("integer", {"num_key_value_heads": 2}),
                ("int16x8", {"num_key_value_heads": 2}),
                ("int8", {"num_key_value_heads": 2, "positions": "rotary", "pre_norm": True}),
            )
        ),
    ],
)
def test_one_position_of_the_last_block(precision, settings, tmp_path):
    trained = random_model(**settings)
    is_static = PRECISIONS[precision].is_static
    converted = convert(trained, precision, calibration=calibration() if is_static else None)
    path = tmp_path / "model.tflite"
    path.write_bytes(bytes(converted))
    keys = D * settings.get("num_key_value_heads", 4) // 4
    before = (settings.get("num_layers", 1) - 1) * of_block(LENGTH, keys)
    assert products(unpack(path)[0]) == before + of_block(1, keys) + D * D + D * LABELS
    if precision == "float32":
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


TASKS = {
    "kind": Classification(labels=("a", "b", "c")), "number": Regression(),
    "tags": TokenClassification(labels=("O", "B-x", "I-x")),
}  # fmt: skip


def several(*names):
    """A random model of several tasks."""
    made, task = random_model(), MultiTask(tasks={name: TASKS[name] for name in names})
    model, rng = build(made.config, task), np.random.default_rng(0)
    set_weights(
        model,
        {
            path: value + rng.normal(0, 0.1, value.shape).astype("float32")
            for path, value in get_weights(model).items()
        },
    )
    probes = {**made.probes, HEAD: np.arange(len(made.probes["ids"])) % len(names)}
    return dataclasses.replace(made, task=task, model=model, probes=probes)


@pytest.mark.parametrize(
    ("names", "precision", "reads_first"),
    [
        (("kind", "number"), "float32", True),
        *(
            pytest.param(names, precision, names == ("kind", "number"), marks=pytest.mark.slow)
            for names, precision in (
                (("kind", "number"), "dynamic_int8"), (("kind", "number"), "int8"),
                # A head that reads all positions: the file computes them, though `kind` alone
                # would not.
                (("kind", "tags"), "float32"), (("kind", "tags"), "int8"),
            )
        ),
    ],
)  # fmt: skip
def test_several_tasks_that_read_the_first_position(names, precision, reads_first):
    """The conversion compares each task's layers and outputs with those of a model of its own."""
    checkpoint, is_static = several(*names), PRECISIONS[precision].is_static
    file = Runner(convert(checkpoint, precision, calibration=calibration() if is_static else None))
    assert file.description["read_alone"] is reads_first
    tags = LENGTH * 3 * D if "tags" in names else D
    # Of the signature of all tasks, which runs the encoder once.
    block = of_block(1 if reads_first else LENGTH)
    assert products(unpack(file)[0]) == block + D * D + D * LABELS + tags
    if not is_static:
        head = checkpoint.head("kind")
        found = explain(head, file.head("kind"), probe_inputs(head, LENGTH))
        assert len(found) > 5 and all(one.own <= one.limit for one in found)
