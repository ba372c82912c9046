"""`run --chat`: questions to a checkpoint and to its file, and what is refused."""

import dataclasses
import json

import pytest

from keras_transformer.edge.load import load
from keras_transformer.edge.targets.convert import convert
from keras_transformer.zoo.chat.chat import Chat
from tests.cli.calls import call, error_of
from tests.cli.generating import plain_data, trained
from tests.zoo.chat.templates import system, user
from tests.zoo.pretrained.tiny import REFERENCES

pytest.importorskip("jinja2")
# Of the letters that the tiny writer knows.
TEMPLATE = """\
{%- for message in messages -%}
{{ 'si' if message.role == 'system' else 'on' }}{{ message.content + 'e' }}
{%- endfor -%}
{{ ' ' if add_generation_prompt }}"""


@pytest.fixture(scope="module")
def plain(tmp_path_factory):
    folder = tmp_path_factory.mktemp("plain")
    task = ["gpt_nano", "--task", "language-modeling"]
    return trained(folder, plain_data(folder), *task, lengths="4,16")


@pytest.fixture(scope="module")
def talker(plain, tmp_path_factory):
    """A checkpoint that knows conversations, and its file."""
    folder = tmp_path_factory.mktemp("talker")
    checkpoint = load(plain.checkpoint)
    modality = dataclasses.replace(checkpoint.modality, chat=Chat(template=TEMPLATE))
    checkpoint = dataclasses.replace(checkpoint, modality=modality)
    checkpoint.save(folder / "talker")
    convert(checkpoint, lengths=[16]).save(folder / "talker.tflite")
    return folder / "talker", folder / "talker.tflite"


def test_an_answer_alone_is_printed(talker):
    for model in talker:
        expected = load(model).chat([user("si")], max_tokens=4)
        assert len(expected) == 4
        result = call("run", model, "--chat", "si", "--max-tokens", 4)
        assert (result.exit_code, result.stdout) == (0, f"{expected}\n")
        result = call("run", model, "--chat", "si", "--max-tokens", 4, "--system", "x")
        expected = load(model).chat([system("x"), user("si")], max_tokens=4)
        assert (result.exit_code, result.stdout) == (0, f"{expected}\n")


def test_several_questions(talker):
    model = talker[1]
    said = [load(model).chat([user(text)], max_tokens=3) for text in ("one", "six")]
    result = call("run", model, "--chat", "--max-tokens", 3, input="one\nsix\n")
    assert (result.exit_code, result.stdout) == (0, "".join(f"{text}\n" for text in said))
    result = call("run", model, "--chat", "one", "six", "--max-tokens", 3, "--json")
    rows = json.loads(result.stdout)["predictions"]
    assert [(row["text"], row["generated"]) for row in rows] == list(
        zip(("one", "six"), said, strict=True)
    )


def test_a_broken_template_is_one_sentence_with_its_line(talker, tmp_path):
    checkpoint = load(talker[0])
    broken = Chat(template="a\n{% endfor %}")
    modality = dataclasses.replace(checkpoint.modality, chat=broken)
    dataclasses.replace(checkpoint, modality=modality).save(tmp_path / "broken")
    said = error_of(call("run", tmp_path / "broken", "--chat", "one"))
    assert said[0] == 2
    assert said[1].startswith(
        "Error: Expected the chat template to be Jinja2, got an error in line 2: Encountered "
        "unknown tag 'endfor'."
    )


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (
            ["one", "--chat"],
            "Expected a model with a chat template, as published models of conversations have, "
            "got one of language-modeling without.",
        ),
        (["one", "--system", "a"], "Expected --system only with --chat, got 'a'."),
        (["one", "--chat", "--language", "de"], "Expected no --language with --chat, got 'de'."),
    ],
)
def test_a_model_or_an_option_without_a_chat(plain, options, said):
    assert error_of(call("run", plain.file, *options)) == (2, f"Error: {said}")


def test_a_model_that_writes_nothing_has_no_chat():
    code, line = error_of(call("run", REFERENCES / "bert", "w1", "--chat"))
    assert (code, line) == (
        2, "Error: Expected --chat only for a model of conversations, got one of embedding."
    )  # fmt: skip
