"""Settings of rotary positions in a config.json, in its earlier and its present form."""

from collections.abc import Mapping
from typing import Any

from keras_transformer.zoo.errors import InputError
from keras_transformer.zoo.models.families.published import PublishedConfig

# Names of Llama 3's scaling there -> ours.
_SCALING = {
    "factor": "factor", "low_freq_factor": "low_freq_factor",
    "high_freq_factor": "high_freq_factor", "original_max_position_embeddings": "original_length",
}  # fmt: skip
_KINDS = {"full_attention": "G", "sliding_attention": "L"}


def rotary_settings(
    c: PublishedConfig, *, theta: float = 10_000.0, fraction: float | None = None
) -> dict[str, Any]:
    """Returns `rope_theta`, `rope_scaling` and `rotary_fraction`, with given defaults.

    Args:
        c: config.json.
        theta: theta where there is none.
        fraction: rotated share of each head where there is none; None for a family that rotates
            whole heads, whatever the file says.

    Raises:
        InputError: if the positions are of another kind than Llama 2's and Llama 3's.
    """
    old = {"rope_theta": c.get("rope_theta", theta), **(c.get("rope_scaling") or {})}
    values = {**old, **(c.get("rope_parameters") or {})}
    return _read(values, c, fraction)


def local_settings(
    c: PublishedConfig, old_names: Mapping[str, str], **theta: float
) -> dict[str, Any]:
    """Returns `rope_theta`, `local_rope_theta` and `layer_pattern` of a model with windows.

    Args:
        c: config.json.
        old_names: keys of the two thetas in older files, by `full_attention` and
            `sliding_attention`.
        **theta: the default of each.
    """
    c.expect("rope_scaling", None)
    found, given = {}, c.get("rope_parameters") or {}
    for kind, default in theta.items():
        old = c.get(old_names[kind], default)
        settings = _read({"rope_theta": old, **given.get(kind, {})}, c, None)
        if settings["rope_scaling"]:
            raise _error(c, settings["rope_scaling"])
        found[kind] = settings["rope_theta"]
    layers = c.get("layer_types")
    pattern = "".join(_KINDS.get(kind, "?") for kind in layers or ())
    if "?" in pattern:
        raise InputError(
            f"Expected layer_types of {c.source} to be {' or '.join(_KINDS)}, got {layers!r}."
        )
    changes = {"layer_pattern": pattern} if pattern else {}
    return {
        "rope_theta": found["full_attention"], "local_rope_theta": found["sliding_attention"],
        **changes,
    }  # fmt: skip


def _read(values: Mapping[str, Any], c: PublishedConfig, fraction: float | None) -> dict[str, Any]:
    values = dict(values)
    # `type` is the earlier name.
    kind = values.pop("rope_type", values.pop("type", "default"))
    values.pop("type", None)
    result = {
        "rope_theta": values.pop("rope_theta"), "rope_scaling": {},
        "rotary_fraction": values.pop("partial_rotary_factor", fraction or 1.0),
    }  # fmt: skip
    if result["rotary_fraction"] != 1 and (fraction is None or kind != "default"):
        # Which `transformers` ignores, or fails at.
        raise _error(c, {"rope_type": kind, "partial_rotary_factor": result["rotary_fraction"]})
    if kind == "llama3" and set(values) == set(_SCALING):
        result["rope_scaling"] = {ours: values[theirs] for theirs, ours in _SCALING.items()}
    elif kind != "default" or values:
        raise _error(c, {"rope_type": kind, **values})
    return {**result, "rope_theta": float(result["rope_theta"])}


def _error(c: PublishedConfig, found: Mapping[str, Any]) -> InputError:
    return InputError(
        f"Expected rope_parameters of {c.source} to be of the rope_type default or llama3, "
        f"got {dict(found)!r}."
    )
