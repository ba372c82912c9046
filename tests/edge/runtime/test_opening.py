"""Files whose parts do not fit together: each is one sentence, in `Runner` as in `inspect`."""

import copy
import json

import numpy as np
import pytest

from keras_transformer.edge.runtime import opening, packed
from keras_transformer.edge.runtime.checks import trial
from keras_transformer.edge.runtime.litert import Interpreter, Signature
from keras_transformer.edge.runtime.opening import open_file
from keras_transformer.edge.runtime.packed import pack, unpack
from keras_transformer.edge.runtime.runner import Runner
from keras_transformer.zoo.errors import InputError
from tests.fuzz.seals import seal_file

MISSING = object()


def with_value(description, path, value):
    """The description with a value at a dotted name, or without it."""
    changed = copy.deepcopy(description)
    *outer, last = path.split(".")
    target = changed
    for name in outer:
        target = target[name]
    if value is MISSING:
        del target[last]
    else:
        target[last] = value
    return changed


def message(path, description=None, files=None):
    """What opening a file with another description or other attached files says."""
    flatbuffer, found, attached = unpack(path)
    data = pack(flatbuffer, found if description is None else description(found), {
        **attached, **(files or {})
    })  # fmt: skip
    with pytest.raises(InputError) as caught:
        Runner(data)
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize(
    ("path", "value", "reason"),
    [
        ("task", MISSING, "have task, an object, got none"),
        ("task", "classification", "have task, an object, got task='classification'"),
        ("task.name", MISSING, "have task.name, text, got none"),
        ("task.name", 3, "got task.name=3"),
        ("task.pair", "no", "task.pair, true or false, got task.pair='no'"),
        ("precision", None, "got precision=None"),
        ("max_length", 0, "got max_length=0"),
        ("max_length", 10**12, "got max_length=1000000000000"),
        ("max_length", 8, "the last of its lengths to be 8, got 16"),
        ("lengths", [], "got lengths=[]"),
        ("lengths", [16, 4], "got lengths=[16, 4]"),
        ("lengths", ["16"], "got lengths=['16']"),
        ("lengths", [4, 16], "expected a signature predict_4, got predict"),
        ("model", [], "got model=[]"),
        ("model.vocab_size", -1, "got model.vocab_size=-1"),
        ("model.vocab_size", 3, "at most the embedding's 3 ids"),
        ("modality", "smell", "expected modality to be one of"),
        ("output", "vector", "output to be one of output, probabilities, embedding"),
        ("output", "probabilities", "expected predict to have probabilities, got none"),
        ("output_kind", "text", "output_kind to be one of classes, label sets, number, embedding"),
        ("output_step", "x" * 100, "got output_step='" + "x" * 77 + "…'."),
        ("custom_ops", "x", "got custom_ops='x'"),
        ("columns", {"text": 1}, "got columns={'text': 1}"),
        ("layers", {"predict": {"a": -1}}, "got layers={'predict': {'a': -1}}"),
        ("metrics", {"accuracy": []}, "got metrics={'accuracy': []}"),
        ("about", {"name": None}, "got about={'name': None}"),
        ("provenance.recipe", [], "got provenance.recipe=[]"),
    ],
)
def test_descriptions(files, path, value, reason):
    found = message(files["float32"], lambda given: with_value(given, path, value))
    assert reason in found


@pytest.mark.parametrize(
    ("attached", "reason"),
    [
        ({"labels.txt": b"\xff\n"}, "Expected labels.txt of the file to be UTF-8"),
        ({"labels.txt": b"one\n"}, "as many labels as the 3 outputs, got 1"),
        ({"labels.txt": b""}, "as many labels as the 3 outputs, got 0"),
        ({"tokenizer.json": b"[" * 100_000}, "tokenizer.json to hold JSON"),
        ({"tokenizer.json": b"[]"}, "settings to be an object"),
        ({"vocab.txt": b"\xff"}, "vocab.txt to be UTF-8"),
    ],
)
def test_attached_files(files, attached, reason):
    assert reason in message(files["float32"], files=attached)


def test_no_labels(files):
    flatbuffer, description, attached = unpack(files["float32"])
    del attached["labels.txt"]
    with pytest.raises(InputError, match="the file is damaged: it has no labels.txt"):
        Runner(pack(flatbuffer, description, attached))


