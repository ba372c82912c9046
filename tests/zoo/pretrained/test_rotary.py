"""Rotary settings of config.json in both of its forms."""

import pytest

from keras_transformer.zoo.errors import InputError
from keras_transformer.zoo.models.families.published import PublishedConfig
from keras_transformer.zoo.models.families.rotary import local_settings, rotary_settings

LLAMA3 = {
    "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0,
    "original_max_position_embeddings": 8192,
}  # fmt: skip
OURS = {
    "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0, "original_length": 8192,
}  # fmt: skip
NAMES = {"full_attention": "rope_theta", "sliding_attention": "rope_local_base_freq"}
THETAS = {"full_attention": 1e6, "sliding_attention": 1e4}


def config(**values):
    return PublishedConfig(values, "config.json")


@pytest.mark.parametrize(
    ("values", "theta", "scaling"),
    [
        ({}, 10_000.0, {}),
        ({"rope_theta": 1e6}, 1e6, {}),
        ({"rope_parameters": {"rope_theta": 1e6, "rope_type": "default"}}, 1e6, {}),
        ({"rope_theta": 5e5, "rope_scaling": {"rope_type": "llama3", **LLAMA3}}, 5e5, OURS),
        ({"rope_theta": 5e5, "rope_scaling": {"type": "llama3", **LLAMA3}}, 5e5, OURS),
        (
            {"rope_parameters": {"rope_theta": 5e5, "rope_type": "llama3", **LLAMA3}},
            5e5,
            OURS,
        ),
    ],
)
def test_both_forms_say_the_same(values, theta, scaling):
    c = config(**values)
    found = rotary_settings(c)
    assert found == {"rope_theta": theta, "rope_scaling": scaling, "rotary_fraction": 1.0}
    c.check_read()


@pytest.mark.parametrize("kind", ["default", "llama3"])
def test_whole_heads_are_rotated_but_where_the_family_says_so(kind):
    values = {
        "rope_parameters": {
            **(LLAMA3 if kind == "llama3" else {}), "rope_type": kind, "rope_theta": 100.0,
            "partial_rotary_factor": 0.5,
        }
    }  # fmt: skip
    with pytest.raises(InputError, match="'partial_rotary_factor': 0.5"):
        rotary_settings(PublishedConfig(values, "file"))
    if kind == "default":
        found = rotary_settings(PublishedConfig(values, "file"), fraction=0.25)
        assert found["rotary_fraction"] == 0.5


@pytest.mark.parametrize(
    "scaling",
    [
        {"rope_type": "yarn", "factor": 4.0},
        {"type": "linear", "factor": 2.0},
        {"rope_type": "llama3", "factor": 8.0},
        {"rope_type": "default", "factor": 8.0},
    ],
)
def test_other_kinds_are_refused(scaling):
    with pytest.raises(InputError, match="of the rope_type default or llama3, got .*factor"):
        rotary_settings(config(rope_scaling=scaling))


def test_thetas_and_layers_of_windows():
    layers = ["sliding_attention", "full_attention"]
    expected = {"rope_theta": 1e6, "local_rope_theta": 500.0, "layer_pattern": "LG"}
    old = config(rope_local_base_freq=500.0, layer_types=layers)
    new = config(
        rope_parameters={"sliding_attention": {"rope_theta": 500.0, "rope_type": "default"}},
        layer_types=layers,
    )
    for c in (old, new):
        assert local_settings(c, NAMES, **THETAS) == expected
        c.check_read()


def test_windows_with_other_layers_or_scaling_are_refused():
    with pytest.raises(InputError, match=r"layer_types of config.json .* got \['chunked'\]"):
        local_settings(config(layer_types=["chunked"]), NAMES, **THETAS)
    scaled = {"full_attention": {"rope_type": "llama3", **LLAMA3}}
    with pytest.raises(InputError, match="of the rope_type default or llama3, got"):
        local_settings(config(rope_parameters=scaled), NAMES, **THETAS)
    with pytest.raises(InputError, match="rope_scaling of config.json to be None"):
        local_settings(config(rope_scaling={"factor": 2.0}), NAMES, **THETAS)
