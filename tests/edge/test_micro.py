"""Files of integers alone in TensorFlow Lite Micro's interpreter, against LiteRT's own kernels."""

import numpy as np
import pytest
from ai_edge_litert.interpreter import Interpreter, OpResolverType

from keras_transformer.edge.bundle import unpack
from keras_transformer.edge.convert import convert
from keras_transformer.zoo.models import PAD_ID
from tests.edge.models import LENGTH, calibration, random_model, random_rows

runtime = pytest.importorskip("tflite_micro.python.tflite_micro.runtime")
ARENA = 64 * 1024


@pytest.mark.parametrize(
    "settings",
    [
        {"num_layers": 2, "pooling": "mean", "num_segments": 0},
        {"pooling": "max", "activation": "relu", "norm": "rms_norm", "pre_norm": True},
        {"pooling": "first", "positions": "sinusoidal"},
    ],
    ids=["mean", "max", "first"],
)
def test_a_file_of_integers_runs_on_a_microcontroller(settings, tmp_path):
    path = tmp_path / "model.tflite"
    path.write_bytes(convert(random_model(**settings), "integer", calibration=calibration()).data)
    micro = runtime.Interpreter.from_bytes(path.read_bytes(), arena_size=ARENA)
    flatbuffer, description, _ = unpack(path)
    # XNNPACK, which runs by default, rounds in other places.
    kind = OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES
    litert = Interpreter(model_content=flatbuffer, experimental_op_resolver_type=kind)
    predict = litert.get_signature_runner("predict")
    ids, _ = random_rows(50, seed=3).pad(LENGTH)
    assert (ids == PAD_ID).any()
    found, expected = [], []
    for row in ids:
        micro.set_input(row[None], 0)
        micro.invoke()
        found.append(micro.get_output(0)[0].copy())
        expected.append(predict(ids=row[None])["output"][0])
    # They round a step of an inner tensor otherwise at times, which random weights carry on.
    np.testing.assert_allclose(found, expected, rtol=0, atol=8 * description["output_step"])
