"""`import keras_transformer as kt`: what it offers, and what it refuses."""

import ast
import inspect
from pathlib import Path

import keras
import pytest

import keras_transformer as kt

STUB = Path(__file__).parent.parent / "keras_transformer" / "__init__.pyi"
TASK = kt.Classification(labels=("bad", "good"))
ENCODERS = (
    "classification", "multi-label", "regression", "embedding", "token-classification",
    "question-answering", "masked-language-modeling", "multi-task",
)
SMALL = {"hidden_dim": 8, "intermediate_dim": 16, "num_layers": 1, "num_heads": 2}


@pytest.mark.parametrize("name", kt.__all__)
def test_a_name_resolves_and_has_a_docstring(name):
    found = getattr(kt, name)
    assert found.__name__ == name
    assert inspect.getdoc(found), name
    assert name in dir(kt)


def test_an_unknown_name():
    with pytest.raises(AttributeError, match=r"'keras_transformer' has no attribute 'transform'"):
        _ = kt.transform


def test_the_stub_has_the_same_names_from_the_same_modules():
    tree = ast.parse(STUB.read_text(encoding="utf-8"))
    stub = {
        alias.asname: f"{node.module}.{alias.name}" for node in tree.body for alias in node.names
    }
    table = {name: f"keras_transformer.{module}.{name}" for name, module in kt._MODULE_OF.items()}
    assert stub == table


def test_the_catalogue_is_a_table():
    rows = kt.models()
    (row,) = (one for one in rows if one.name == "bert_tiny")
    assert row == ("bert_tiny", row.parameters, ENCODERS)
    assert 4_300_000 < row.parameters < 4_500_000
    lines = repr(rows).splitlines()
    assert lines[0].split() == ["name", "parameters", "tasks"]
    assert len(lines) == len(rows) + 2
    assert "<td>gpt_nano</td>" in rows._repr_html_()


def test_a_built_model_is_a_plain_keras_model(tmp_path):
    model = kt.build("bert_tiny", TASK, vocab_size=50, **SMALL)
    assert isinstance(model, keras.Model)
    assert model.output.shape == (None, 2)
    config = kt.TransformerConfig(architecture="decoder", vocab_size=30, max_length=8, **SMALL)
    assert kt.build(config).output.shape == (None, None, 30)


@pytest.mark.parametrize(
    ("arguments", "kind", "sentence"),
    [
        (("bert_huge", TASK), kt.InputError, "Expected a model among .*bert_tiny, .*'bert_huge'"),
        ((None, TASK), TypeError, "^Expected a name of the catalogue or a config, got model=None"),
        (("gpt_nano", TASK), kt.InputError, "^Expected a task of .*decoder .*got classification"),
    ],
    ids=["name", "none", "task"],
)
def test_models_that_cannot_be_built(arguments, kind, sentence):
    with pytest.raises(kind, match=sentence):
        kt.build(*arguments)


def test_an_unknown_change_to_a_config():
    with pytest.raises(TypeError, match=r"among architecture, .*vocab_size, .*got hidden=8\.$"):
        kt.build("bert_tiny", TASK, hidden=8)
