"""What follows a published Transformer: the head that config.json names, or further modules.

The modules are those of a `sentence-transformers` folder.
"""

import dataclasses
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from keras_transformer.zoo.errors import InputError
from keras_transformer.zoo.models.families.published import (
    OF_ANSWERS,
    OF_TAGS,
    Published,
    Tensor,
)
from keras_transformer.zoo.outputs import ANSWERS, CLASSES, TAGS
from keras_transformer.zoo.pretrained.renames import known_names
from keras_transformer.zoo.pretrained.tensors import Tensors
from keras_transformer.zoo.pretrained.vocabularies.files import read_json

_POOLINGS = {"cls": "first", "mean": "mean", "max": "max"}
# Ends of the names of classes whose head does what was trained; others were trained with.
_TASKS = ("ForSequenceClassification", OF_TAGS, OF_ANSWERS, "ForMultipleChoice")


@dataclasses.dataclass(frozen=True, kw_only=True)
class PublishedHead:
    """The head of a published model.

    Attributes:
        output: kind of its outputs, see `outputs.OUTPUTS`; empty where no head is read.
        tensors: its table.
        labels: names of its classes or tags.
        other: name of a head that no task here does as it is; empty for none.
    """

    output: str = ""
    tensors: Mapping[str, Tensor] = dataclasses.field(default_factory=dict)
    labels: tuple[str, ...] = ()
    other: str = ""


def head_of(values: Mapping[str, Any], published: Published, path: Path) -> PublishedHead:
    """Returns the head that a config.json names.

    Args:
        values: config.json.
        published: tables of the family.
        path: the file, for messages.

    Raises:
        InputError: if architectures or the classes are of another form.
    """
    architectures = values.get("architectures") or []
    if not isinstance(architectures, list) or not all(isinstance(n, str) for n in architectures):
        raise InputError(
            f"Expected architectures of {path} to be a list of names, got {architectures!r}."
        )
    for architecture in architectures:
        if architecture in published.heads:
            tensors = published.heads[architecture]
            if architecture.endswith(OF_ANSWERS):
                return PublishedHead(output=ANSWERS, tensors=tensors)
            labels, problem = _labels_of(values, path), values.get("problem_type")
            output = TAGS if architecture.endswith(OF_TAGS) else CLASSES
            if output == CLASSES and problem not in (None, "single_label_classification"):
                return PublishedHead(other=f"{architecture} of problem_type={problem}")
            if len(labels) == 1:
                return PublishedHead(other=f"{architecture} of one output")
            return PublishedHead(output=output, tensors=tensors, labels=labels)
        if architecture.endswith(_TASKS):
            return PublishedHead(other=architecture)
    return PublishedHead()


def _labels_of(values: Mapping[str, Any], path: Path) -> tuple[str, ...]:
    """The names of classes by their numbers, in whatever order the file has them."""
    # Without names `transformers` has two.
    given = values.get("id2label")
    if given is None:
        count = values.get("num_labels", 2)
        if type(count) is not int or not 0 < count < 2**31:
            raise InputError(f"Expected num_labels of {path} to be positive, got {count!r}.")
        return tuple(f"LABEL_{i}" for i in range(count))
    keys = [str(i) for i in range(len(given))] if isinstance(given, Mapping) else []
    if not keys or set(given) != set(keys):
        raise InputError(
            f"Expected id2label of {path} to name the classes 0, 1, 2 and so on, got {given!r}."
        )
    return tuple(str(given[key]) for key in keys)


def usual_pooling(published: Published, head: PublishedHead, tensors: Tensors) -> str:
    """Returns the pooling before a head of classes, which needs a pooler, or what the file has."""
    heads = head.tensors if head.output == CLASSES else {}
    is_first = _pooler_of(published, heads) is not None if heads else has_pooler(
        published, heads, tensors
    )
    return "first" if is_first else "mean"


def _pooler_of(published: Published, heads: Mapping[str, Tensor]) -> Tensor | None:
    return {**published.tensors, **heads}.get("pooler/kernel")


def has_pooler(published: Published, heads: Mapping[str, Tensor], tensors: Tensors) -> bool:
    """Whether a model's file has its pooler."""
    source = _pooler_of(published, heads)
    return source is not None and source.name in known_names(published, tensors)


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
