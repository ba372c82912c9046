"""Exports as folders, the check that keeps them, and SavedModel in TensorFlow alone."""

import json
import subprocess
import sys

import numpy as np
import pytest
import tensorflow as tf
from safetensors.numpy import load_file, save_file

from keras_transformer.edge.targets import target as edge_target
from keras_transformer.edge.targets.convert import convert
from keras_transformer.edge.targets.exported import folder, graph_parity
from keras_transformer.edge.targets.exported.replay import replay
from keras_transformer.zoo.errors import InputError, RunError
from keras_transformer.zoo.models.build import build
from tests.edge.generators import generator
from tests.edge.models import random_model, random_rows

# TensorFlow alone, as somebody writes it who has model.json and README.md to go by.
TENSORFLOW_ALONE = """
import sys
import numpy as np
import tensorflow as tf
import tensorflow as tf
from safetensors.numpy import load_file, save_file
rows = load_file(sys.argv[2])
predict = tf.saved_model.load(sys.argv[1] + "/saved_model").signatures["predict"]
outputs = {
    name: predict(**{key: tf.constant(value) for key, value in batch.items()})["output"].numpy()
    for name, batch in {
        "all": rows, "one": {key: value[:1, :5] for key, value in rows.items()},
    }.items()
}
assert "keras_transformer" not in sys.modules
save_file(outputs, sys.argv[3])
"""


@pytest.fixture(scope="module")
def pairs():
    """A classifier of pairs, and its SavedModel."""
    trained = random_model(pair=True)
    return trained, convert(trained, target="saved_model")


def test_a_saved_model_without_our_layers(pairs, tmp_path):
    trained, exported = pairs
    exported.save(tmp_path / "export")
    ids, segment_ids = random_rows(11, pair=True, seed=5).pad(12)
    columns = {"ids": ids, "segment_ids": segment_ids}
    rows, outputs = tmp_path / "rows", tmp_path / "outputs"
    save_file(columns, rows)
    command = [sys.executable, "-c", TENSORFLOW_ALONE, str(tmp_path / "export"), rows, outputs]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    found = load_file(outputs)
    expected = trained.model.predict_on_batch(columns)
    np.testing.assert_allclose(found["all"], expected, rtol=1e-5, atol=1e-5)
    cut = {name: values[:1, :5] for name, values in columns.items()}
    expected = trained.model.predict_on_batch(cut)
    np.testing.assert_allclose(found["one"], expected, rtol=1e-5, atol=1e-5)


def test_what_stands_beside_the_graphs(pairs):
    trained, exported = pairs
    assert exported.files["labels.txt"] == b"a\nb\nc\n"
    assert trained.modality.files().items() <= exported.files.items()
    description = json.loads(exported.files["model.json"])
    assert (description["target"], description["max_length"]) == ("saved_model", 12)
    assert description["graphs"] == {
        "predict": {
            "file": "saved_model",
            "inputs": [
                {"name": "ids", "shape": ["B", "T"], "type": "int32"},
                {"name": "segment_ids", "shape": ["B", "T"], "type": "int32"},
            ],
            "outputs": [{"name": "output", "shape": ["B", 3], "type": "float32"}],
        }
    }
    assert description["parity"]["rows"] == exported.parity.rows == 64
    assert exported.parity.relative < 1e-5


def test_a_folder_is_no_bytes_and_has_a_card(pairs, tmp_path):
    _, exported = pairs
    with pytest.raises(InputError, match="of one file to read its bytes, got .* saved_model; save"):
        bytes(exported)
    out = tmp_path / "a"
    assert exported.save(out) == [out, tmp_path / "MODEL_CARD.md"]
    card = (tmp_path / "MODEL_CARD.md").read_text(encoding="utf-8")
    for line in (
        "## a", "| target | saved_model |", "| compared in batches of | 1 and 7 |",
        'predict = tf.saved_model.load("a/saved_model").signatures["predict"]',
    ):  # fmt: skip
        assert line in card.splitlines(), line
    # Its graphs read texts of any length, and no interpreter here measures their latency.
    assert "| tokens |" not in card and "| latency |" not in card
    with pytest.raises(FileExistsError):
        exported.save(out)
    exported.save(out, overwrite=True)


@pytest.mark.slow
def test_a_translator_as_a_saved_model():
    exported = convert(generator("t5", num_layers=1), target="saved_model")
    graphs = exported.description["graphs"]
    assert list(graphs) == ["encode", "decode"]
    assert [tensor["name"] for tensor in graphs["decode"]["outputs"]][:2] == [
        "logits", "new_kv_cache_k_0",
    ]  # fmt: skip
    # The first half of 12 rows of 20 tokens at once, then one by one, and the 11 places of each.
    assert exported.parity.rows == 12 * 11


