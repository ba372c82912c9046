"""The kinds of a run's rows, and the models that read them where none is named."""

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from keras_transformer.zoo.data.sources import ARRAYS, Source
from keras_transformer.zoo.media.array_files import array_names
from keras_transformer.zoo.modalities.registry import MODALITIES
from keras_transformer.zoo.modalities.several import PLUS
from keras_transformer.zoo.models.catalog import CATALOG
from keras_transformer.zoo.recipe.training_data import is_path

# Modality -> the model of its rows, where none is named and the data choose no other.
DEFAULT_MODELS = {"audio": "kwt_tiny", "image": "cct_4", "text": "bert_tiny"}


def completed(name: str, kinds: Sequence[str]) -> str:
    """Returns a model's name with those of the default models of the other kinds."""
    own = CATALOG[name].modality if name in CATALOG else None
    if own not in kinds:
        return name
    return PLUS.join(name if kind == own else DEFAULT_MODELS[kind] for kind in kinds)


def kinds_of(source: Source | None, options: Mapping[str, Any]) -> list[str]:
    """Returns the kinds of the rows: those whose columns are named, or by the kind of files."""
    kinds = [
        name for name, kind in MODALITIES.items()
        if options.get(kind.column) is not None and "encoder" in kind.architectures
    ]  # fmt: skip
    if isinstance(source, tuple) and source and hasattr(source[0], "keys"):
        kinds = sorted(name for name in source[0].keys() if name in MODALITIES)
    if kinds:
        return kinds
    place = Path(source) if is_path(source) else None
    if place is not None and place.is_dir():
        ends = Counter(one.suffix.lower() for one in place.rglob("*") if one.is_file())
        found = {
            name: sum(ends[suffix] for suffix in kind.suffixes)
            for name, kind in MODALITIES.items() if "encoder" in kind.architectures
        }
        kinds = [max(found, key=lambda name: found[name])] if any(found.values()) else []
    elif place is not None and place.suffix == ARRAYS:
        names = array_names(place)
        kinds = [
            name for name, kind in MODALITIES.items()
            if kind.column in names and "encoder" in kind.architectures
        ]  # fmt: skip
    return kinds or ["text"]
