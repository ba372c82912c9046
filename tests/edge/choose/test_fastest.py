"""The fastest form of int8: which there are, which is chosen, and what is said of it."""

import dataclasses

import pytest

from keras_transformer.edge.choose import fastest as module
from keras_transformer.edge.choose.fastest import Fastest, Form, fastest, forms_of, rounded_paths
from keras_transformer.edge.compare.benchmark import benchmark
from keras_transformer.edge.precision import get_precision
from keras_transformer.edge.runtime.runner import Runner
from keras_transformer.zoo.errors import InputError, RunError
from tests.edge.models import random_model

TEXTS = [f"w{i} w{i + 1} w{i + 2}" for i in range(33)]
PLAIN = Form(precision="int8", milliseconds=2.0)
FLOATS = Form(precision="int8", kinds=("feed-forward",), milliseconds=1.5)
STATIC = Form(precision="static_int8", refused="It differs.")


@pytest.mark.parametrize(
    ("settings", "kinds"),
    [
        ({}, ["feed-forward", "attention"]),
        ({"activation": "relu"}, ["feed-forward", "attention"]),
        # Attention with rotations and gated layers round row by row already.
        ({"positions": "rotary", "pre_norm": True}, ["feed-forward"]),
        ({"gated": True}, ["attention"]),
    ],
)
def test_the_forms_of_a_model(settings, kinds):
    forms = forms_of(rounded_paths(random_model(**settings)))
    expected = ["int8", *(f"int8 with floats in {kind}" for kind in kinds)]
    if len(kinds) > 1:
        expected.append(f"int8 with floats in {' and '.join(kinds)}")
    assert [form.name for form in forms] == [*expected, "static_int8"]


def test_the_fastest_of_those_that_match():
    assert module._best([PLAIN, FLOATS, STATIC]) == 1
    # Within the noise plain int8 stays.
    near = dataclasses.replace(FLOATS, milliseconds=1.97)
    assert module._best([PLAIN, near, STATIC]) == 0
    refused = dataclasses.replace(PLAIN, milliseconds=None, refused="It differs.")
    assert module._best([refused, near, STATIC]) == 1


def test_what_was_chosen_is_said(monkeypatch):
    monkeypatch.setattr(module, "device_name", lambda: "a CPU")
    forms = (PLAIN, FLOATS, STATIC)
    assert Fastest(artifact=None, chosen=FLOATS, forms=forms).rows() == {
        "fastest form": "int8 with floats in feed-forward, 1.50 ms, 0.75 times the latency of "
        "int8, on a CPU",
        "other forms": "int8, 2.00 ms; static_int8, refused",
    }
    assert Fastest(artifact=None, chosen=PLAIN, forms=(PLAIN,)).rows() == {
        "fastest form": "int8, 2.00 ms, on a CPU", "other forms": "none",
    }  # fmt: skip


def test_a_quantized_checkpoint():
    quantized = dataclasses.replace(random_model(), bits=get_precision("int8").bits)
    with pytest.raises(InputError, match="^Expected a float checkpoint to choose the fastest int8"):
        fastest(quantized, calibration=(TEXTS,))


def test_a_target_whose_files_litert_does_not_run():
    with pytest.raises(InputError, match="precision=int8"):
        fastest(random_model(), calibration=(TEXTS,), target="onnx")


def test_no_form_that_matches(monkeypatch):
    def refuse(*_, **__):
        raise RunError("It differs.")

    monkeypatch.setattr(module, "convert", refuse)
    with pytest.raises(RunError, match="^No form of int8 matches the model: It differs."):
        fastest(random_model(), calibration=(TEXTS,))


@pytest.mark.slow
def test_the_file_of_the_fastest_form(monkeypatch):
    """With the feed-forward layer in float no op splits the graph, and its kernels stay int8."""
    given = []

    def latencies(files, threads, runs):
        given.append((len(files), threads, runs))
        return [2.0, 1.0, *(3.0 for _ in files[2:])]

    monkeypatch.setattr(module, "interleaved_latencies", latencies)
    found = fastest(random_model(), calibration=(TEXTS,), threads=2)
    assert found.chosen.kinds == ("feed-forward",)
    assert given == [(sum(form.refused is None for form in found.forms), 2, module.RUNS)]
    artifact = found.artifact
    assert artifact.measured["fastest form"].startswith("int8 with floats in feed-forward, 1.00 ms")
    runner = Runner(bytes(artifact))
    assert (runner.description["precision"], runner.description["keep"]) == (
        "int8",
        ["*/sublayer/activation_point", "*/sublayer/up_point"],
    )
    [measured] = benchmark(artifact, runs=1).files
    assert measured.partitions == 1 and "GELU" not in measured.outside_ops