@pytest.mark.slow
def test_graphs_that_give_something_else_are_not_kept(monkeypatch):
    """Another epsilon in the norms, which no shape and no name tells."""
    trained = random_model()
    other = build(trained.config.replace(epsilon=1e-3), trained.task)
    other.set_weights(trained.model.get_weights())
    graphs = folder.entry_points
    monkeypatch.setattr(folder, "entry_points", lambda _, config: graphs(other, config))
    with pytest.raises(RunError) as error:
        convert(trained, target="saved_model")
    assert str(error.value).startswith(
        "Expected the saved_model files to give what Keras gives within 1e-05 of the largest output"
    )
    assert str(error.value).endswith(" on 64 rows; nothing was written.")


def test_a_runtime_that_fails(monkeypatch):
    with pytest.raises(RunError, match="Running the onnx files failed: .*predict.onnx"):
        graph_parity.graphs_parity(
            "onnx", random_model(), {"predict.onnx": b"no graph"},
            {"predict": {"file": "predict.onnx", "outputs": []}},
        )  # fmt: skip


def test_what_was_decoded_goes_into_the_next_step():
    """Each logit of the walk names the tokens that it follows, whatever the batch."""

    def decode(inputs):
        batch, length = inputs["ids"].shape
        start = int(inputs["position"][0])
        cache = inputs["kv_cache_k_0"].copy()
        cache[:, start : start + length, 0, 0] = inputs["ids"]
        return {"logits": cache[:, :, 0, 0], "new_kv_cache_k_0": cache}

    shapes = {"ids": ["B", "T"], "position": [1], "kv_cache_k_0": ["B", "L", 1, 1]}
    inputs = [{"name": name, "shape": shape} for name, shape in shapes.items()]
    outputs = [{"name": "logits"}, {"name": "new_kv_cache_k_0"}]
    description = {"max_length": 9, "graphs": {"decode": {"inputs": inputs, "outputs": outputs}}}
    ids = np.triu(np.arange(1, 10)[None] * np.ones((9, 1), int)).astype("int32")[:, ::-1]
    found = replay({"decode": decode}, description, {"ids": ids})
    for row, place, logits in zip(found["rows"], found["places"], found["outputs"], strict=True):
        assert ids[row, place]
        np.testing.assert_array_equal(logits[: place + 1], ids[row, : place + 1])
        assert not logits[place + 1 :].any()
    assert set(found["rows"]) == set(range(9))


@pytest.mark.parametrize(
    ("name", "package", "extra"), [("onnx", "tf2onnx", "onnx"), ("torchscript", "torch", "torch")]
)
def test_a_package_that_is_not_installed(name, package, extra, monkeypatch):
    monkeypatch.setattr(edge_target, "find_spec", lambda _: None)
    with pytest.raises(InputError) as error:
        convert(None, target=name)
    assert str(error.value) == (
        f"Expected {package} to be installed, which the target {name} needs; "
        f'type: pip install "keras-transformer-zoo[{extra}]"'
    )


def test_a_quantized_checkpoint():
    trained = random_model()
    trained.bits = {"kernel_bits": 8, "activation_bits": 8}
    with pytest.raises(InputError) as error:
        convert(trained, target="saved_model")
    assert str(error.value) == (
        "Expected a float checkpoint, got one that quantize made, which a .tflite file alone turns "
        "into integers; convert the float checkpoint that it was made from."
    )


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (
            {"precision": "int8"},
            "Expected a precision that the target saved_model can run, which are float32; got "
            "precision=int8.",
        ),
        (
            {"lengths": [8, 12]},
            "Expected no lengths for the target saved_model, whose graphs read any; got "
            "lengths=8,12.",
        ),
        (
            {"keep": ["encoder/*=float32"]},
            "Expected a precision that rounds kernels where layers are to be kept, got "
            "precision=float32.",
        ),
    ],
)
def test_what_is_said_of_integers_and_of_lengths(arguments, sentence):
    with pytest.raises(InputError) as error:
        convert(random_model(), target="saved_model", **arguments)
    assert str(error.value) == sentence


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["encoder", "gpt", "transformer"])
def test_positions_that_were_never_trained_are_left_out(kind, tmp_path):
    trained = (
        random_model() if kind == "encoder" else generator(kind, positions="learned", num_layers=1)
    )
    longest = trained.longest
    assert longest < trained.config.max_length
    exported = convert(trained, target="saved_model")
    assert exported.description["model"]["max_length"] == longest
    exported.save(tmp_path / "export")
    saved = tf.saved_model.load(str(tmp_path / "export" / "saved_model"))
    tables = {
        tuple(one.shape) for captured in saved.captured for one in captured
        if "position_embedding" in one.name
    }  # fmt: skip
    assert tables == {(longest, trained.config.hidden_dim)}
    if kind == "encoder":
        predict = saved.signatures["predict"]
        ids = np.ones((1, longest + 1), "int32")
        assert predict(ids=tf.constant(ids[:, 1:]))["output"].shape == (1, 3)
        with pytest.raises(tf.errors.InvalidArgumentError):
            predict(ids=tf.constant(ids))
