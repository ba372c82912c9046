"""The modules of a `sentence-transformers` folder: what follows the Transformer."""

import dataclasses
import json
from pathlib import Path
from typing import Any

from keras_transformer.zoo.errors import InputError
from keras_transformer.zoo.pretrained.published_files import read_json

_POOLINGS = {"cls": "first", "mean": "mean", "max": "max"}


@dataclasses.dataclass(frozen=True, kw_only=True)
class SentenceModules:
    """What a folder's modules.json says.

    Attributes:
        folder: subfolder of the Transformer, empty for the folder itself.
        pooling: pooling of its outputs, None without such modules.
        normalize: whether vectors are scaled to length 1.
        max_length: maximum number of tokens, None for the model's.
        lowercase: whether texts are lowercased before they are tokenized.
    """

    folder: str = ""
    pooling: str | None = None
    normalize: bool = False
    max_length: int | None = None
    lowercase: bool = False


def read_sentence_modules(folder: Path) -> SentenceModules:
    """Reads modules.json and what it names; a folder without it has no such modules.

    Raises:
        InputError: if a module is unknown or has another function than ours.
    """
    path = folder / "modules.json"
    if not path.is_file():
        return SentenceModules()
    kinds = []
    places = {}
    for module in _modules(path):
        library, _, kind = str(module.get("type")).rpartition(".")
        if library.partition(".")[0] != "sentence_transformers":
            raise InputError(
                f"Expected modules of sentence_transformers in {path}, got "
                f"{module.get('type')!r}, whose code is never run."
            )
        kinds.append(kind)
        places[kind] = str(module.get("path", ""))
    if kinds not in (["Transformer", "Pooling"], ["Transformer", "Pooling", "Normalize"]):
        raise InputError(
            f"Expected the modules Transformer, Pooling and perhaps Normalize in {path}, got "
            f"{', '.join(kinds)}."
        )
    settings = read_json(folder / "config_sentence_transformers.json")
    if settings.get("default_prompt_name"):
        raise InputError(
            f"Expected a model without a default prompt in {folder}, got default_prompt_name="
            f"{settings['default_prompt_name']!r}."
        )
    transformer = folder / places["Transformer"]
    own = read_json(transformer / "sentence_bert_config.json")
    limit = own.get("max_seq_length")
    if limit is not None and (type(limit) is not int or limit < 1):
        raise InputError(f"Expected max_seq_length in {folder} to be positive, got {limit!r}.")
    return SentenceModules(
        folder=places["Transformer"], pooling=_pooling(folder / places["Pooling"] / "config.json"),
        normalize="Normalize" in kinds, max_length=limit,
        lowercase=bool(own.get("do_lower_case")),
    )  # fmt: skip


def _modules(path: Path) -> list[dict[str, Any]]:
    try:
        modules = json.loads(path.read_bytes())
    except (ValueError, RecursionError) as error:
        raise InputError(f"Expected {path} to hold JSON, got an error: {error}.") from None
    if not isinstance(modules, list) or not all(isinstance(one, dict) for one in modules):
        raise InputError(f"Expected {path} to hold a list of modules, got {modules!r}.")
    for module in modules:
        place = Path(str(module.get("path", "")))
        if place.is_absolute() or ".." in place.parts:
            raise InputError(f"Expected modules inside the folder in {path}, got {str(place)!r}.")
    return modules


def _pooling(path: Path) -> str:
    """Our pooling of a Pooling module's config."""
    values = read_json(path)
    named = values.get("pooling_mode")
    modes = [named] if named is not None else [
        key.removeprefix("pooling_mode_").removesuffix("_token").removesuffix("_tokens")
        for key, value in values.items() if key.startswith("pooling_mode_") and value is True
    ]  # fmt: skip
    if len(modes) != 1 or modes[0] not in _POOLINGS:
        raise InputError(
            f"Expected pooling of {path} to be one of {', '.join(_POOLINGS)}, got "
            f"{', '.join(map(str, modes)) or 'none'}."
        )
    return _POOLINGS[modes[0]]
