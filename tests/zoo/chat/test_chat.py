"""Chat templates: the texts that stand around messages, on devices, and mistakes in templates."""

import importlib.util
import re

import pytest

from keras_transformer.zoo.chat import template as templates
from keras_transformer.zoo.chat.chat import CHAT_FILE, TEMPLATE_FILE, Chat
from keras_transformer.zoo.chat.messages import checked_messages
from keras_transformer.zoo.chat.turns import Turns
from keras_transformer.zoo.errors import InputError
from tests.zoo.chat.templates import (
    CHATML,
    CONVERSATIONS,
    DATED,
    FOLDED,
    HEADERS,
    TEMPLATES,
    THINKING,
    assistant,
    system,
    user,
)

TOKENS = {"bos_token": "<bos>", "eos_token": "<eos>"}


def refused(message):
    return pytest.raises(InputError, match=f"^{re.escape(message)}$")


def chat_of(template):
    return Chat(template=template, tokens=TOKENS).derived()


@pytest.mark.parametrize("conversation", CONVERSATIONS)
@pytest.mark.parametrize("name", ["chatml", "headers", "dated", "folded"])
def test_turns_write_what_the_template_does(name, conversation):
    chat, messages = chat_of(TEMPLATES[name]), CONVERSATIONS[conversation]
    assert chat.turns is not None, chat.reason
    assert chat.text(messages, by_turns=True) == chat.text(messages)


def test_turns_are_texts_around_messages():
    assert chat_of(CHATML).turns == Turns(
        opening="<|im_start|>system\nYou are helpful.<|im_end|>\n<|im_start|>user\n",
        reply="<|im_end|>\n<|im_start|>assistant\n",
        again="<|im_end|>\n<|im_start|>user\n",
        answer="<|im_end|>\n<|im_start|>assistant\n",
        user_end="<|im_end|>\n",
        model_end="<|im_end|>\n",
        system=("<|im_start|>system\n", "<|im_end|>\n<|im_start|>user\n"),
    )
    folded = chat_of(FOLDED).turns
    assert folded.system == ("<bos><start_of_turn>user\n", "\n\n")
    assert folded.trimmed == ("user", "assistant")


def test_the_date_is_that_of_the_conversation(monkeypatch):
    turns = chat_of(DATED).turns
    text = turns.text([user("a")], now=lambda form: f"[{form}]")
    assert "Today Date: [%d %b %Y]\n" in text


def test_affixes_of_hosts_that_join_them():
    bos = "<bos>"
    assert chat_of(HEADERS).turns.affixes(bos) == {
        role: (f"<|start|>{role}<|stop|>\n\n", "<|eot|>")
        for role in ("user", "assistant", "system")
    }
    # A system's message inside the user's turn has no affixes of its own.
    assert chat_of(FOLDED).turns.affixes(bos) == {
        "user": ("<start_of_turn>user\n", "<end_of_turn>\n"),
        "assistant": ("<start_of_turn>model\n", "<end_of_turn>\n"),
    }
    with refused("Expected a chat template without the date, got one that writes it."):
        chat_of(DATED).turns.affixes(bos)
    with pytest.raises(InputError, match="opens with '<[|]im_start[|]>user.n', got .*helpful"):
        chat_of(CHATML).turns.affixes("")
    uneven = HEADERS.replace("{{- '<|start|>assistant<|stop|>", "{{- '<|start|>Assistant<|stop|>")
    with pytest.raises(InputError, match="same texts around each message, got .*Assistant"):
        chat_of(uneven).turns.affixes(bos)


def test_a_template_that_changes_messages_has_no_turns():
    chat = chat_of(THINKING)
    assert chat.turns is None
    assert chat.reason == (
        "Expected a chat template of fixed texts around messages, got one that changes "
        r"'<think>\nso\n</think>\n\nyes' of the user's."
    )
    # It is what is rendered, whether turns were asked for or not.
    messages = [user("a"), assistant("<think>so</think>b"), user("c")]
    assert chat.text(messages, by_turns=True) == chat.text(messages)
    assert "think" not in chat.text(messages)


def test_a_template_that_leaves_a_message_out():
    chat = chat_of("{{ messages[0].content }}!")
    assert chat.reason == (
        "Expected a chat template that writes each message, got one that leaves out message 2."
    )


@pytest.mark.parametrize(
    ("messages", "said"),
    [
        (
            [user("a"), user("b")],
            "Expected an optional message of the system and then those of the user and the "
            "assistant in turn, the user's last, got user, user.",
        ),
        ([system("a"), user("b")], "Expected no message of the system, which the model's chat "
         "lacks."),
    ],
)  # fmt: skip
def test_messages_that_turns_cannot_write(messages, said):
    plain = "{% for m in messages %}{% if m.role == 'system' %}{{ raise_exception('no') }}" + (
        "{% endif %}[{{ m.role }}]{{ m.content }}{% endfor %}"
    )
    chat = chat_of(plain)
    assert chat.turns is not None, chat.reason
    with refused(said):
        chat.text(messages, by_turns=True)


