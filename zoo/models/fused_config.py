"""The config of several models that answer as one.

`models.build` makes one flat Keras model of it: the members' layers, whose names begin with
`member_0_`, `member_1_` and so on, read the same inputs, and `last_layers.Fused` makes one output
of theirs, of each head where they have several. Quantization points, export, parity, checkpoints
and files therefore see a model like any other, with a stack of blocks for each member.
"""

import dataclasses
from collections.abc import Mapping
from typing import Any, ClassVar, Self

from keras_transformer.zoo.errors import InputError
from keras_transformer.zoo.models.config import TransformerConfig
from keras_transformer.zoo.models.heads import Head, Heads
from keras_transformer.zoo.models.several_config import JOINT, SeveralConfig
from keras_transformer.zoo.outputs import check_temperature

# Name of the model in the recipe of several that answer as one, by which none can be trained, and
# of the layer that makes one output of theirs.
FUSED = "fused"


@dataclasses.dataclass(frozen=True, kw_only=True)
class Combination:
    """What becomes of the members' outputs.

    Attributes:
        combine: mean `probabilities` of classes or tokens, `votes`, mean `numbers`, mean `logits`
            of answers, mean `vectors` or mean `label_probabilities`, see `last_layers.Fused`.
        weights: weights of the members, with a sum of 1; the outputs of one whose weight is 0 are
            not read.
        temperatures: divisors of the members' logits whose softmax is their probabilities; empty
            for 1.
    """

    combine: str
    weights: tuple[float, ...]
    temperatures: tuple[float, ...] = ()

    COMBINATIONS: ClassVar[tuple[str, ...]] = (
        "probabilities", "votes", "numbers", "logits", "vectors", "label_probabilities"
    )  # fmt: skip
    # Those of probabilities of classes.
    TEMPERED: ClassVar[tuple[str, ...]] = ("probabilities", "votes")

    def __post_init__(self):
        if self.combine not in self.COMBINATIONS:
            raise InputError(
                f"Expected combine to be one of {', '.join(self.COMBINATIONS)}, got "
                f"{self.combine!r}."
            )
        are_numbers = all(type(one) is float and 0 <= one <= 1 for one in self.weights)
        if not are_numbers or abs(sum(self.weights) - 1.0) > 1e-6:
            raise InputError(
                "Expected weights that are not negative with a sum of 1, got "
                f"weights={list(self.weights)}."
            )
        if self.temperatures:
            if self.combine not in self.TEMPERED or len(self.temperatures) != len(self.weights):
                raise InputError(
                    f"Expected a temperature of each member for {' or '.join(self.TEMPERED)}, got "
                    f"combine={self.combine!r} and temperatures={list(self.temperatures)}."
                )
            for one in self.temperatures:
                check_temperature(one)

    def to_json(self) -> dict[str, Any]:
        """Returns the values as a JSON-serializable object, temperatures only if there are any."""
        own = {"temperatures": list(self.temperatures)} if self.temperatures else {}
        return {"combine": self.combine, "weights": list(self.weights), **own}

    @classmethod
    def from_json(cls, value: Any) -> Self:
        """Creates the values of an object that has them, whatever else it has.

        Raises:
            InputError: if a value is missing or impossible.
        """
        given = value if isinstance(value, Mapping) else {}
        weights, temperatures = given.get("weights"), given.get("temperatures", [])
        if not isinstance(weights, list) or not isinstance(temperatures, list):
            raise InputError(f"Expected weights of the members of a fused model, got {value!r}.")
        return cls(
            combine=given.get("combine"), weights=tuple(weights), temperatures=tuple(temperatures)
        )


