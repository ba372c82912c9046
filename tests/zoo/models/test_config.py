import dataclasses
import json
import re

import pytest

from keras_transformer.zoo.errors import InputError
from keras_transformer.zoo.models.config import TransformerConfig
from keras_transformer.zoo.models.config_checks import CHOICES, OPTIONAL
from keras_transformer.zoo.printable import shortened
from tests.zoo import tiny

SIZES = ("max_length", "hidden_dim", "intermediate_dim", "num_layers", "num_heads")
FLAGS = ("gated", "pre_norm", "use_bias", "scale_embeddings")
RATES = ("dropout", "attention_dropout", "epsilon")


def refused(message):
    return pytest.raises(InputError, match=f"^{re.escape(message)}$")


@pytest.mark.parametrize("name", SIZES)
@pytest.mark.parametrize("value", [0, -1, 2.0, True, "8", None])
def test_sizes_are_positive_integers(name, value):
    with refused(f"Expected {name} to be an integer of at least 1, got {name}={value!r}."):
        tiny.config(**{name: value})


@pytest.mark.parametrize("name", OPTIONAL)
def test_optional_counts_may_be_zero(name):
    if name != "vocab_size":
        # Of a model that reads text, and of no other: see the tests of modalities.
        assert getattr(tiny.config(**{name: 0}), name) == 0
    with refused(f"Expected {name} to be an integer of at least 0, got {name}=-1."):
        tiny.config(**{name: -1})


@pytest.mark.parametrize("name", FLAGS)
@pytest.mark.parametrize("value", [1, 0, "yes", None])
def test_flags_are_booleans(name, value):
    with refused(f"Expected {name} to be true or false, got {name}={value!r}."):
        tiny.config(**{name: value})


@pytest.mark.parametrize("name", RATES)
@pytest.mark.parametrize("value", [-0.1, 1.0, float("nan"), "0.1", True])
def test_rates_are_below_one(name, value):
    with refused(f"Expected {name} to be from 0 to below 1, got {name}={value!r}."):
        tiny.config(**{name: value})


@pytest.mark.parametrize("name", CHOICES)
def test_choices_are_listed(name):
    with refused(f"Expected {name} to be one of {', '.join(CHOICES[name])}, got 'other'."):
        tiny.config(**{name: "other"})


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"num_heads": 3},
            "Expected num_heads to divide hidden_dim, got hidden_dim=16, num_heads=3.",
        ),
        (
            {"num_heads": 4, "num_key_value_heads": 3},
            "Expected num_key_value_heads to divide num_heads, "
            "got num_heads=4, num_key_value_heads=3.",
        ),
        (
            {"positions": "rotary", "num_heads": 16},
            "Expected an even head width for rotary positions, got 1.",
        ),
        *(
            (
                {"source_vocab_size": 30, "architecture": architecture},
                "Expected source_vocab_size to be 0 for an architecture other than "
                "encoder-decoder, got source_vocab_size=30.",
            )
            for architecture in ("encoder", "decoder")
        ),
    ],
)
def test_sizes_fit_each_other(changes, message):
    with refused(message):
        tiny.config(**changes)


def test_heads_may_have_another_width():
    assert tiny.config(num_heads=4).head_width == 4
    assert tiny.config(num_heads=3, head_dim=6).head_width == 6


def test_replace_names_the_known_settings():
    assert tiny.config().replace(dropout=0.3) == tiny.config(dropout=0.3)
    known = ", ".join(field.name for field in dataclasses.fields(TransformerConfig))
    with refused(f"Expected a setting of the model among {known}, got 'drop_out'."):
        tiny.config().replace(drop_out=0.3)


def test_json_round_trip():
    config = tiny.config("decoder", positions="alibi", gated=True)
    assert TransformerConfig.from_json(json.loads(json.dumps(config.to_json()))) == config


@pytest.mark.parametrize("name", ["source_vocab_size", "head_dim", "rank"])
def test_json_from_before_there_was_a_setting(name):
    config = tiny.config("encoder-decoder")
    value = config.to_json()
    assert value.pop(name) == 0
    assert TransformerConfig.from_json(value) == config


@pytest.mark.parametrize("value", [{}, [], None, {**tiny.config().to_json(), "extra": 1}])
def test_json_with_other_names_is_refused(value):
    known = ", ".join(sorted(field.name for field in dataclasses.fields(TransformerConfig)))
    sentence = shortened(f"Expected a model config with exactly {known}, got {value!r}.")
    with refused(sentence):
        TransformerConfig.from_json(value)
