"""Files of integers alone in TensorFlow Lite Micro's interpreter, against LiteRT's own kernels."""

import dataclasses
import re
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
from ai_edge_litert.interpreter import Interpreter, OpResolverType

from keras_transformer.edge.runtime.packed import unpack
from keras_transformer.edge.runtime.runner import Runner
from keras_transformer.edge.targets.convert import convert, open_writer
from keras_transformer.edge.targets.micro.micro import arena_bytes
from keras_transformer.edge.targets.micro.sources import c_name, c_sources
from keras_transformer.edge.targets.micro.tokenizing import no_tokenizer, tokenizer_sources
from keras_transformer.edge.targets.registry import get_target
from keras_transformer.zoo.errors import InputError, RunError
from keras_transformer.zoo.models.build import PAD_ID
from keras_transformer.zoo.outputs import TAGS
from keras_transformer.zoo.progress import Report
from keras_transformer.zoo.tokenizers.tokenizer import Tokenizer, TokenizerConfig
from tests.edge.generators import generator
from tests.edge.models import LENGTH, calibration, random_model, random_rows, trained_on

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
        pytest.param(
            {"pooling": "first", "positions": "sinusoidal", "activation": "hard_silu"},
            marks=pytest.mark.slow,
        ),
        pytest.param({"positions": "alibi"}, marks=pytest.mark.slow),
        pytest.param({"position_bias": "t5", "window": 4}, marks=pytest.mark.slow),
        pytest.param({"positions": "rotary", "num_segments": 0}, marks=pytest.mark.slow),
        pytest.param(
            {
                "positions": "rotary", "rotary_fraction": 0.5, "qk_norm": True, "gated": True,
                "sandwich_norms": True, "norm": "rms_norm", "pre_norm": True, "window": 4,
            }, marks=pytest.mark.slow,
        ),
    ],
    ids=["mean", "max", "first", "alibi", "t5", "rotary", "gemma"],
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


class Notes(Report):
    """Keeps what is told."""

    def __init__(self):
        self.notes = []

    def note(self, text):
        self.notes.append(text)


def converted(checkpoint, **options):
    options = {"calibration": calibration(), **options}
    return convert(checkpoint, "integer", target="micro", **options)


def with_tokenizer(checkpoint, **settings):
    tokenizer = Tokenizer(TokenizerConfig(**settings))
    modality = dataclasses.replace(checkpoint.modality, tokenizer=tokenizer)
    return dataclasses.replace(checkpoint, modality=modality)


@pytest.fixture(scope="module")
def artifact():
    return converted(random_model(num_segments=0))


@pytest.fixture(scope="module")
def bundle(artifact, tmp_path_factory):
    path = tmp_path_factory.mktemp("micro") / "my-model.tflite"
    path.write_bytes(bytes(artifact))
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


def test_an_arena_above_the_limit_is_refused(bundle):
    flatbuffer, description, _ = unpack(bundle)
    needed = description["arena_bytes"]
    assert get_target("micro").open(arena_limit=needed).facts(flatbuffer) == {"arena_bytes": needed}
    with pytest.raises(InputError) as error:
        get_target("micro").open(arena_limit=needed - 1).facts(flatbuffer)
    assert str(error.value) == (
        f"Expected the arena within arena_limit={needed - 1} bytes, got {needed} bytes; take "
        "shorter inputs with --lengths, or a model of fewer heads or a smaller width."
    )


@pytest.mark.skipif(shutil.which("gcc") is None, reason="gcc is not installed")
@pytest.mark.parametrize("standard", ["c99", "c11"])
def test_the_array_compiles_to_the_model(bundle, standard, tmp_path):
    flatbuffer, _, _ = unpack(bundle)
    for name, data in c_sources(bundle).items():
        (tmp_path / name).write_bytes(data)
    (tmp_path / "main.c").write_text(
        '#include "my_model.h"\n#include <stdio.h>\n'
        "int main(void) {\n"
        "  for (int i = 0; i < MY_MODEL_LABELS; i++) puts(my_model_labels[i]);\n"
        "  return fwrite(my_model, 1, my_model_size, stdout) != my_model_size;\n}\n"
    )
    command = ["gcc", f"-std={standard}", "-Wall", "-Wextra", "-Werror", "main.c", "my_model.c"]
    subprocess.run([*command, "-o", "print"], cwd=tmp_path, check=True)
    printed = subprocess.run([tmp_path / "print"], capture_output=True, check=True)
    assert printed.stdout == b"a\nb\nc\n" + flatbuffer


def test_ops_are_registered_by_the_resolvers_own_names(bundle):
    ops = c_sources(bundle)["my_model_ops.h"].decode()
    adds = sorted(line.split("->")[1].split("(")[0] for line in ops.splitlines() if "->" in line)
    assert {"AddBatchMatMul", "AddFullyConnected", "AddNotEqual", "AddSelectV2"} < set(adds)
    assert f"my_model_op_count = {len(adds)};" in ops
    assert f"my_model_arena_bytes = {unpack(bundle)[1]['arena_bytes']};" in ops


