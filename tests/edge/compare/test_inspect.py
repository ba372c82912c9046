import hashlib
import json

import numpy as np
import pytest
from ai_edge_litert.interpreter import Interpreter

from keras_transformer.edge.compare.inspect import inspect
from keras_transformer.edge.runtime.packed import pack, unpack
from keras_transformer.zoo.errors import InputError


@pytest.mark.parametrize("precision", ["float32", "int8"])
def test_what_a_file_holds(files, precision):
    path = files[precision]
    found = inspect(path)
    flatbuffer, description, attached = unpack(path)
    assert found.description == description
    assert found.files == {name: len(data) for name, data in attached.items()}
    (tensors,) = found.signatures.values()
    # LiteRT's own listing of the same tensors, which it may add its own to.
    interpreter = Interpreter(model_content=flatbuffer)
    details = {d["index"]: d for d in interpreter.get_tensor_details()}
    listed = [tuple(details[i]["shape"].tolist()) for i in range(len(tensors))]
    assert sorted(one.shape for one in tensors) == sorted(listed)
    ends = [(one.role, one.name, one.shape, one.type) for one in tensors if one.role != "inner"]
    assert ends[:2] == [("input", "ids", (1, 16), "INT32"), ("output", "output", (1, 3), "FLOAT32")]
    steps = [one for one in tensors if one.type == "INT8"]
    assert bool(steps) == (precision == "int8")
    assert all(one.scale and one.zero_point is not None for one in steps)
    assert found.delegated["FULLY_CONNECTED"] > 0
    names = [op["op_name"] for op in interpreter._get_ops_details()]
    assert sum(found.delegated.values()) + sum(found.outside.values()) == len(names)


def test_where_it_comes_from(files, runs):
    provenance = inspect(files["float32"]).description["provenance"]
    assert provenance["recipe"]["data"]["train"] == "train.tsv"
    rate = provenance["recipe"]["optimizer"]["learning_rate"]
    assert rate == runs.trained.recipe.optimizer.learning_rate
    weights = (runs.folder / "float" / "weights.safetensors").read_bytes()
    assert provenance["weights_sha256"] == hashlib.sha256(weights).hexdigest()


@pytest.mark.parametrize(
    ("name", "change", "sentence"),
    [
        ("labels.txt", lambda data: data + b"more\n", "as many labels as the 3 outputs, got 4"),
        (
            "vocab.txt", lambda data: data + b"".join(b"new%d\n" % i for i in range(200)),
            r"a vocabulary of at most the embedding's \d+ ids, got \d+ pieces",
        ),
    ],
)  # fmt: skip
def test_parts_that_do_not_fit(files, tmp_path, name, change, sentence):
    flatbuffer, description, attached = unpack(files["float32"])
    path = tmp_path / "model.tflite"
    path.write_bytes(pack(flatbuffer, description, {**attached, name: change(attached[name])}))
    with pytest.raises(InputError, match=sentence):
        inspect(path)


def test_weights_that_are_not_finite(files, tmp_path):
    flatbuffer, description, attached = unpack(files["float32"])
    broken = np.frombuffer(flatbuffer, np.uint8).copy()
    # The largest constant is the table of tokens; every float of it becomes a NaN.
    interpreter = Interpreter(model_content=flatbuffer)
    table = max(interpreter.get_tensor_details(), key=lambda one: np.prod(one["shape"]))
    values = interpreter.get_tensor(table["index"]).tobytes()
    place = flatbuffer.index(values)
    broken[place : place + len(values)] = 0xFF
    path = tmp_path / "model.tflite"
    path.write_bytes(pack(broken.tobytes(), description, attached))
    with pytest.raises(InputError, match="predict gives output that is not finite"):
        inspect(path)


def test_it_is_json(files):
    found = inspect(files["float32"])
    assert json.loads(json.dumps(found.to_json()))["files"] == dict(found.files)
