"""What a run on rows of several kinds begins with: trained encoders of some kinds."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any, Self

import keras
from keras import ops

from keras_transformer.zoo.errors import InputError
from keras_transformer.zoo.layer_names import prefix_of_kind
from keras_transformer.zoo.modalities.modality import Modality
from keras_transformer.zoo.modalities.registry import modality_named
from keras_transformer.zoo.modalities.several import PLUS
from keras_transformer.zoo.models.build import build
from keras_transformer.zoo.models.catalog import get_config, joined
from keras_transformer.zoo.models.heads import POOLER
from keras_transformer.zoo.models.several_config import SeveralConfig
from keras_transformer.zoo.ways import JOINT


@dataclasses.dataclass(frozen=True, eq=False)
class SeveralStart:
    """Trained encoders of some kinds and new ones of others, see `starts.Start`.

    Attributes:
        name: names of the models with `+` between them.
        config: config of the whole, before a run's settings.
        parts: the trained ones by kind, each a `starts.Start`.
    """

    name: str
    config: SeveralConfig
    parts: Mapping[str, Any]

    @classmethod
    def of(cls, parts: Sequence[tuple[str, Any]]) -> Self:
        """Joins what runs begin with.

        Args:
            parts: pairs of a model's name and what a run begins with of it, None for a new one of
                the catalogue.

        Raises:
            InputError: if two are of one kind, or the text's is new, whose vocabulary is not known.
        """
        name = PLUS.join(one for one, _ in parts)
        config = joined([
            (one, get_config(one) if part is None else part.config) for one, part in parts
        ])
        trained = {part.config.modality: part for _, part in parts if part is not None}
        if "text" in config.members and "text" not in trained:
            raise InputError(
                f"Expected a trained model of text beside others in {name}, got a new one; name a "
                "published one, or train all of them from nothing."
            )
        return cls(name, config, trained)

    @property
    def max_length(self) -> int:
        """Number of tokens that the weights are made for at most."""
        if "text" in self.parts:
            return self.parts["text"].max_length
        return self.config.max_length

    @property
    def parameters(self) -> int:
        """Number of the trained parameters, without a head."""
        return sum(one.parameters for one in self.parts.values())

    @property
    def from_nothing(self) -> bool:
        """Whether runs of ours learned all of them from nothing."""
        return all(one.from_nothing for one in self.parts.values())

    def modality(self, max_length: int, config: SeveralConfig | None = None) -> Modality:
        """Returns the modality that encodes the rows of a run, with its settings in a config."""
        config = config or self.config
        members = {}
        for kind, one in config.members.items():
            if one.positions_of_rows is None:
                members[kind] = self.parts[kind].modality(max_length)
            else:
                members[kind] = modality_named(kind).from_files(
                    {}, max_length=one.max_length, settings=one.modality_settings
                )
        return modality_named(config.modality)(
            max_length=max_length, settings=config.modality_settings, members=members
        )

    def assign(self, config: SeveralConfig, model: keras.Model, task: Any) -> None:
        """Assigns the weights to a model with changed settings; what is not of them stays new.

        Raises:
            InputError: if a weight has another shape, or all are read as one sequence.
        """
        if config.fusion == JOINT:
            raise InputError(
                f"Expected fusion to be late or cross where a run begins with {self.name}, whose "
                f"blocks have read one kind alone, got fusion={config.fusion!r}."
            )
        variables = {one.path: one for one in model.weights}
        for kind, part in self.parts.items():
            alone = build(config.members[kind])
            part.assign(config.members[kind], alone, task)
            for weight in alone.weights:
                path = f"{prefix_of_kind(kind)}{weight.path}"
                # Behind further blocks the whole has a pooler of its own.
                if path in variables or not weight.path.startswith(POOLER):
                    variables[path].assign(ops.convert_to_tensor(weight))

    def pruned(self, task: Any, kept: Any, more: Mapping[str, Any]) -> Self:
        """Raises InputError: the vocabulary is that of one kind."""
        raise InputError(
            f"Expected no prune_vocabulary for a model of several kinds, got one with {self.name}."
        )

    def base(self) -> dict[str, Any]:
        """Raises InputError: an adapter has one base."""
        raise InputError(
            f"Expected a model of one kind where adapter=True, got {self.name}; train without "
            "--adapter, and all weights are written."
        )


def origin_of(origins: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """Returns the origin of the trained models by kind as one, as that of `Pretrained`.

    Args:
        origins: their origins, with a `source`, `revision`, `licence` and `sha256` each.
    """
    def told(name: str) -> str:
        return "; ".join(str(one[name]) for one in origins.values() if one.get(name))

    nothing = all(one.get("from_nothing") for one in origins.values())
    return {
        "source": told("source"), "revision": told("revision"), "licence": told("licence"),
        **({"from_nothing": True} if nothing else {}),
        "sha256": {
            f"{kind}/{file}": digest
            for kind, one in origins.items() for file, digest in one["sha256"].items()
        },
    }  # fmt: skip