@pytest.mark.parametrize(
    ("template", "said"),
    [
        (
            "a\n{% if %}",
            "Expected the chat template to be Jinja2, got an error in line 2: Expected an "
            "expression, got 'end of statement block'.",
        ),
        (
            "a\n\n{{ messages[0].tools.name }}",
            "Expected the chat template to take the messages, got an error in line 3: 'dict "
            "object' has no attribute 'tools'.",
        ),
        (
            "{{ 1 / 0 }}",
            "Expected the chat template to take the messages, got an error in line 1: division by "
            "zero.",
        ),
        (
            "{{ ''.__class__.__mro__ }}",
            "Expected the chat template to take the messages, got an error in line 1: access to "
            "attribute '__class__' of 'str' object is unsafe.",
        ),
        (
            "{% macro a() %}{{ a() }}{% endmacro %}{{ a() }}",
            "Expected the chat template to end, got one that calls itself.",
        ),
    ],
)
def test_a_broken_template(template, said):
    with refused(said):
        Chat(template=template).text([user("a")])
    assert chat_of(template).reason == said


def test_a_template_refuses_a_conversation():
    with refused(
        "Expected the chat template to take the messages, got an error in line 9: Roles must "
        "alternate user/assistant/user/assistant/."
    ):
        chat_of(FOLDED).text([user("a"), user("b")])


@pytest.mark.parametrize(
    ("messages", "said"),
    [
        ([], "Expected at least one message, got none."),
        ([user("a"), assistant("b")], "Expected the user's message last, got one of 'assistant'."),
    ],
)
def test_no_conversation(messages, said):
    with refused(said):
        checked_messages(messages)


@pytest.mark.parametrize(
    "messages", ["a", {"role": "user"}, 7, ["a"], [{"role": "user"}], [{**user("a"), "name": "b"}],
                 [{"role": "user", "content": 7}]],
)  # fmt: skip
def test_no_messages(messages):
    with pytest.raises(TypeError, match="^Expected (a list of messages|message 1 to be), got|1 to"):
        checked_messages(messages)


def test_without_jinja(monkeypatch):
    derived, thinking = chat_of(HEADERS), chat_of(THINKING)
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    assert not templates.has_jinja()
    messages = CONVERSATIONS["three"]
    assert derived.text(messages, by_turns=True).startswith("<bos><|start|>user<|stop|>\n\na<|eot|")
    asked = (
        "Expected jinja2 for the model's chat template, which is not installed; install "
        "keras-transformer-zoo[chat]."
    )
    with refused(asked):
        derived.text(messages)
    with pytest.raises(InputError, match="jinja2, which is not installed, .*: expected a chat"):
        thinking.text(messages, by_turns=True)
    # Nobody has tried to derive anything.
    chat = Chat(template=HEADERS).derived()
    assert (chat.turns, chat.reason) == (None, "")
    with refused(asked):
        chat.text(messages, by_turns=True)


@pytest.mark.parametrize("name", TEMPLATES)
def test_files(name):
    chat = Chat(
        template=TEMPLATES[name], tokens=TOKENS, ends=("<eos>",), left=("<a>",), right=("<b>",),
        spaced=False,
    ).derived()  # fmt: skip
    files = chat.to_files()
    assert files[TEMPLATE_FILE].decode() == TEMPLATES[name]
    assert Chat.from_files({**files, "other": b""}) == chat
    assert Chat.from_files({"other": b""}) is None


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({CHAT_FILE: None}, "got chat_template.jinja alone"),
        ({CHAT_FILE: b"{"}, "to be text and JSON, got an error"),
        ({TEMPLATE_FILE: b"\xff"}, "to be text and JSON, got an error"),
        ({CHAT_FILE: b"{}"}, "to be an object of ends, left, reason, right, spaced, tokens"),
        ({"ends": 7}, "Expected ends of chat.json to be texts, got 7"),
        ({"right": [7]}, "Expected right of chat.json to be texts, got .7"),
        ({"tokens": {"a": 7}}, "Expected tokens of chat.json to be texts by name"),
        ({"spaced": 1}, "to say whether parts are spaced and a reason, got 1 and ''"),
        ({"turns": {"opening": "a"}}, "Expected turns of a chat to be an object of texts"),
        ({"turns": {"system": ["a"]}}, "Expected turns of a chat to be an object of texts"),
    ],
)
def test_damaged_files(changes, said):
    import json

    files = chat_of(HEADERS).to_files()
    for name, value in changes.items():
        if name in files:
            files[name] = value
            continue
        values = json.loads(files[CHAT_FILE])
        if name == "turns" and "system" in value:
            value = {**values["turns"], **value}
        files[CHAT_FILE] = json.dumps({**values, name: value}).encode()
    with pytest.raises(InputError, match=said):
        Chat.from_files({name: data for name, data in files.items() if data is not None})
