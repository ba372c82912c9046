"""LiteRT-LM writes conversations as the chat template of the model does."""

import dataclasses
import json
import subprocess
import sys

import pytest

from keras_transformer.edge.targets.convert import convert
from keras_transformer.zoo.chat.chat import Chat
from tests.edge.generators import WRITER_LENGTH, writer
from tests.slow import mostly_slow
from tests.zoo.chat.templates import CONVERSATIONS, TEMPLATES

pytest.importorskip("litert_lm")
pytest.importorskip("litert_lm_builder")
pytest.importorskip("jinja2")

PROGRAM = """
import json, sys, litert_lm
texts = []
with litert_lm.Engine(sys.argv[1]) as engine:
    for *before, last in json.loads(sys.argv[2]):
        with engine.create_conversation(messages=before or None) as conversation:
            texts.append(conversation.render_message_to_string(last))
print(json.dumps(texts))
"""


@pytest.mark.parametrize("name", mostly_slow(TEMPLATES, ["thinking"]))
def test_conversations_equal_the_template(name, tmp_path):
    chat = Chat(template=TEMPLATES[name], tokens={"bos_token": "<bos>"})
    trained = writer()
    modality = dataclasses.replace(trained.modality, chat=chat)
    exported = convert(
        dataclasses.replace(trained, modality=modality), target="litertlm", lengths=[WRITER_LENGTH]
    )
    path = tmp_path / "model.litertlm"
    path.write_bytes(bytes(exported))
    asked = list(CONVERSATIONS.values())
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(path), json.dumps(asked)],
        capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == [chat.text(messages) for messages in asked]