@pytest.mark.parametrize(
    ("kind", "path", "value", "reason"),
    [
        ("gpt", "model.num_layers", 1, "read"),
        ("gpt", "model.num_layers", 10**5, "a signature decode of 100000 blocks"),
        ("gpt", "model.architecture", "encoder-decoder", "the signatures of an encoder-decoder"),
        ("gpt", "model.vocab_size", 300, "logits of decode to be FLOAT32 (1, 300)"),
        ("gpt", "model.vocab_size", 200, "at most the embedding's 200 ids"),
        ("gpt", "lengths", [32], None),
        ("gpt", "lengths", [4, 32], "expected a signature prefill_4"),
        ("transformer", "lengths", [4, 32], "expected a signature encode_4"),
        ("gpt", "output_kind", "classes", "output_kind to be one of text"),
    ],
)
def test_files_that_generate(written, kind, path, value, reason):
    if reason is None:
        flatbuffer, description, attached = unpack(written(kind))
        assert Runner(pack(flatbuffer, with_value(description, path, value), attached)).generates
        return
    assert reason in message(written(kind), lambda given: with_value(given, path, value))


def test_ids_beyond_the_table(files):
    """The config says that the table has more rows than it has."""
    def larger(given):
        return with_value(given, "model.vocab_size", 10_000)

    pieces = unpack(files["float32"])[2]["vocab.txt"] + b"".join(b"n%d\n" % i for i in range(500))
    assert "ids of its table" in message(files["float32"], larger, {"vocab.txt": pieces})


def own_file(path):
    """The bytes of a file that this process did not make."""
    flatbuffer, description, attached = unpack(path)
    return seal_file(flatbuffer, json.dumps(description).encode(), attached)


def test_a_trial_runs_each_signature(files):
    opened = open_file(files["float32"], is_tried=True)
    assert opened.trial.not_finite == {"predict": []}
    assert {one["op_name"] for one in opened.trial.ops} > {"FULLY_CONNECTED"}


def test_ops_without_a_rule_are_tried_once(files, monkeypatch):
    tried, verify = [], opening.verify

    def try_file(flatbuffer, custom_ops, name):
        tried.append(name)
        return trial.Trial({}, [])

    monkeypatch.setattr(opening, "try_file", try_file)
    monkeypatch.setattr(packed, "_VOUCHED", set())
    monkeypatch.setattr(opening, "verify", lambda *given: verify(*given)._replace(is_ruled=False))
    data = own_file(files["float32"])
    for _ in range(2):
        Runner(data)
    assert tried == ["the file"]


@pytest.mark.parametrize(
    ("script", "reason"),
    [
        ("kill -SEGV $$", "LiteRT ended with code -11 in a process of its own"),
        ("exec sleep 60", "had not run each of its signatures once after 1 seconds"),
        ("""echo '{"error": "no such op"}'""", "the file cannot be run: no such op."),
    ],
)
def test_what_ends_a_trial(monkeypatch, tmp_path, script, reason):
    program = tmp_path / "python"
    program.write_text(f"#!/bin/sh\n{script}\n", encoding="utf-8")
    program.chmod(0o755)
    monkeypatch.setattr(trial.sys, "executable", str(program))
    monkeypatch.setattr(trial, "_SECONDS", 0.5)
    with pytest.raises(InputError, match=reason):
        trial.try_file(b"TFL3", [], "the file")


def test_what_litert_refuses_in_a_trial():
    with pytest.raises(InputError, match="^it cannot be run: .*[Ff]latbuffer.*"):
        trial.try_file(bytes(100), [], "it")


def test_what_litert_refuses_here(files):
    with pytest.raises(InputError, match="LiteRT cannot run the file: .*[Ff]latbuffer"):
        Interpreter(model_content=bytes(100))
    runner = Interpreter(model_content=unpack(files["float32"])[0]).get_signature_runner("predict")
    assert isinstance(runner, Signature)
    assert list(runner.get_input_details()) == ["ids"]
    with pytest.raises(InputError, match="LiteRT cannot run the file: "):
        runner(ids=np.zeros((1, 3, 5), "int32"))
