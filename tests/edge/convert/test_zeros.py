"""Files of models with zeros in blocks, channels and whole kernels, as pruning leaves them."""

import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema
from keras import ops

from keras_transformer.edge.compare.parity import LIMITS, measure_parity
from keras_transformer.edge.convert import convert as conversion
from keras_transformer.edge.runtime.packed import unpack
from keras_transformer.edge.runtime.runner import Runner
from keras_transformer.edge.targets import flatbuffer
from keras_transformer.edge.targets.convert import convert
from keras_transformer.rounding import SMALLEST_BLOCK_SCALE, kernel_scale, round_kernel
from keras_transformer.zoo.models.build import get_weights, set_weights
from tests.edge.models import calibration, random_model

BLOCK = "encoder/block_0/"
DOWN = f"{BLOCK}feed_forward/sublayer/down/kernel"
UP = f"{BLOCK}feed_forward/sublayer/up/kernel"
QUERY = f"{BLOCK}attention/sublayer/query/kernel"
VALUE = f"{BLOCK}attention/sublayer/value/kernel"


def zeros_of_all_kinds(weights):
    weights[DOWN][32:, 5] = 0.0
    weights[DOWN][:, 3] = 0.0
    weights[UP][:, 7] = 0.0
    weights[UP][:, 8] *= 1e-7  # scales that float16 does not hold
    weights[QUERY][:, 2] = 0.0
    weights[VALUE][:] = 0.0


def tables(weights):
    weights["token_embedding/embeddings"][:] = 0.0


def pruned(weights):
    for path, value in weights.items():
        if path.endswith("/kernel"):
            value[np.abs(value) < np.quantile(np.abs(value), 0.97)] = 0.0


def changed(change):
    trained = random_model()
    weights = get_weights(trained.model)
    change(weights)
    set_weights(trained.model, weights)
    return trained


def stored_scales(data):
    """Every scale of the kernels and tables of a file, as its runtime reads it."""
    model = schema.ModelT.InitFromObj(schema.Model.GetRootAs(data, 0))
    [graph] = model.subgraphs
    found = []
    for tensor in graph.tensors:
        if model.buffers[tensor.buffer].data is None or tensor.quantization is None:
            continue
        if tensor.type == schema.TensorType.INT4:
            scales = graph.tensors[tensor.quantization.details.scales]
            found.append(np.asarray(model.buffers[scales.buffer].data).view(np.float16))
        elif tensor.type == schema.TensorType.INT8:
            found.append(np.asarray(tensor.quantization.scale, np.float32))
    return found


@pytest.mark.parametrize(
    ("precision", "change"),
    [
        ("int4", zeros_of_all_kinds),
        pytest.param("int4", pruned, marks=pytest.mark.slow),
        pytest.param("int4", tables, marks=pytest.mark.slow),
        ("dynamic_int8", tables),
        *(
            pytest.param(precision, change, marks=pytest.mark.slow)
            for precision in ("dynamic_int8", "int8", "static_int8", "integer")
            for change in (zeros_of_all_kinds, pruned, tables)
            if (precision, change) != ("dynamic_int8", tables)
        ),
    ],
)
def test_the_file_is_the_simulation(precision, change, monkeypatch):
    """Its layers are compared when it is written; here the outputs are, on every probe."""
    graphs = []

    def remembered(*arguments):
        graphs.append(conversion.convert_graph(*arguments))
        return graphs[-1]

    monkeypatch.setattr(flatbuffer, "convert_graph", remembered)
    trained = changed(change)
    static = precision in ("int8", "static_int8", "integer")
    batches = calibration() if static else None
    data = bytes(convert(trained, precision, calibration=batches, lengths=[12]))
    parity = measure_parity(graphs[0].model, trained, data)
    # The limits of `parity` for a file and the model that rounds as it does: ties in rounding.
    assert parity.most_steps <= LIMITS[precision].steps
    for scales in stored_scales(unpack(Runner(data))[0]):
        assert (scales >= np.finfo(scales.dtype).tiny).all()


def test_zeros_stay_zeros():
    kernel = get_weights(changed(zeros_of_all_kinds).model)[DOWN]
    for factor in (1.0, 0.25):
        scale = ops.convert_to_numpy(kernel_scale(kernel, 4, 32, factor))
        assert scale.shape == (2, 1, 32)
        np.testing.assert_array_equal(scale[:, 0, 3], SMALLEST_BLOCK_SCALE / factor)
        assert scale[1, 0, 5] == SMALLEST_BLOCK_SCALE / factor
        rounded = ops.convert_to_numpy(round_kernel(kernel, 4, 32, factor))
        assert not rounded[:, 3].any()
        assert not rounded[32:, 5].any()
        assert rounded[:32, 5].any()
