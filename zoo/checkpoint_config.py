"""What a checkpoint folder says of its model, checked before anything is built of it.

Whoever sends a folder may have changed it and its manifest: a size that is asked for has to be one
that the weights have.
"""

import dataclasses
import json
from collections.abc import Mapping, Sequence
from typing import Any, Self

import numpy as np

from keras_transformer.zoo.data.labels import read_labels
from keras_transformer.zoo.errors import InputError
from keras_transformer.zoo.models.config_checks import ADDED_POSITIONS
from keras_transformer.zoo.models.fused_config import (
    Config,
    config_from_json,
    members_of,
    stacks_of,
)
from keras_transformer.zoo.models.memory import kernel_parameters, parameters_of
from keras_transformer.zoo.models.several_config import SeveralConfig

CONFIG, WEIGHTS, LABELS = "config.json", "weights.safetensors", "labels.txt"
RECIPE, METRICS, PROBES = "recipe.json", "metrics.json", "probes.safetensors"
_FILES = (LABELS, RECIPE, METRICS, PROBES)
# In place of the weights, those of an adapter, see `adaptation.adapter`.
ADAPTER, ADAPTER_CONFIG = "adapter.safetensors", "adapter.json"
_MOST_LENGTH = 1 << 20
_MOST_WAVES = 1 << 28  # numbers in a table that no weight stands for
_MOST_BLOCK = 1 << 16


@dataclasses.dataclass(frozen=True, kw_only=True)
class CheckpointConfig:
    """What `config.json` and `labels.txt` say.

    Attributes:
        shape: of the model.
        task: what `Task.to_json` returned.
        labels: of the task.
        modality: its name.
        max_length: positions of a row.
        bits: widths of a quantized model.
        keep: patterns of the layers that stay float in it.
    """

    shape: Config
    task: Mapping[str, Any]
    labels: tuple[str, ...]
    modality: str
    max_length: int
    bits: Mapping[str, int]
    keep: tuple[str, ...]

    @classmethod
    def of_files(cls, files: Mapping[str, bytes], path: object) -> Self:
        """Reads the config of a checkpoint's files.

        Args:
            files: contents by name.
            path: of the folder, for messages.

        Raises:
            InputError: a file is missing, or a value is missing, of another type or out of bounds.
        """
        for name in (CONFIG, ADAPTER if ADAPTER in files else WEIGHTS, *_FILES):
            if name not in files:
                raise InputError(f"{path} is no checkpoint of a trained model: it has no {name}.")
        values = read_object(files[CONFIG], f"{CONFIG} of {path}")
        names = {"model", "task", "max_length", "bits"}
        if not names <= set(values) <= names | {"modality"}:
            raise _unexpected(path, "model, task, modality, max_length and bits", list(values))
        task, modality = values["task"], values.get("modality", "text")
        length = values["max_length"]
        if (
            not isinstance(task, dict) or not isinstance(task.get("name"), str)
            or not isinstance(task.get("pair"), bool)
            or not isinstance(task.get("modality", "text"), str)
        ):  # fmt: skip
            raise _unexpected(path, "a task with name and pair", task)
        if type(length) is not int or not 1 <= length <= _MOST_LENGTH:
            raise _unexpected(path, f"a max_length from 1 to {_MOST_LENGTH}", length)
        if not isinstance(modality, str):
            raise _unexpected(path, "the name of a modality", modality)
        bits, keep = _bits(values["bits"], path)
        try:
            shape = config_from_json(values["model"])
        except InputError as error:
            raise InputError(f"{CONFIG} of {path}: {error}") from None
        if shape.positions == "learned" and length > shape.max_length:
            raise _unexpected(
                path, f"a max_length of at most the model's {shape.max_length} positions", length
            )
        return cls(
            shape=shape, task=task, labels=read_labels(files[LABELS], f"{LABELS} of {path}"),
            modality=modality, max_length=length, bits=bits, keep=keep,
        )  # fmt: skip

    def check_size(
        self, numbers: int, arrays: int, path: object, weights: str = WEIGHTS
    ) -> None:
        """Checks that a model of this shape has no more than its weights, before it is built.

        Args:
            numbers: number of numbers of the weights.
            arrays: number of their arrays.
            path: of the folder, for messages.
            weights: name of the weights, for messages.

        Raises:
            InputError: it would have more, or tables that are larger than any model's.
        """
        shapes = stacks_of(self.shape)
        least = sum(map(parameters_of, shapes))
        heads = shapes[:1] if isinstance(self.shape, SeveralConfig) else shapes
        for one in heads if self.shape.architecture == "encoder" else ():
            least += kernel_parameters(one, one.hidden_dim, len(self.labels))
        blocks = sum(1 if one.share_layers else one.num_layers for one in shapes)
        if least > numbers or blocks > arrays:
            raise InputError(
                f"{CONFIG} of {path} is of a model with {self.shape.num_layers} layers and at "
                f"least {least} weights, {weights} has {numbers}."
            )
        for one in members_of(self.shape):
            waves = one.max_length * one.hidden_dim
            if one.positions in ADDED_POSITIONS and waves > _MOST_WAVES:
                raise InputError(
                    f"{CONFIG} of {path} is of a model with {one.max_length} positions of "
                    f"width {one.hidden_dim}, more than {_MOST_WAVES} numbers."
                )


