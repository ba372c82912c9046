"""What a run begins with: a published model, or a checkpoint of ours, with new outputs."""

import dataclasses
import functools
import hashlib
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar, Protocol, Self

import keras
import numpy as np

from keras_transformer.zoo.checkpoint import Checkpoint
from keras_transformer.zoo.checkpoint_config import METRICS, PROBES, RECIPE
from keras_transformer.zoo.errors import InputError
from keras_transformer.zoo.modalities.modality import Modality
from keras_transformer.zoo.modalities.several import PLUS, Several
from keras_transformer.zoo.models.build import get_weights
from keras_transformer.zoo.models.catalog import names_in
from keras_transformer.zoo.models.config import TransformerConfig
from keras_transformer.zoo.models.embedded.resized import resized_positions
from keras_transformer.zoo.models.fused_config import check_single
from keras_transformer.zoo.models.heads import POOLER, TIED_BIAS, is_of_head
from keras_transformer.zoo.models.several_config import SeveralConfig
from keras_transformer.zoo.pretrained.checkpoints import (
    as_checkpoint,
    assign,
    base_of_adapter,
    check_files,
    modality_of,
    opened,
    pruned,
)
from keras_transformer.zoo.pretrained.load import Pretrained
from keras_transformer.zoo.pretrained.source import is_checkpoint, is_published
from keras_transformer.zoo.prune_vocabulary import KeptTexts
from keras_transformer.zoo.recipe import Recipe
from keras_transformer.zoo.storage.files import read_folder
from keras_transformer.zoo.tasks.task import Task
from keras_transformer.zoo.training.several.several_start import SeveralStart, origin_of

# Files of a checkpoint that say nothing of what a run begins with.
_UNREAD = (METRICS, PROBES, RECIPE)
_POSITIONS = "position_embedding/embeddings"


class Start(Protocol):
    """Trained weights, with the tokenizer and the config that belong to them.

    Attributes:
        config: architecture and sizes.
        max_length: number of tokens that the weights are made for at most.
        parameters: number of parameters, without a head.
        from_nothing: whether runs of ours learned them from nothing, not from published ones.
    """

    config: TransformerConfig
    max_length: int
    parameters: int
    from_nothing: bool

    def modality(self, max_length: int, config: Any = None) -> Modality:
        """Returns the modality that encodes the rows of a run, whose config may matter."""

    def assign(self, config: TransformerConfig, model: keras.Model, task: Task) -> None:
        """Assigns the weights to a model with changed settings; a head that differs stays new."""

    def pruned(self, task: Task, kept: KeptTexts, more: Mapping[str, Any]) -> Self:
        """Returns it with the part of its vocabulary that texts need, see `checkpoints.pruned`."""

    def base(self) -> dict[str, Any]:
        """Returns the origin of the weights for adapters."""


@dataclasses.dataclass(frozen=True, eq=False)
class PublishedStart:
    """A published model, see `Start`."""

    pretrained: Pretrained
    from_nothing: ClassVar[bool] = False

    @property
    def config(self) -> TransformerConfig:
        """Architecture and sizes."""
        return self.pretrained.config

    @property
    def max_length(self) -> int:
        """Number of tokens that its files recommend at most."""
        return self.pretrained.max_length

    @property
    def parameters(self) -> int:
        """Number of parameters, without a head."""
        return self.pretrained.parameters

    def modality(self, max_length: int, config: Any = None) -> Modality:
        return modality_of(self.pretrained, max_length)

    def assign(self, config: TransformerConfig, model: keras.Model, task: Task) -> None:
        assign(self.pretrained, config, model)

    def pruned(self, task: Task, kept: KeptTexts, more: Mapping[str, Any]) -> Self:
        return type(self)(pruned(self.pretrained, task, kept, more))

    def base(self) -> dict[str, Any]:
        return base_of_adapter(self.pretrained)