@pytest.mark.skipif(shutil.which("gcc") is None, reason="gcc is not installed")
def test_the_bundle_reads_texts(bundle, tmp_path):
    for name, data in c_sources(bundle).items():
        (tmp_path / name).write_bytes(data)
    (tmp_path / "main.c").write_text(
        '#include "my_model_tokenizer.h"\n#include <stdio.h>\n#include <string.h>\n'
        "int main(int count, char** texts) {\n"
        "  int32_t ids[MY_MODEL_LENGTH];\n"
        "  for (int i = 1; i < count; i++) {\n"
        "    my_model_tokenize(texts[i], strlen(texts[i]), ids, MY_MODEL_LENGTH);\n"
        "    fwrite(ids, sizeof(*ids), MY_MODEL_LENGTH, stdout);\n"
        "  }\n  return 0;\n}\n"
    )
    command = ["gcc", "-std=c99", "-Wall", "-Wextra", "-Werror", "-pedantic", "main.c"]
    subprocess.run([*command, "my_model_tokenizer.c", "-o", "read"], cwd=tmp_path, check=True)
    texts = ["w1 w2", "W30\u0301 \u2014 w35, w0", " ".join(["w7"] * 40), ""]
    printed = subprocess.run([tmp_path / "read", *texts], capture_output=True, check=True)
    encoded = Runner(bundle).modality.encode(texts).columns["ids"]
    expected = [np.pad(row, (0, LENGTH - len(row))) for row in encoded]
    np.testing.assert_array_equal(np.frombuffer(printed.stdout, np.int32).reshape(4, -1), expected)


def test_the_card_has_the_tokenizer(artifact, bundle):
    assert re.fullmatch(r"\d,\d+ bytes of tables", artifact.measured["tokenizer in C"])
    card = artifact.card(bundle)
    assert "my_model_tokenize(text, strlen(text), interpreter.input(0)->data.i32, MY_M" in card
    assert artifact.measured["tokenizer in C"] in card


@pytest.mark.slow
def test_a_model_of_pairs_has_an_arena_and_a_tokenizer(bundle):
    made = converted(random_model(pair=True), calibration=calibration(pair=True))
    assert made.description["arena_bytes"] < ARENA
    texts = c_sources(bundle, bytes(made))
    assert "int my_model_tokenize_pair(" in texts["my_model_tokenizer.h"].decode()
    assert "my_model_tokenize" not in made.card(bundle)


def test_a_tokenizer_that_c_has_not_is_told(bundle):
    report = Notes()
    made = converted(with_tokenizer(random_model(vocab_size=300), kind="bytes"), report=report)
    reason = "its tokenizer is of the kind bytes, the C code reads wordpiece alone"
    [note] = [one for one in report.notes if "tokenizer" in one]
    assert note == f"No tokenizer in C is written, ids come from the host: {reason}."
    assert made.measured["tokenizer in C"] == f"none: {reason}"
    assert f"none: {reason}" in made.card(bundle)
    names = {"my_model.h", "my_model.c", "my_model_ops.h"}
    assert set(c_sources(bundle, bytes(made))) == names


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"output_kind": TAGS}, "the model gives tags, for which texts are read word by word"),
        ({"modality": "image+text"}, "the model reads image+text, the C code texts alone"),
        ({}, None),
    ],
)
def test_models_without_a_tokenizer_in_c(changes, reason, bundle):
    _, description, files = unpack(bundle)
    assert no_tokenizer({**description, **changes}, files) == reason
    assert bool(tokenizer_sources("a", {**description, **changes}, files)) == (reason is None)


@pytest.mark.slow
def test_activations_of_one_op_or_none_need_less_memory():
    # Of this model with gelu, an arena of 32 KiB ends the process of the interpreter.
    small = {
        "num_segments": 0, "hidden_dim": 64, "intermediate_dim": 256, "num_layers": 2,
        "num_heads": 2, "vocab_size": 2000, "max_length": 32, "pooling": "max",
    }  # fmt: skip
    relu, hard_silu, gelu = (
        converted(trained_on(random_model(activation=one, **small), 32)).description["arena_bytes"]
        for one in ("relu", "hard_silu", "gelu")
    )
    # One, two and three tensors of 32 x 256 values are held at a time.
    assert relu + 6000 < hard_silu < gelu - 8000
    assert (hard_silu < 56_000, gelu < 61_000) == (True, True)


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


def test_a_source_in_the_place_of_another_is_met_before_the_conversion(tmp_path):
    out, writer = tmp_path / "model.tflite", open_writer("micro")
    for name in ("model.c", "model_tokenizer.c", "model_listen.h"):
        (tmp_path / name).touch()
        with pytest.raises(FileExistsError, match=name):
            writer.check_out(out, overwrite=False)
        writer.check_out(out, overwrite=True)
        (tmp_path / name).unlink()
    writer.check_out(out, overwrite=False)


def test_names_in_c():
    assert c_name(Path("a/my model-2.tflite")) == "my_model_2"
    with pytest.raises(InputError, match="that begins with a letter from A to z, got 2b.tflite"):
        c_name(Path("2b.tflite"))
    with pytest.raises(InputError, match="a letter from A to z, got élan.tflite"):
        c_name(Path("élan.tflite"))
    for name in ("a.c", "a.h"):
        with pytest.raises(InputError, match=rf"a\.c and a\.h have .*got {name}.*a\.tflite"):
            c_name(Path(name))
    for name in ("class", "float", "int", "main", "string", "tflite"):
        with pytest.raises(InputError, match=f"{name} is a keyword .* such as my_{name}.tflite"):
            c_name(Path(f"{name}.tflite"))
