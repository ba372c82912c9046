"""Bounds of a config's values, one by one and together."""

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

from keras_transformer.zoo.errors import InputError

ARCHITECTURES = ("encoder", "decoder", "encoder-decoder")
ADDED_POSITIONS = ("learned", "sinusoidal")
POSITION_BIASES = ("t5", "alibi")
POSITIONS = (*ADDED_POSITIONS, "rotary", *POSITION_BIASES)
SCALING = ("factor", "low_freq_factor", "high_freq_factor", "original_length")
CHOICES = {
    "architecture": ARCHITECTURES,
    "positions": POSITIONS,
    "activation": ("relu", "gelu", "gelu_tanh", "silu", "hard_silu"),
    "norm": ("layer_norm", "rms_norm"),
    "pooling": ("first", "mean", "max", "attention"),
    "pooler": ("tanh", "none", "relu", "gelu"),
    "position_bias": ("none", *POSITION_BIASES),
}

# Integers whose 0 means none, or derived from another one.
OPTIONAL = (
    "vocab_size", "num_key_value_heads", "num_segments", "source_vocab_size", "head_dim", "rank",
    "embedding_dim", "window", "encoder_layers",
)  # fmt: skip
# Bounds of floats other than from 0 to below 1: the least value, and what is above all.
BOUNDS = {
    "rope_theta": (1.0, 1e12),
    "local_rope_theta": (0.0, 1e12),
    "rotary_fraction": (0.01, 1.01),
}
# Fields, and the other field without a certain value of which they may only be at their defaults.
_TOGETHER: tuple[tuple[tuple[str, ...], str, Callable[[Any], bool], str], ...] = (
    (("sandwich_norms", "first_norm", "parallel_residual"), "pre_norm", bool, "pre_norm"),
    (
        ("tied_head", "logits_bias"), "architecture", lambda kind: kind != "encoder",
        "a decoder or encoder-decoder",
    ),
    (
        ("encoder_layers",), "architecture", lambda kind: kind == "encoder-decoder",
        "an encoder-decoder",
    ),
    (
        ("embedding_dim", "share_layers"), "architecture", lambda kind: kind == "encoder",
        "an encoder",
    ),
    (("embedding_dim",), "modality", lambda modality: modality == "text", "text"),
    (
        ("rope_theta", "rope_scaling", "rotary_fraction", "local_rope_theta"), "positions",
        lambda positions: positions == "rotary", "rotary positions",
    ),
    (("layer_pattern", "local_rope_theta"), "window", bool, "a window"),
    (
        ("position_bias",), "positions", lambda positions: positions not in POSITION_BIASES,
        "positions that are no bias",
    ),
    (
        ("window", "first_norm", "stochastic_depth"), "share_layers", lambda shared: not shared,
        "blocks of their own",
    ),
)  # fmt: skip


def check_value(field: dataclasses.Field, value: Any) -> None:
    """Raises InputError if a value has another type or is outside the field's bounds."""
    name = field.name
    if name in CHOICES and value not in CHOICES[name]:
        raise InputError(f"Expected {name} to be one of {', '.join(CHOICES[name])}, got {value!r}.")
    if field.type == bool | None and value is not None and not isinstance(value, bool):
        raise InputError(f"Expected {name} to be true, false or null, got {name}={value!r}.")
    if field.type is bool and not isinstance(value, bool):
        raise InputError(f"Expected {name} to be true or false, got {name}={value!r}.")
    if field.type is int:
        least = 0 if name in OPTIONAL else 1
        if type(value) is not int or value < least:
            raise InputError(
                f"Expected {name} to be an integer of at least {least}, got {name}={value!r}."
            )
        if value >= 2**63:
            raise InputError(f"Expected {name} to be below 2**63, got {name}={value}.")
    if name == "modality_settings" and not isinstance(value, Mapping):
        raise InputError(f"Expected {name} to be values by name, got {name}={value!r}.")
    if field.type is float:
        least, above = BOUNDS.get(name, (0.0, 1.0))
        if type(value) not in (int, float) or not least <= value < above:
            raise InputError(
                f"Expected {name} to be from {least:g} to below {above:g}, got {name}={value!r}."
            )
    if name == "rope_scaling":
        _check_scaling(value)
    if name == "layer_pattern" and (
        not isinstance(value, str) or not value or set(value) - {"L", "G"}
    ):
        raise InputError(f"Expected {name} to be of the letters L and G, got {name}={value!r}.")


def _check_scaling(value: Any) -> None:
    numbers = isinstance(value, Mapping) and all(
        type(one) in (int, float) and 0 < one < 2**63 for one in value.values()
    )
    if not numbers or (value and set(value) != set(SCALING)):
        raise InputError(
            f"Expected rope_scaling to be empty or numbers above 0 by the names "
            f"{', '.join(SCALING)}, got rope_scaling={value!r}."
        )
    if value and value["high_freq_factor"] <= value["low_freq_factor"]:
        raise InputError(
            "Expected high_freq_factor of rope_scaling to be above low_freq_factor, "
            f"got rope_scaling={value!r}."
        )


def check_together(config: Any) -> None:
    """Raises InputError if a field is set that has no meaning beside another field's value."""
    fields = {field.name: field for field in dataclasses.fields(config)}
    for names, other, fits, condition in _TOGETHER:
        found = getattr(config, other)
        for name in names:
            value, field = getattr(config, name), fields[name]
            is_set = bool(value) if field.default is dataclasses.MISSING else value != field.default
            if is_set and not fits(found):
                raise InputError(
                    f"Expected {name}={value!r} only with {condition}, got {other}={found!r}."
                )


def check_integers(config: Any) -> None:
    """Raises InputError if the converter cannot store a config's model in integers alone.

    Of one looked-up token it would compute the difference from its mean in floats.
    """
    begins_with_difference = (
        config.pre_norm and config.first_norm and config.norm == "layer_norm"
        and not (config.has_embedding_norm or config.scale_embeddings)
    )
    is_stepwise = config.architecture != "encoder"
    if is_stepwise and begins_with_difference and config.positions not in ADDED_POSITIONS:
        raise InputError(
            f"Expected positions to be {' or '.join(ADDED_POSITIONS)}, or norm=rms_norm, or "
            "embedding_norm, in a generating model of integers only whose first layer is a "
            f"layer norm, got positions={config.positions!r}."
        )