@dataclasses.dataclass(frozen=True, eq=False)
class OwnStart:
    """A float checkpoint of ours, see `Start`.

    Attributes:
        path: absolute path of its folder.
        checkpoint: the checkpoint.
        sha256: SHA-256 of each file that matters.
    """

    path: str
    checkpoint: Checkpoint
    sha256: Mapping[str, str]

    @classmethod
    def of(cls, path: str | os.PathLike) -> Self:
        """Opens a checkpoint folder.

        Raises:
            InputError: if it is damaged, quantized, pruned to zeros, or of several models.
        """
        path = os.path.abspath(path)
        checkpoint = as_checkpoint(path)
        if not isinstance(checkpoint.config, SeveralConfig):
            check_single(checkpoint.config, "whose weights a run begins with")
        if checkpoint.is_quantized:
            raise InputError(
                f"Expected a float checkpoint to begin with, got {path} in {checkpoint.precision}; "
                "name the one that it was quantized from."
            )
        prune = checkpoint.recipe.prune
        if prune is not None and (prune.sparsity or prune.clusters):
            raise InputError(
                f"Expected a dense checkpoint to begin with, got {path}, whose zeros a run would "
                "fill; name the one that it was pruned from."
            )
        files = {name: data for name, data in read_folder(path).items() if name not in _UNREAD}
        digests = {name: hashlib.sha256(data).hexdigest() for name, data in sorted(files.items())}
        return cls(path, checkpoint, digests)

    @functools.cached_property
    def config(self) -> TransformerConfig | SeveralConfig:
        """Its config, with the learned positions that its training reached, and no new pooler."""
        config = self.checkpoint.config
        if isinstance(config, SeveralConfig):
            return config
        if config.positions == "learned":
            config = config.replace(max_length=self.checkpoint.longest)
        if config.architecture == "encoder" and config.pooling == "first" and not self._has_pooler:
            config = config.replace(pooling="mean")
        return config

    @property
    def max_length(self) -> int:
        """Number of tokens of a row in its training."""
        return min(self.checkpoint.max_length, self.checkpoint.longest)

    @property
    def parameters(self) -> int:
        """Number of parameters, without a head."""
        return sum(
            int(np.prod(value.shape)) for path, value in self._weights.items()
            if not (is_of_head(path) or path == TIED_BIAS)
        )  # fmt: skip

    @property
    def from_nothing(self) -> bool:
        """Whether its run, and each that this began with, had no published weights."""
        origin = self.checkpoint.recipe.model.published
        return not origin or origin.get("from_nothing", False)

    @property
    def provenance(self) -> dict[str, Any]:
        """Where it came from, as that of `Pretrained`, and whether it is `from_nothing`."""
        licence = self.checkpoint.recipe.model.published.get("licence", "")
        return {
            "source": self.path, "revision": "", "licence": licence,
            "from_nothing": self.from_nothing, "sha256": dict(self.sha256),
        }  # fmt: skip

    def modality(self, max_length: int, config: Any = None) -> Modality:
        own = self.checkpoint.modality
        if isinstance(own, Several) and config is not None:
            members = {
                kind: dataclasses.replace(
                    one, settings=config.members[kind].modality_settings,
                    max_length=config.members[kind].positions_of_rows or max_length,
                )
                for kind, one in own.members.items()
            }  # fmt: skip
            own = dataclasses.replace(own, members=members)
        return dataclasses.replace(own, max_length=max_length)

    def assign(self, config: TransformerConfig, model: keras.Model, task: Task) -> None:
        ours, weights = self.checkpoint.task, self._weights
        same = (ours.name, ours.labels, ours.head()) == (task.name, task.labels, task.head())
        writes = config.architecture != "encoder"

        def is_output(path):
            return not writes and (is_of_head(path) or path == TIED_BIAS)

        for variable in model.weights:
            is_new = is_output(variable.path) and not same
            if is_new or (variable.path.startswith(POOLER) and not self._has_pooler):
                continue
            value = weights.get(variable.path)
            if value is not None and variable.path.endswith(_POSITIONS):
                value = value[: config.max_length]
            if value is not None:
                value = resized_positions(variable.path, value, self.checkpoint.config, config)
            if value is None or value.shape != tuple(variable.shape):
                found = "none" if value is None else f"shape {value.shape}"
                raise InputError(
                    f"Expected a weight {variable.path} of shape {tuple(variable.shape)} in "
                    f"{self.path}, as the settings of the run say, got {found}."
                )
            variable.assign(value)
        wanted = {variable.path for variable in model.weights}
        unused = [
            path for path in sorted(set(weights) - wanted)
            if not (is_output(path) or path.startswith(POOLER))
        ]  # fmt: skip
        if unused:
            raise InputError(
                f"Expected a model with all blocks of {self.path}, got one without {unused[0]}; "
                "leave out the setting that changes it."
            )

    def pruned(self, task: Task, kept: KeptTexts, more: Mapping[str, Any]) -> Self:
        raise InputError(
            f"Expected no prune_vocabulary where a run begins with a checkpoint, got one with "
            f"{self.path}; convert --prune-vocabulary prunes the new one."
        )

    def base(self) -> dict[str, Any]:
        raise InputError(
            f"Expected a published model where adapter=True, got the checkpoint {self.path}; "
            "train without --adapter, and all weights are written."
        )

    @property
    def _has_pooler(self) -> bool:
        """Whether its training has reached a pooler."""
        return any(path.startswith(POOLER) for path in self._weights)

    @functools.cached_property
    def _weights(self) -> dict[str, np.ndarray]:
        return get_weights(self.checkpoint.model)


def is_start(name: str | os.PathLike) -> bool:
    """Whether a name is that of trained weights, or of several models with trained ones among."""
    return any(
        is_published(one, or_checkpoint=False) or is_checkpoint(one) for one in names_of(name)
    )


def names_of(name: str | os.PathLike) -> list[str]:
    """Returns the names of the models of several kinds in a name, such as `cct_2+bert_tiny`."""
    name = os.fspath(name)
    return [name] if PLUS not in name or Path(name).exists() else names_in(name)


def _opened_several(recipe: Recipe, names: list[str]) -> tuple[Recipe, SeveralStart]:
    origin = recipe.model.published
    parts, origins = [], {}
    for name in names:
        own, part = opened_start(recipe.replace(model=name, published={}))
        parts.append((own.model.name, part))
        if part is not None:
            origins[part.config.modality] = own.model.published
    start = SeveralStart.of(parts)
    told = origin_of(origins)
    check_files(told["sha256"], origin, start.name)
    return recipe.replace(model=start.name, published=told), start


def opened_start(
    recipe: Recipe,
) -> tuple[Recipe, PublishedStart | OwnStart | SeveralStart | None]:
    """Opens what a run begins with, if its model's name is not of the catalogue.

    Returns:
        The recipe with the origin of the weights, and the weights.

    Raises:
        FileNotFoundError, InputError: see `load_pretrained` and `OwnStart.of`.
        InputError: if a file is another than when the recipe was written.
    """
    name = recipe.model.name
    origin = recipe.model.published
    if len(names := names_of(name)) > 1:
        return _opened_several(recipe, names) if is_start(name) else (recipe, None)
    if is_checkpoint(name):
        own = OwnStart.of(name)
        check_files(own.provenance["sha256"], origin, name)
        return recipe.replace(model=own.path, published=own.provenance), own
    if origin and not Path(name).exists() and os.path.isabs(name):
        raise FileNotFoundError(f"There is no checkpoint or published model {name}.")
    recipe, pretrained = opened(recipe)
    return recipe, None if pretrained is None else PublishedStart(pretrained)
