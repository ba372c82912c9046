"""`convert --target ethos-u*` on the command line: what is written, and what is refused."""

import importlib.util

import pytest

from keras_transformer.edge.targets.npus import NPUS
from keras_transformer.edge.targets.registry import TARGETS, get_target
from keras_transformer.zoo.errors import InputError
from tests.cli.calls import call, error_of
from tests.edge.models import random_model


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    folder = tmp_path_factory.mktemp("ethos") / "checkpoint"
    random_model(num_segments=0).save(folder)
    return folder


def refused(result):
    """The sentence of a call that failed; one line is all that was said."""
    code, sentence = error_of(result)
    assert code != 0
    return sentence


def test_each_npu_is_a_target():
    assert {"ethos-u55-256", "ethos-u65", "ethos-u85-256"} < set(NPUS) < set(TARGETS)
    assert NPUS["ethos-u65"].accelerator == "ethos-u65-256"
    with pytest.raises(InputError, match=r"ethos-u55-32, .*, ethos-u85-2048, .*'ethos-u55-100'"):
        get_target("ethos-u55-100")


def test_an_npu_that_does_not_exist(checkpoint, tmp_path):
    out = tmp_path / "a.tflite"
    found = refused(call("convert", checkpoint, "--target", "ethos-u55-100", "--out", out))
    assert "'ethos-u55-100' is not one of" in found and "ethos-u55-128" in found
    assert not list(tmp_path.iterdir())


def test_a_compiler_that_is_not_installed(checkpoint, tmp_path, monkeypatch):
    find = importlib.util.find_spec
    monkeypatch.setattr(
        "keras_transformer.edge.targets.target.find_spec",
        lambda name: None if name == "ethosu" else find(name),
    )
    out = tmp_path / "a.tflite"
    found = refused(call("convert", checkpoint, "--target", "ethos-u65", "--out", out))
    assert "Expected ethosu to be installed, which the target ethos-u65 needs" in found
    assert 'pip install "keras-transformer-zoo[ethos-u]"' in found
    assert not list(tmp_path.iterdir())


def test_a_precision_that_an_npu_cannot_run(checkpoint, tmp_path):
    pytest.importorskip("ethosu")
    out = tmp_path / "a.tflite"
    command = ("convert", checkpoint, "--target", "ethos-u55-256", "--out", out)
    found = refused(call(*command, "--precision", "int8"))
    assert "the target ethos-u55-256 can run, which are integer; got --precision int8" in found
    assert not list(tmp_path.iterdir())


def test_options_of_other_targets(checkpoint, tmp_path):
    out = tmp_path / "a.tflite"
    found = refused(call("convert", checkpoint, "--host-lookup", "--out", out))
    assert "Expected --host-lookup only with the target ethos-u*, got --target plain" in found
    found = refused(call("convert", checkpoint, "--arena-limit", "5", "--out", out))
    assert "only with the target micro or ethos-u*, got --target plain" in found
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("target", ["micro", "ethos-u55-256"])
def test_a_limit_of_no_bytes(checkpoint, tmp_path, target):
    pytest.importorskip("ethosu" if target != "micro" else "tflite_micro")
    out = tmp_path / "a.tflite"
    command = ("convert", checkpoint, "--target", target, "--precision", "integer", "--out", out)
    found = refused(call(*command, "--arena-limit", "0"))
    assert "Expected --arena-limit to be a number of bytes above 0, got 0." in found
    found = refused(call("convert", checkpoint, "--arena-limit", "0", "--out", out))
    assert "only with the target micro or ethos-u*, got --target plain" in found
    assert not list(tmp_path.iterdir())
