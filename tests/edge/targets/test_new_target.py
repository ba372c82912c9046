"""A new target is a class in one place and an entry of the table."""

import json

import pytest

from keras_transformer.edge.runtime.runner import Runner
from keras_transformer.edge.targets.flatbuffer import FlatbufferWriter
from keras_transformer.edge.targets.registry import TARGETS
from keras_transformer.edge.targets.target import Option, Target
from tests.cli.calls import call, error_of
from tests.edge.models import random_model


class Toy(FlatbufferWriter):
    """Files with a motto for a host that has one."""

    def __init__(self, target, about, *, motto="none"):
        super().__init__(target, about)
        self.motto = motto

    def loads(self, checkpoint):
        if len(checkpoint.labels) > 3:
            return f"Expected at most 3 labels for the toy, got {len(checkpoint.labels)}."
        return super().loads(checkpoint)

    def facts(self, flatbuffer):
        return {"motto": self.motto}

    def measured(self, description):
        return {"letters of the motto": str(len(self.motto))}

    def loading(self, checkpoint):
        return "Give `{file}` to the toy."


@pytest.fixture(autouse=True)
def toy(monkeypatch):
    option = Option(name="motto", type=str, help="What the toy says.")
    entry = Target(
        name="toy", writer=f"{__name__}:Toy", help="a toy that says a motto",
        precisions=("float32",), options=(option,),
    )  # fmt: skip
    monkeypatch.setitem(TARGETS, "toy", entry)


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    folder = tmp_path_factory.mktemp("toy") / "checkpoint"
    random_model().save(folder)
    return folder


def test_its_file_is_written_by_the_command(checkpoint, tmp_path):
    out = tmp_path / "toy.tflite"
    result = call("convert", checkpoint, "--target", "toy", "--motto", "play", "--out", out)
    assert result.exit_code == 0, result.output
    rows = dict(line.rsplit(maxsplit=1) for line in result.stdout.splitlines() if "  " in line)
    assert (rows["target"], rows["letters of the motto"]) == ("toy", "4")
    assert (Runner(out).description["target"], Runner(out).description["motto"]) == ("toy", "play")
    card = (tmp_path / "MODEL_CARD.md").read_text(encoding="utf-8")
    assert "| letters of the motto | 4 |" in card
    assert "### How to load it\n\nGive `toy.tflite` to the toy." in card
    inspected = json.loads(call("inspect", out, "--json").stdout)
    assert inspected["description"]["target"] == "toy"


def test_its_option_is_in_the_help():
    text = " ".join(call("convert", "--help").stdout.split())
    assert "--motto TEXT What the toy says. [only with --target toy]" in text
    assert "toy: a toy that says a motto" in text


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (
                ["--motto", "play"],
                "Expected --motto only with the target toy, got --target plain.",
            ),
        (
            ["--target", "toy", "--precision", "float16"],
            "Expected a precision that the target toy can run, which are float32; got "
            "--precision float16.",
        ),
    ],
)
def test_what_it_does_not_take(checkpoint, tmp_path, arguments, sentence):
    result = call("convert", checkpoint, *arguments, "--out", tmp_path / "m.tflite")
    assert error_of(result) == (2, f"Error: {sentence}")