def read_object(data: bytes, what: str) -> dict[str, Any]:
    """Returns the object that JSON says.

    Raises:
        InputError: it is no JSON in UTF-8, nested too deep, or no object.
    """
    try:
        value = json.loads(data.decode())
    except UnicodeDecodeError:
        raise InputError(f"Expected {what} to be UTF-8, got other bytes.") from None
    except (ValueError, RecursionError) as error:
        raise InputError(f"Expected {what} to be JSON, got an error: {error}.") from None
    if not isinstance(value, dict):
        raise InputError(f"Expected {what} to hold an object, got {value!r}.")
    return value


def read_metrics(data: bytes, path: object) -> dict[str, Any]:
    """Returns a checkpoint's metrics: numbers by name, by what they were measured on.

    Raises:
        InputError: they are none.
    """
    values = read_object(data, f"{METRICS} of {path}")
    validation = values.get("validation", {})
    if not isinstance(validation, dict) or not all(
        isinstance(one, int | float | dict | str | None) for one in validation.values()
    ):
        raise InputError(
            f"Expected validation in {METRICS} of {path} to be numbers by name, got "
            f"{validation!r}."
        )
    return values


def check_probes(probes: Mapping[str, np.ndarray], inputs: Sequence[str], path: object) -> None:
    """Checks that a checkpoint's probes are rows of its model's inputs.

    Raises:
        InputError: an input has none, or another number of rows.
    """
    rows = {len(value) if value.ndim else -1 for value in probes.values()}
    if not set(inputs) <= set(probes) or len(rows) > 1 or -1 in rows:
        shapes = {name: value.shape for name, value in probes.items()}
        raise InputError(
            f"Expected {PROBES} of {path} to hold rows of {', '.join(inputs)}, got "
            f"{shapes!r}."
        )


def _bits(values: Any, path: object) -> tuple[dict[str, int], tuple[str, ...]]:
    """The widths, and the patterns of layers to keep."""
    if not isinstance(values, dict):
        raise _unexpected(path, "bits by name", values)
    # Once, float was written as widths of null.
    bits = {name: value for name, value in values.items() if value is not None}
    keep = bits.pop("keep", [])
    if not isinstance(keep, list) or not all(isinstance(one, str) for one in keep):
        raise _unexpected(path, "patterns of layers to keep", keep)
    if not all(type(one) is int and 1 <= one <= _MOST_BLOCK for one in bits.values()):
        raise _unexpected(path, f"bits from 1 to {_MOST_BLOCK}", bits)
    return bits, tuple(keep)


def _unexpected(path: object, wanted: str, got: object) -> InputError:
    return InputError(f"Expected {CONFIG} of {path} to have {wanted}, got {got!r}.")
