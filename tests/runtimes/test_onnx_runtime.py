"""ONNX Runtime, called as an app calls it, on what `convert` writes: NumPy in, NumPy out."""

import numpy as np
import pytest

from keras_transformer.edge.targets.convert import convert
from tests.edge.generators import generator, random_ids
from tests.edge.models import random_model, random_rows
from tests.runtimes.exported import assert_close, assert_translates, empty_caches
from tests.slow import mostly_slow

pytest.importorskip("tf2onnx", reason="tf2onnx writes the files")
onnxruntime = pytest.importorskip("onnxruntime", reason="ONNX Runtime runs the files")


def opened(exported, name):
    """A graph as a function from arrays by name to arrays by name."""
    session = onnxruntime.InferenceSession(exported.files[f"{name}.onnx"])
    names = [output.name for output in session.get_outputs()]
    return lambda inputs: dict(zip(names, session.run(names, dict(inputs)), strict=True))


@pytest.mark.parametrize("pooling", mostly_slow(["first", "max"], ["max"]))
def test_a_classifier_in_batches_of_any_size_and_length(pooling):
    trained = random_model(pooling=pooling, pair=True)
    predict = opened(convert(trained, target="onnx"), "predict")
    for rows in (1, 7, 30):
        ids, segment_ids = random_rows(rows, pair=True, seed=rows).pad()
        inputs = {"ids": ids, "segment_ids": segment_ids}
        assert_close(predict(inputs)["output"], trained.model.predict_on_batch(inputs))


@pytest.mark.parametrize("kind", ["transformer", pytest.param("t5", marks=pytest.mark.slow)])
def test_a_translator(kind):
    trained = generator(kind, num_layers=1)
    exported = convert(trained, target="onnx")
    assert_translates(opened(exported, "encode"), opened(exported, "decode"), trained)
    # Free lengths have names, for whoever opens the file without model.json.
    session = onnxruntime.InferenceSession(exported.files["decode.onnx"])
    shapes = {tensor.name: tensor.shape for tensor in session.get_inputs()}
    assert (shapes["ids"], shapes["position"]) == (["B", "T"], [1])
    assert shapes["memory_mask"] == ["B", "S"]
    assert shapes["kv_cache_k_0"][:2] == ["B", "L"]
    # The tied table is stored once.
    stored = len(exported.files["decode.onnx"])
    assert stored < 4 * trained.model.count_params() + 100_000


@pytest.mark.parametrize("kind", mostly_slow(["gpt", "llama", "alibi"], ["llama"]))
def test_a_prompt_at_once_and_token_by_token(kind):
    """One graph reads both; the length of the caches is the app's choice."""
    trained = generator(kind, num_layers=1)
    decode = opened(convert(trained, target="onnx"), "decode")
    ids = np.stack(random_ids([10] * 3, seed=6))
    expected = trained.model.predict_on_batch({"ids": ids})
    caches, start = empty_caches(trained, 3, length=12), 0
    for end in (4, 5, 10):
        position = np.array([start], np.int32)
        outputs = decode({"ids": ids[:, start:end], "position": position, **caches})
        caches, start = {name: outputs[f"new_{name}"] for name in caches}, end
        assert_close(outputs["logits"], expected[:, end - 1])
