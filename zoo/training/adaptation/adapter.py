"""Adapters in files of their own: their factors, the trained head, and the base they belong to."""

import dataclasses
import json
import math
from collections.abc import Callable, Mapping
from typing import Any, Self

import keras
import numpy as np

from keras_transformer.zoo.checkpoint_config import ADAPTER, ADAPTER_CONFIG, read_object
from keras_transformer.zoo.errors import InputError
from keras_transformer.zoo.models.build import get_weights
from keras_transformer.zoo.models.config import TransformerConfig
from keras_transformer.zoo.storage.files import weights_from_bytes, weights_to_bytes
from keras_transformer.zoo.training.adaptation.lora import (
    FACTORS,
    adapted,
    factors_of,
    is_trained_whole,
    projections_of,
)

# Of the origin of a base, see `Pretrained.provenance`.
_ORIGIN = ("source", "revision", "licence")


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Adapter:
    """The part of a model that low-rank adaptation has trained.

    Attributes:
        base: origin of the other weights: source, revision, licence, and the SHA-256 of each file.
        rank: rank of the factors.
        alpha: numerator of their constant factor, `alpha / rank`.
        layers: patterns of the layers that have them, see `lora.projections_of`; `*` in files
            that do not say it.
        weights: factors, and weights of the head, by path.
    """

    base: Mapping[str, Any]
    rank: int
    alpha: float
    layers: str
    weights: Mapping[str, np.ndarray]

    @classmethod
    def of_model(cls, model: keras.Model, base: Mapping[str, Any], layers: str = "*") -> Self:
        """Returns the adapter of a model that has adapters, see `lora.add_adapters`.

        Args:
            model: trained model.
            base: origin of the weights that it began with.
            layers: patterns of the layers that have adapters.
        """
        found = adapted(model)[0].adapter
        weights = {
            path: value for path, value in get_weights(model).items()
            if is_trained_whole(path) or path.endswith(FACTORS)
        }  # fmt: skip
        return cls(
            base=base, rank=found.rank, alpha=found.factor * found.rank, layers=layers,
            weights=weights,
        )  # fmt: skip

    @classmethod
    def of_files(cls, files: Mapping[str, bytes], path: object) -> Self:
        """Reads the result of `files`.

        Args:
            files: contents by name.
            path: of their folder, for messages.

        Raises:
            InputError: if a file is missing or holds something else.
        """
        if ADAPTER_CONFIG not in files:
            raise InputError(f"The adapter {path} lacks its file {ADAPTER_CONFIG}.")
        values = read_object(files[ADAPTER_CONFIG], f"{ADAPTER_CONFIG} of {path}")
        rank, alpha, base = (values.get(name) for name in ("rank", "alpha", "base"))
        layers = values.get("layers", "*")
        if {*values, "layers"} != {"rank", "alpha", "layers", "base"}:
            raise _unexpected(path, "rank, alpha, layers and base", list(values))
        if type(rank) is not int or rank < 1:
            raise _unexpected(path, "a rank above 0", rank)
        if type(alpha) not in (int, float) or not math.isfinite(alpha) or alpha <= 0:
            raise _unexpected(path, "a finite alpha above 0", alpha)
        if not isinstance(layers, str):
            raise _unexpected(path, "layers that are text", layers)
        if not isinstance(base, dict) or set(base) != {*_ORIGIN, "sha256"}:
            raise _unexpected(path, "a base with source, revision, licence and sha256", base)
        hashes = base["sha256"]
        if not all(isinstance(base[name], str) for name in _ORIGIN) or not base["source"]:
            raise _unexpected(path, "a base with a source", base)
        if not isinstance(hashes, dict) or not hashes:
            raise _unexpected(path, "the SHA-256 of the base's files", hashes)
        weights = weights_from_bytes(files[ADAPTER])
        return cls(base=base, rank=rank, alpha=alpha, layers=layers, weights=weights)

    def files(self) -> dict[str, bytes]:
        """Returns the contents of its files by name."""
        described = {
            "rank": self.rank, "alpha": self.alpha, "layers": self.layers, "base": dict(self.base),
        }  # fmt: skip
        text = json.dumps(described, indent=2, ensure_ascii=False) + "\n"
        return {ADAPTER: weights_to_bytes(self.weights), ADAPTER_CONFIG: text.encode()}

    def merge_into(self, model: keras.Model, path: object) -> None:
        """Adds the factors to the kernels of a model with the base's weights, and sets its head.

        Args:
            model: built model.
            path: of the adapter's folder, for messages.

        Raises:
            InputError: if a weight is missing, left over or of another shape, or no layer has the
                name of a pattern.
        """
        rest = dict(self.weights)

        def take(name: str, shape: tuple[int, ...]) -> np.ndarray:
            value = rest.pop(name, None)
            if value is None or value.shape != shape or value.dtype.kind != "f":
                got = "none" if value is None else f"{value.dtype.name} of shape {value.shape}"
                raise InputError(
                    f"Expected {ADAPTER} of {path} to have floats of shape {shape} as {name}, got "
                    f"{got}."
                )
            return value

        for one in projections_of(model, self.layers):
            width, units = one.kernel.shape
            down, up = factors_of(one)
            change = keras.ops.matmul(take(down, (width, self.rank)), take(up, (self.rank, units)))
            one.kernel.assign_add(change * (self.alpha / self.rank))
        for weight in model.weights:
            if is_trained_whole(weight.path):
                weight.assign(take(weight.path, tuple(weight.shape)))
        if rest:
            raise InputError(
                f"Expected {ADAPTER} of {path} to have what its model has, got {sorted(rest)[0]}."
            )


@dataclasses.dataclass(frozen=True, kw_only=True)
class AdaptedWeights:
    """The weights of a base with an adapter.

    Attributes:
        adapter: adapter.
        path: of its folder, for messages.
        base_numbers, base_arrays: numbers of the base's parameters, at most, and of its arrays.
        assign_base: assigns the base's weights to a model of a config.
    """

    adapter: Adapter
    path: object
    base_numbers: int
    base_arrays: int
    assign_base: Callable[[keras.Model, TransformerConfig], None]

    @property
    def size(self) -> tuple[int, int]:
        """Numbers of parameters and of arrays, at most."""
        own = [value.size for value in self.adapter.weights.values()]
        return self.base_numbers + sum(own), self.base_arrays + len(own)

    def assign(self, model: keras.Model, config: TransformerConfig) -> None:
        """Assigns the base's weights to a model, and merges the adapter into them."""
        self.assign_base(model, config)
        self.adapter.merge_into(model, self.path)


def _unexpected(path: object, wanted: str, got: object) -> InputError:
    return InputError(f"Expected {ADAPTER_CONFIG} of {path} to have {wanted}, got {got!r}.")
