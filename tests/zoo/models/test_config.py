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
FLAGS = (
    "gated", "pre_norm", "use_bias", "scale_embeddings", "qk_norm", "sandwich_norms", "first_norm",
    "parallel_residual", "share_layers", "tied_head", "logits_bias",
)  # fmt: skip
SCALING = {
    "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0, "original_length": 16,
}  # fmt: skip
# Values other than the defaults, each with what it needs.
NEWEST = {
    "rope_theta": {"rope_theta": 5e5, "positions": "rotary"},
    "rope_scaling": {"rope_scaling": SCALING, "positions": "rotary"},
    "rotary_fraction": {"rotary_fraction": 0.5, "positions": "rotary"},
    "local_rope_theta": {"local_rope_theta": 100.0, "positions": "rotary", "window": 3},
    "window": {"window": 3},
    "layer_pattern": {"layer_pattern": "LLG", "window": 3},
    "qkv_bias": {"qkv_bias": True, "use_bias": False},
    "qk_norm": {"qk_norm": True},
    "position_bias": {"position_bias": "t5"},
    "pooler": {"pooler": "relu"},
    "embedding_norm": {"embedding_norm": True, "pre_norm": True},
    "sandwich_norms": {"sandwich_norms": True, "pre_norm": True},
    "first_norm": {"first_norm": False, "pre_norm": True},
    "parallel_residual": {"parallel_residual": True, "pre_norm": True},
    "share_layers": {"share_layers": True},
    "embedding_dim": {"embedding_dim": 8},
    "tied_head": {"tied_head": False, "architecture": "decoder"},
    "logits_bias": {"logits_bias": True, "architecture": "decoder"},
    "encoder_layers": {"encoder_layers": 3, "architecture": "encoder-decoder"},
}
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


def test_json_from_before_there_were_poolers():
    value = tiny.config().to_json()
    assert "pooler" not in value
    assert TransformerConfig.from_json(value) == tiny.config()


@pytest.mark.parametrize("name", NEWEST)
def test_newest_settings_are_written_where_they_are_not_the_default(name):
    config = tiny.config(**NEWEST[name])
    assert name not in tiny.config().to_json()
    value = json.loads(json.dumps(config.to_json()))
    assert value[name] == NEWEST[name][name]
    assert TransformerConfig.from_json(value) == config


@pytest.mark.parametrize("name", ["qkv_bias", "embedding_norm"])
@pytest.mark.parametrize("value", [1, "yes"])
def test_flags_that_follow_others_may_be_null(name, value):
    with refused(f"Expected {name} to be true, false or null, got {name}={value!r}."):
        tiny.config(**{name: value})
    assert getattr(tiny.config(**{name: None}), name) is None


@pytest.mark.parametrize(
    ("name", "value", "bounds"),
    [
        ("rope_theta", 0.5, "from 1 to below 1e+12"),
        ("rope_theta", float("nan"), "from 1 to below 1e+12"),
        ("local_rope_theta", -1.0, "from 0 to below 1e+12"),
        ("rotary_fraction", 0.0, "from 0.01 to below 1.01"),
        ("rotary_fraction", 1.5, "from 0.01 to below 1.01"),
    ],
)
def test_bounds_of_rotations(name, value, bounds):
    with refused(f"Expected {name} to be {bounds}, got {name}={value!r}."):
        tiny.config(**{name: value}, positions="rotary")


@pytest.mark.parametrize("value", [{"factor": 8.0}, [8.0], {**SCALING, "factor": -1.0}, 8.0])
def test_a_scaling_has_all_of_its_numbers(value):
    message = (
        "Expected rope_scaling to be empty or numbers above 0 by the names factor, "
        f"low_freq_factor, high_freq_factor, original_length, got rope_scaling={value!r}."
    )
    with refused(shortened(message)):
        tiny.config(rope_scaling=value, positions="rotary")


def test_the_factors_of_a_scaling_are_in_order():
    with pytest.raises(InputError, match="high_freq_factor of rope_scaling to be above low_freq"):
        tiny.config(rope_scaling={**SCALING, "high_freq_factor": 1.0}, positions="rotary")


@pytest.mark.parametrize("value", ["", "LX", 3])
def test_a_pattern_is_of_two_letters(value):
    with refused(
        f"Expected layer_pattern to be of the letters L and G, got layer_pattern={value!r}."
    ):
        tiny.config(layer_pattern=value, window=3)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"sandwich_norms": True},
            "Expected sandwich_norms=True only with pre_norm, got pre_norm=False.",
        ),
        (
            {"first_norm": False},
            "Expected first_norm=False only with pre_norm, got pre_norm=False.",
        ),
        (
            {"parallel_residual": True},
            "Expected parallel_residual=True only with pre_norm, got pre_norm=False.",
        ),
        (
            {"tied_head": False},
            "Expected tied_head=False only with a decoder or encoder-decoder, "
            "got architecture='encoder'.",
        ),
        (
            {"embedding_dim": 8, "architecture": "decoder"},
            "Expected embedding_dim=8 only with an encoder, got architecture='decoder'.",
        ),
        (
            {"encoder_layers": 3},
            "Expected encoder_layers=3 only with an encoder-decoder, got architecture='encoder'.",
        ),
        (
            {"share_layers": True, "architecture": "decoder"},
            "Expected share_layers=True only with an encoder, got architecture='decoder'.",
        ),
        (
            {"rope_theta": 5.0},
            "Expected rope_theta=5.0 only with rotary positions, got positions='learned'.",
        ),
        (
            {"rope_scaling": SCALING},
            f"Expected rope_scaling={SCALING!r} only with rotary positions, "
            "got positions='learned'.",
        ),
        (
            {"layer_pattern": "LG"},
            "Expected layer_pattern='LG' only with a window, got window=0.",
        ),
        (
            {"position_bias": "t5", "positions": "alibi"},
            "Expected position_bias='t5' only with positions that are no bias, "
            "got positions='alibi'.",
        ),
        (
            {"share_layers": True, "window": 3},
            "Expected window=3 only with blocks of their own, got share_layers=True.",
        ),
        (
            {"positions": "rotary", "rotary_fraction": 0.4, "num_heads": 2},
            "Expected an even head width for rotary positions, got 3.",
        ),
    ],
)
def test_settings_that_need_others(changes, message):
    with refused(shortened(message)):
        tiny.config(**changes)


@pytest.mark.parametrize("value", [{}, [], None, {**tiny.config().to_json(), "extra": 1}])
def test_json_with_other_names_is_refused(value):
    known = ", ".join(sorted(field.name for field in dataclasses.fields(TransformerConfig)))
    sentence = shortened(f"Expected a model config with exactly {known}, got {value!r}.")
    with refused(sentence):
        TransformerConfig.from_json(value)
