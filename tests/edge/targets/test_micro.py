"""Files of integers alone in TensorFlow Lite Micro's interpreter, against LiteRT's own kernels."""

import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
from ai_edge_litert.interpreter import Interpreter, OpResolverType

from keras_transformer.edge.runtime.packed import unpack
from keras_transformer.edge.runtime.runner import Runner
from keras_transformer.edge.targets.convert import convert
from keras_transformer.edge.targets.micro.micro import arena_bytes
from keras_transformer.edge.targets.micro.sources import c_name, c_sources
from keras_transformer.zoo.errors import InputError, RunError
from keras_transformer.zoo.models.build import PAD_ID
from tests.edge.generators import generator
from tests.edge.models import LENGTH, calibration, random_model, random_rows

runtime = pytest.importorskip("tflite_micro.python.tflite_micro.runtime")
ARENA = 64 * 1024


@pytest.mark.parametrize(
    "settings",
    [
        pytest.param(
            {"num_layers": 2, "pooling": "mean", "num_segments": 0}, marks=pytest.mark.slow
        ),
        {
            "num_layers": 2,
            "num_segments": 0,
            "pooling": "max",
            "activation": "relu",
            "norm": "rms_norm",
            "pre_norm": True,
        },
        pytest.param({"pooling": "first", "positions": "sinusoidal"}, marks=pytest.mark.slow),
    ],
    ids=["mean", "max", "first"],
)  # fmt: skip
def test_a_file_of_integers_runs_on_a_microcontroller(settings, tmp_path):
    path = tmp_path / "model.tflite"
    path.write_bytes(bytes(convert(random_model(**settings), "integer", calibration=calibration())))
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


def test_the_arena_of_a_model_of_pairs_is_measured():
    pairs = convert(random_model(pair=True), "integer", calibration=calibration(pair=True))
    assert arena_bytes(bytes(pairs)) < ARENA


@pytest.fixture(scope="module")
def bundle(tmp_path_factory):
    path = tmp_path_factory.mktemp("micro") / "my-model.tflite"
    converted = convert(
        random_model(num_segments=0), "integer", calibration=calibration(), target="micro"
    )
    path.write_bytes(bytes(converted))
    return path


def test_the_arena_is_what_the_interpreter_needs(bundle):
    flatbuffer, description, _ = unpack(bundle)
    needed = description["arena_bytes"]
    interpreter = runtime.Interpreter.from_bytes(flatbuffer, arena_size=needed)
    interpreter.set_input(np.ones((1, LENGTH), np.int32), 0)
    interpreter.invoke()
    with pytest.raises(RuntimeError, match="failed to allocate"):
        runtime.Interpreter.from_bytes(flatbuffer, arena_size=needed - 16)
    assert Runner(bundle).predict(["w1 w2"])[0].label in ("a", "b", "c")


@pytest.mark.skipif(shutil.which("gcc") is None, reason="gcc is not installed")
@pytest.mark.parametrize("standard", ["c99", "c11"])
def test_the_array_compiles_to_the_model(bundle, standard, tmp_path):
    flatbuffer, _, _ = unpack(bundle)
    for name, data in c_sources(bundle).items():
        (tmp_path / name).write_bytes(data)
    (tmp_path / "main.c").write_text(
        '#include "my_model.h"\n#include <stdio.h>\n'
        "int main(void) { return fwrite(my_model, 1, my_model_size, stdout) != my_model_size; }\n"
    )
    command = ["gcc", f"-std={standard}", "-Wall", "-Wextra", "-Werror", "main.c", "my_model.c"]
    subprocess.run([*command, "-o", "print"], cwd=tmp_path, check=True)
    printed = subprocess.run([tmp_path / "print"], capture_output=True, check=True)
    assert printed.stdout == flatbuffer


def test_ops_are_registered_by_the_resolvers_own_names(bundle):
    ops = c_sources(bundle)["my_model_ops.h"].decode()
    adds = sorted(line.split("->")[1].split("(")[0] for line in ops.splitlines() if "->" in line)
    assert {"AddBatchMatMul", "AddFullyConnected", "AddNotEqual", "AddSelectV2"} < set(adds)
    assert f"my_model_op_count = {len(adds)};" in ops
    assert f"my_model_arena_bytes = {unpack(bundle)[1]['arena_bytes']};" in ops


def test_an_op_that_is_missing_is_named(tmp_path):
    path = tmp_path / "model.tflite"
    path.write_bytes(bytes(convert(random_model(), "float32")))
    flatbuffer, _, _ = unpack(path)
    with pytest.raises(RunError, match=r"TensorFlow Lite Micro has no GELU, the op of t\d+"):
        arena_bytes(flatbuffer)


@pytest.mark.parametrize(
    ("make", "precision", "sentence"),
    [
        (random_model, "int8", "the target micro can run, which are integer; got precision=int8"),
        (lambda: generator("gpt"), "integer", "whole texts for the target micro, got language-mod"),
    ],
)
def test_what_a_microcontroller_cannot_run(make, precision, sentence):
    with pytest.raises(InputError, match=sentence):
        convert(make(), precision, target="micro")


def test_one_length_on_a_microcontroller():
    with pytest.raises(InputError) as error:
        convert(
            random_model(), "integer", target="micro", calibration=calibration(), lengths=[8, 12]
        )
    assert str(error.value) == "Expected one length for the target micro, got lengths=8,12."


def test_names_in_c():
    assert c_name(Path("a/my model-2.tflite")) == "my_model_2"
    with pytest.raises(InputError, match="a file name that begins with a letter, got 2b.tflite"):
        c_name(Path("2b.tflite"))
