import json

import pytest

from keras_transformer.zoo.models.catalog import CATALOG, SIZES
from keras_transformer.zoo.models.families.known import KNOWN_MODELS
from tests.cli.calls import call, error_of


def test_the_list_has_every_model_with_its_cost():
    result = call("models")
    assert (result.exit_code, result.stderr) == (0, "")
    head, _, *lines = result.stdout.split("\n\n")[0].splitlines()
    assert head.split("  ")[0] == "Model" and "Multiply-adds at 128 tokens" in head
    # The tasks of a model may go on in a second line.
    begins = [place for place, line in enumerate(lines) if not line.startswith(" ")]
    assert [lines[place].split()[0] for place in begins] == list(CATALOG)
    assert all(f"\n{known.name} " in result.stdout for known in KNOWN_MODELS)
    first = list(CATALOG).index("bert_tiny")
    assert " ".join(lines[begins[first] : begins[first + 1]]).split() == [
        "bert_tiny", "encoder", "4.4", "M", "58.7", "M", "classification,", "multi-label,",
        "regression,", "embedding,", "token-classification,", "question-answering,",
        "masked-language-modeling,", "multi-task",
    ]  # fmt: skip
    assert "the published counts of BERT include its pre-training heads" in result.stdout


def test_the_list_as_json():
    models = json.loads(call("models", "--json").stdout)
    assert {model["name"]: model["parameters"] for model in models} == {
        name: size.parameters for name, size in SIZES.items()
    } | {known.name: known.parameters for known in KNOWN_MODELS}
    (model,) = (one for one in models if one["name"] == "bert_tiny")
    assert model == {
        "name": "bert_tiny",
        "architecture": "encoder",
        "parameters": 4_385_920,
        "parameters_with_pretraining_heads": 4_433_468,
        "multiply_adds_at_128_tokens": 58_736_640,
        "tasks": [
            "classification", "multi-label", "regression", "embedding", "token-classification",
            "question-answering", "masked-language-modeling", "multi-task",
        ],
    }


@pytest.mark.parametrize("name", CATALOG)
def test_one_model_shows_its_configuration(name):
    result = call("models", name)
    assert (result.exit_code, result.stderr) == (0, "")
    rows = dict(line.split(maxsplit=1) for line in result.stdout.splitlines() if "  " in line)
    config = CATALOG[name]
    assert rows["hidden_dim"].strip() == str(config.hidden_dim)
    assert rows["positions"].strip() == config.positions
    assert result.stdout.startswith(f"{name} ({config.architecture})\n")
    count = f"{SIZES[name].parameters:,}"
    assert ["parameters", count] in map(str.split, result.stdout.splitlines())


def test_one_model_as_json():
    model = json.loads(call("models", "gpt_small", "--json").stdout)
    assert model["configuration"] == CATALOG["gpt_small"].to_json()
    assert model["parameters"] == model["parameters_with_pretraining_heads"] == 124_439_808


def test_unknown_model():
    code, line = error_of(call("models", "bert_huge"))
    assert code == 2
    assert line == (
        f"Error: Expected a model among {', '.join(CATALOG)}, or a published one (a folder, or "
        "hf:OWNER/NAME), got 'bert_huge'."
    )
