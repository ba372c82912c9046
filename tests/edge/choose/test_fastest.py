"""The fastest form of int8: which there are, which is chosen, and what is said of it."""

import dataclasses

import pytest

from keras_transformer.edge.arm64.instructions import count_instructions
from keras_transformer.edge.choose import fastest as module
from keras_transformer.edge.choose.fastest import (
    Fastest,
    Form,
    fastest,
    forms_of,
    points_of,
    rounded_paths,
)
from keras_transformer.edge.compare.benchmark import benchmark
from keras_transformer.edge.precision import get_precision
from keras_transformer.edge.runtime.runner import Runner
from keras_transformer.edge.targets.convert import convert
from keras_transformer.zoo.errors import InputError, RunError
from keras_transformer.zoo.progress import Report
from tests.arm64 import emulated
from tests.edge.generators import calibration, generator
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


def test_instructions_in_place_of_latency():
    plain, floats = (
        dataclasses.replace(form, milliseconds=None, instructions=count)
        for form, count in ((PLAIN, 4_000_000), (FLOATS, 3_000_000))
    )
    assert module._best([plain, floats, STATIC]) == 1
    found = Fastest(artifact=None, chosen=floats, forms=(plain, floats, STATIC), core="cortex-a53")
    assert found.rows() == {
        "fastest form": "int8 with floats in feed-forward, 3.000 M instructions, 0.75 times the "
        "instructions of int8, on an emulated cortex-a53",
        "other forms": "int8, 4.000 M instructions; static_int8, refused",
    }


def test_what_cannot_be_counted(monkeypatch):
    given = {"calibration": (TEXTS,)}
    with pytest.raises(InputError, match="^Expected core to be one of cortex-a53, .*'cortex-m7'"):
        fastest(random_model(), arm64="cortex-m7", **given)
    with pytest.raises(InputError, match="^Expected threads=1 with arm64=cortex-a76, .* threads=2"):
        fastest(random_model(), arm64="cortex-a76", threads=2, **given)
    # Before anything is converted.
    with monkeypatch.context() as patched:
        patched.setattr(module, "ready_machine", lambda note: "a machine")
        with pytest.raises(InputError, match="own ops with arm64=cortex-a76, .*target=text"):
            fastest(random_model(num_segments=0), arm64="cortex-a76", target="text", **given)
    monkeypatch.setenv("PATH", "")
    with pytest.raises(InputError, match="for --arm64, qemu-aarch64 is not installed"):
        fastest(random_model(), arm64="cortex-a76", **given)


def test_a_quantized_checkpoint():
    quantized = dataclasses.replace(random_model(), bits=get_precision("int8").bits)
    with pytest.raises(InputError, match="^Expected a float checkpoint to choose the fastest int8"):
        fastest(quantized, calibration=(TEXTS,))


def test_a_target_whose_files_litert_does_not_run():
    for target in ("onnx", "micro"):
        with pytest.raises(InputError, match="can run, which are .*; got precision=int8:auto.$"):
            fastest(random_model(), calibration=(TEXTS,), target=target)


def test_no_form_that_matches(monkeypatch):
    def refuse(*_, **__):
        raise RunError("It differs.")

    monkeypatch.setattr(module, "convert", refuse)
    with pytest.raises(RunError, match="^No form of int8 matches the model: It differs."):
        fastest(random_model(), calibration=(TEXTS,))


@pytest.mark.parametrize(
    ("kind", "settings", "place"),
    [
        # Both kinds of layers: the conversion compares each layer with Keras', to 1e-4.
        ("gpt", {"num_layers": 1}, 3),
        *(
            pytest.param(kind, {}, place, marks=pytest.mark.slow)
            for kind in ("gpt", "t5", "alibi", "transformer", "bart") for place in (1, 2, 3)
        ),
        pytest.param("gpt", {"rank": 4, "activation": "relu"}, 3, marks=pytest.mark.slow),
    ],
)  # fmt: skip
def test_forms_of_generating_models_match_them(kind, settings, place):
    """In pre-norm blocks, too, whose matmuls read what a norm stores."""
    checkpoint = generator(kind, **settings)
    paths = rounded_paths(checkpoint)
    form = forms_of(paths)[place]
    assert form.kinds
    keep = [f"{one}=float32" for one in points_of(paths, form)]
    made = convert(checkpoint, form.precision, calibration=calibration(kind), keep=keep)
    assert Runner(bytes(made)).description["keep"] == sorted(points_of(paths, form))


def test_floats_before_a_matmul_of_floats():
    """It rounds the rows that it reads: no norm's output is rounded before it."""
    paths = rounded_paths(random_model(pre_norm=True))
    for form in forms_of(paths)[1:3]:
        norm = f"*/{form.kinds[0].replace('-', '_')}/norm_point"
        assert norm in points_of(paths, form)


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


@pytest.mark.slow
def test_the_form_of_the_fewest_instructions():
    """The choice is that of the counts of `count_instructions` for each form's file."""
    machine, notes = emulated(), []
    report = Report()
    report.note = notes.append
    found = fastest(
        generator("gpt", num_layers=1), calibration=TEXTS * 4, arm64="cortex-a76", report=report
    )
    assert found.core == "cortex-a76" and all(form.milliseconds is None for form in found.forms)
    counts = [form.instructions for form in found.forms if form.refused is None]
    assert len(counts) > 2 and found.chosen.cost in (min(counts), counts[0])
    counted = count_instructions(found.artifact, "cortex-a76", note=print, machine=machine)
    assert counted.files[0].instructions == pytest.approx(found.chosen.instructions, rel=1e-3)
    assert "on an emulated cortex-a76" in found.artifact.measured["fastest form"]
    assert sum("on cortex-a76" in note for note in notes) == len(counts)