@dataclasses.dataclass(frozen=True, kw_only=True)
class FusedConfig:
    """The config of several models that answer as one; `models.build` makes one model of them.

    It has the values of a `TransformerConfig` that say something of all members.

    Attributes:
        members: configs of the members, which read the same inputs.
        outputs: what becomes of their outputs, or of those of each head by its name.
    """

    members: tuple[TransformerConfig, ...]
    outputs: Combination | Mapping[str, Combination] = dataclasses.field(hash=False)

    def __post_init__(self):
        counts = {len(one.weights) for one in self.combinations}
        if len(self.members) < 2 or counts != {len(self.members)}:
            weights = [list(one.weights) for one in self.combinations]
            raise InputError(
                "Expected at least two members with a weight each, got "
                f"{len(self.members)} members and weights={weights}."
            )
        kinds = {one.combine for one in self.combinations}
        same = (
            "architecture", "vocab_size", "source_vocab_size", "modality", "modality_settings"
        )  # fmt: skip
        for name in (*same, *(("hidden_dim",) if "vectors" in kinds else ())):
            found = [getattr(one, name) for one in self.members]
            for one in found[1:]:
                if one != found[0]:
                    raise InputError(
                        f"Expected members of one {name}, got {found[0]!r} and {one!r}."
                    )
        if self.architecture != "encoder" and kinds != {"probabilities"}:
            raise InputError(
                f"Expected combine to be probabilities for members of architecture="
                f"{self.architecture!r}, got {', '.join(sorted(kinds))}."
            )

    @property
    def combinations(self) -> tuple[Combination, ...]:
        """What becomes of the outputs of each head; one without heads."""
        several = isinstance(self.outputs, Mapping)
        return tuple(self.outputs.values()) if several else (self.outputs,)

    def of_head(self, name: str) -> Self:
        """Returns the config of one head alone."""
        return dataclasses.replace(self, outputs=self.outputs[name])

    @property
    def architecture(self) -> str:
        """Architecture of the members."""
        return self.members[0].architecture

    @property
    def source_vocab_size(self) -> int:
        """Number of entries of the members' source vocabulary; 0 for a shared one."""
        return self.members[0].source_vocab_size

    @property
    def vocab_size(self) -> int:
        """Number of entries of the members' vocabulary, V."""
        return self.members[0].vocab_size

    @property
    def modality(self) -> str:
        """Modality of the inputs."""
        return self.members[0].modality

    @property
    def modality_settings(self) -> Mapping[str, Any]:
        """Settings of the modality."""
        return self.members[0].modality_settings

    @property
    def max_length(self) -> int:
        """Number of tokens that every member reads."""
        return min(one.max_length for one in self.members)

    @property
    def num_layers(self) -> int:
        """Number of blocks of all members."""
        return sum(one.num_layers for one in self.members)

    @property
    def positions(self) -> str:
        """`learned` if any member learns its positions, else the first member's."""
        found = [one.positions for one in self.members]
        return "learned" if "learned" in found else found[0]

    @property
    def share_layers(self) -> bool:
        """Whether the blocks of any member share their weights."""
        return any(one.share_layers for one in self.members)

    @property
    def pre_norm(self) -> bool:
        """Whether the norms of any member come before each sublayer."""
        return any(one.pre_norm for one in self.members)

    @property
    def hidden_dim(self) -> int:
        """Hidden width of the widest member."""
        return max(one.hidden_dim for one in self.members)

    def replace(self, **changes: Any) -> Self:
        """Returns a copy with values changed in every member, see `TransformerConfig.replace`."""
        members = tuple(one.replace(**changes) for one in self.members)
        return dataclasses.replace(self, members=members)

    def to_json(self) -> dict[str, Any]:
        """Returns the values as a JSON-serializable object, with those that files name first."""
        is_vector = any(one.combine == "vectors" for one in self.combinations)
        width = {"hidden_dim": self.hidden_dim} if is_vector else {}
        if isinstance(self.outputs, Mapping):
            outputs = {"heads": {name: one.to_json() for name, one in self.outputs.items()}}
        else:
            outputs = self.outputs.to_json()
        return {
            "architecture": self.architecture, "vocab_size": self.vocab_size,
            "source_vocab_size": self.source_vocab_size, "num_layers": self.num_layers,
            **width, "modality_settings": dict(self.modality_settings), **outputs,
            "members": [one.to_json() for one in self.members],
        }  # fmt: skip

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Self:
        """Creates the config from the result of `to_json`.

        Raises:
            InputError: if a name is missing or unknown, or a value impossible.
        """
        members, heads = value.get("members"), value.get("heads")
        if not isinstance(members, list) or not isinstance(heads, dict | None):
            raise InputError(f"Expected members of a fused model, got {value!r}.")
        made = cls(
            members=tuple(map(TransformerConfig.from_json, members)),
            outputs=Combination.from_json(value) if heads is None
            else {name: Combination.from_json(one) for name, one in heads.items()},
        )  # fmt: skip
        if made.to_json() != value:
            raise InputError(f"Expected the config of a fused model, got {value!r}.")
        return made


# The config of a model.
Config = TransformerConfig | FusedConfig | SeveralConfig


def config_from_json(value: Mapping[str, Any]) -> Config:
    """Creates the config of one model or of several from the result of `to_json`.

    Raises:
        InputError: if a name is missing or unknown, or a value impossible.
    """
    if isinstance(value, Mapping) and "fusion" in value:
        return SeveralConfig.from_json(value)
    is_fused = isinstance(value, Mapping) and "members" in value
    return (FusedConfig if is_fused else TransformerConfig).from_json(value)


def config_of_head(config: Config, name: str) -> Config:
    """Returns the config of one of the heads of a model of several."""
    return config.of_head(name) if isinstance(config, FusedConfig) else config


def members_of(config: Config) -> tuple[TransformerConfig, ...]:
    """Returns the configs of the models that a config is of, or of the encoders of its kinds."""
    if isinstance(config, SeveralConfig):
        return tuple(config.members.values())
    return config.members if isinstance(config, FusedConfig) else (config,)


def stacks_of(config: Config) -> tuple[TransformerConfig, ...]:
    """Returns the configs whose blocks a model has; of one sequence of kinds, the reader's."""
    if isinstance(config, SeveralConfig) and config.fusion == JOINT:
        return (config.members[config.reader],)
    return members_of(config)


def check_single(config: Config, what: str) -> None:
    """Raises InputError if a config is of several models; `what` says what one is needed for."""
    if isinstance(config, SeveralConfig):
        raise InputError(
            f"Expected a model that reads rows of one kind {what}, got one of {config.modality}."
        )
    if isinstance(config, FusedConfig):
        raise InputError(
            f"Expected one model {what}, got {len(config.members)} that answer as one; use a "
            "member, or one that keras-transformer distill makes of them."
        )


def check_heads(config: FusedConfig, head: Head | Heads | None) -> None:
    """Raises InputError if a head's outputs, or those of several, are not combined as they are."""
    several = isinstance(config.outputs, Mapping)
    combined = config.outputs if several else {"": config.outputs}
    heads = head.heads if isinstance(head, Heads) else {"": head}
    if set(heads) != set(combined):
        raise InputError(
            f"Expected the heads {', '.join(combined) or 'of a model'} of several models that "
            f"answer as one, got {', '.join(heads)}."
        )
    for name, one in heads.items():
        kind, combine = None if one is None else one.kind, combined[name].combine
        if kind is None or (kind == "vector") != (combine == "vectors"):
            raise InputError(
                f"Expected a head whose outputs are combined as {combine} on several models "
                f"that answer as one, got kind={kind!r}."
            )
