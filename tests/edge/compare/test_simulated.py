"""Files of integers are their simulation: bit by bit, in each layer and from end to end."""

import dataclasses

import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema

from keras_transformer.edge.compare.simulated import (
    Simulation,
    check_simulated,
    simulated_parity,
)
from keras_transformer.edge.precision import get_precision
from keras_transformer.edge.quantize.qat import quantized_model
from keras_transformer.edge.quantize.rounding import round_biases
from keras_transformer.edge.runtime.packed import unpack
from keras_transformer.edge.runtime.runner import Runner
from keras_transformer.edge.targets.convert import convert
from keras_transformer.edge.tflite.compact import to_bytes
from keras_transformer.zoo.errors import RunError
from keras_transformer.zoo.models.build import get_weights, set_weights
from keras_transformer.zoo.models.running.predict import model_inputs
from tests.edge import generators, models

SPEC = get_precision("integer")


def quantized(trained, batches):
    """A checkpoint as `quantize` leaves it."""
    model = quantized_model(trained, batches, "integer")
    round_biases(model, model_inputs(model, trained.probes))
    return dataclasses.replace(trained, model=model, bits=dict(SPEC.bits))


@pytest.fixture(scope="module")
def translator():
    """A translator of every sublayer with two probes, its file, and its simulation."""
    trained = generators.generator("transformer", pre_norm=True, num_layers=1)
    probes = {name: rows[:2] for name, rows in trained.probes.items()}
    trained = dataclasses.replace(trained, probes=probes)
    checkpoint = quantized(trained, generators.calibration("transformer"))
    runner = Runner(convert(checkpoint))
    return runner, Simulation(checkpoint, checkpoint.model, SPEC, runner.max_length)


@pytest.mark.slow
def test_every_layer_and_logit_of_a_translator_is_equal(translator):
    runner, simulation = translator
    found = runner.description["simulated"]
    # Each token of two rows, and the encoder once for each of them.
    assert (found["rows"], found["equal"]) == (2 * 20 + 2, 1.0)
    assert found["layers"] > 60
    parity = simulated_parity(simulation, runner)
    assert parity.rows == 2 * 20
    # The file's scale is that of the range to one bit of a float32.
    assert parity.steps < 1e-4


@pytest.mark.slow
def test_a_changed_weight_is_found_where_it_is_read(translator):
    runner, simulation = translator
    flatbuffer, layers = unpack(runner)[0], runner.description["layers"]
    model = schema.ModelT.InitFromObj(schema.Model.GetRootAs(flatbuffer, 0))
    [entry] = [one for one in model.signatureDefs if one.signatureKey == b"decode"]
    graph = model.subgraphs[entry.subgraphIndex]
    path = "decoder/block_0/feed_forward/sublayer/down_point"
    place = layers["decode"][path]
    [op] = [op for op in graph.operators if place in op.outputs]
    buffer = model.buffers[graph.tensors[op.inputs[2]].buffer]
    bias = np.array(buffer.data, np.uint8).view(np.int32)
    bias += 1_000_000
    buffer.data = bias.view(np.uint8)
    with pytest.raises(RunError, match=rf"8 steps .* in 99% of rows, .* differs is {path} in"):
        check_simulated(simulation, to_bytes(model, len(flatbuffer)), layers)


@pytest.mark.parametrize("settings", [
    pytest.param(
        {"pooling": "mean", "pre_norm": True, "norm": "rms_norm"}, marks=pytest.mark.slow
    ),
    pytest.param({"pooling": "max", "activation": "relu"}, marks=pytest.mark.slow),
    {"pooling": "attention"},
    pytest.param({"num_layers": 2}, marks=pytest.mark.slow),
    pytest.param({"pooler": "gelu"}, marks=pytest.mark.slow),
    {"positions": "alibi", "window": 4},
    pytest.param({"positions": "t5", "num_segments": 0}, marks=pytest.mark.slow),
    pytest.param({"position_bias": "t5", "qk_norm": True}, marks=pytest.mark.slow),
    pytest.param({"positions": "rotary", "rotary_fraction": 0.5}, marks=pytest.mark.slow),
    {
        "positions": "rotary", "qk_norm": True, "sandwich_norms": True, "norm": "rms_norm",
        "pre_norm": True, "window": 4, "gated": True,
    },
])  # fmt: skip
def test_encoders(settings):
    trained = models.random_model(**settings)
    weights = get_weights(trained.model)
    # What pruning leaves of a channel is its bias, which may be large.
    for path, value in weights.items():
        if path.endswith(("up/kernel", "value/kernel")):
            value[:, 5] = 0.0
        elif path.endswith(("up/bias", "value/bias")):
            value[5] = 3.0
    set_weights(trained.model, weights)
    artifact = convert(trained, "integer", calibration=models.calibration())
    found = artifact.description["simulated"]
    assert (found["rows"], found["equal"]) == (8, 1.0)


@pytest.mark.slow
@pytest.mark.parametrize(("kind", "changes"), [
    ("gpt", {}), ("gpt", {"tied_head": False, "activation": "silu"}),
    ("pythia", {"norm": "rms_norm"}),
    *((kind, {}) for kind in ("llama", "alibi", "gemma", "t5", "bart")),
])  # fmt: skip
def test_generators(kind, changes):
    trained = generators.generator(kind, **changes)
    probes = {name: rows[:2] for name, rows in trained.probes.items()}
    artifact = convert(
        dataclasses.replace(trained, probes=probes), "integer",
        calibration=generators.calibration(kind),
    )  # fmt: skip
    assert artifact.description["simulated"]["equal"] == 1.0
