"""The config of a model that reads several kinds of rows at once, such as an image and a text."""

import dataclasses
from collections.abc import Iterator, Mapping
from typing import Any, Self

from keras_transformer.zoo.errors import InputError
from keras_transformer.zoo.modalities.registry import modality_named
from keras_transformer.zoo.modalities.several import PLUS
from keras_transformer.zoo.models.config import TransformerConfig
from keras_transformer.zoo.models.config_checks import ADDED_POSITIONS
from keras_transformer.zoo.models.heads import Head, Heads
from keras_transformer.zoo.ways import CROSS, FUSIONS, JOINT, LATE

# That of a task with an output for each kind.
SEPARATE = "separate"
# The kind that attends to the others.
_READER = "text"
_OWN = ("fusion", "fusion_layers")
_FUSION_LAYERS = 2


@dataclasses.dataclass(frozen=True, kw_only=True)
class SeveralConfig:
    """The config of an encoder of several kinds: one of each kind, and how they become one.

    - `late`: each encoder's vector is pooled, and one layer of the joined vectors makes the vector
      of the whole (Baltrusaitis et al. 2019, arXiv:1705.09406, section 3.1).
    - `joint`: the embedded rows, each kind with a vector of its own added, are one sequence for one
      stack, that of the text (ViLT; Kim et al. 2021, arXiv:2102.03334, section 3.1).
    - `cross`: behind its own stack the text attends to the outputs of the others in further
      blocks (ALBEF; Li et al. 2021, arXiv:2107.07651, section 3.1).
    - `separate`: they do not become one: each encoder has a head of its own (CLIP; Radford et al.
      2021, arXiv:2103.00020, section 2.3).

    Attributes:
        members: config of each kind's encoder by its name, in the order of the names.
        fusion: `late`, `joint`, `cross` or `separate`.
        fusion_layers: number of blocks in which the text attends to the others (`cross`).
    """

    members: Mapping[str, TransformerConfig]
    fusion: str = LATE
    fusion_layers: int = _FUSION_LAYERS

    def __post_init__(self):
        if self.fusion not in (*FUSIONS, SEPARATE):
            raise InputError(
                f"Expected fusion to be one of {', '.join(FUSIONS)}, got fusion={self.fusion!r}."
            )
        if type(self.fusion_layers) is not int or not 1 <= self.fusion_layers <= 100:
            raise InputError(
                "Expected fusion_layers to be an integer from 1 to 100, got "
                f"fusion_layers={self.fusion_layers!r}."
            )
        if self.fusion != CROSS and self.fusion_layers != _FUSION_LAYERS:
            raise InputError(
                f"Expected fusion_layers only where fusion is {CROSS}, got "
                f"fusion_layers={self.fusion_layers} where fusion is {self.fusion}."
            )
        modality_named(self.modality)
        for name, one in self.members.items():
            if one.modality != name or one.architecture != "encoder":
                raise InputError(
                    f"Expected an encoder of {name} as the member {name}, got "
                    f"{one.architecture} of {one.modality}."
                )
        object.__setattr__(self, "members", dict(self.members))
        if self.fusion == CROSS and _READER not in self.members:
            raise InputError(
                f"Expected fusion to be {LATE} or {JOINT} where no text attends to the others, got "
                f"fusion={self.fusion!r}."
            )
        if self.fusion == JOINT:
            widths = {name: one.hidden_dim for name, one in self.members.items()}
            if len(set(widths.values())) > 1:
                raise InputError(
                    f"Expected members of one hidden_dim where fusion is {JOINT}, got "
                    f"{', '.join(f'{width} of {name}' for name, width in widths.items())}; change "
                    "it with a setting such as hidden_dim=128."
                )
        for name, one in self.members.items() if self.fusion == JOINT else ():
            if one.positions not in ADDED_POSITIONS or one.embedding_dim:
                raise InputError(
                    f"Expected members with positions {' or '.join(ADDED_POSITIONS)} and no "
                    f"embedding_dim where fusion is {JOINT}, got positions={one.positions!r}, "
                    f"embedding_dim={one.embedding_dim} of {name}."
                )

    def __hash__(self) -> int:
        return hash((*self.members.items(), self.fusion, self.fusion_layers))

    @property
    def reader(self) -> str:
        """Name of the kind whose stack is that of `joint`, and which attends in `cross`."""
        return _READER if _READER in self.members else next(iter(self.members))

    def heads_of(self, head: Any) -> Mapping[str, Head]:
        """Returns the head of each encoder, where they are separate.

        Raises:
            InputError: if it is no head for each of them.
        """
        heads = head.heads if isinstance(head, Heads) else {}
        if list(heads) != list(self.members):
            raise InputError(
                f"Expected a head for each of {', '.join(self.members)} where fusion is "
                f"{self.fusion}, got {', '.join(heads) or 'none of that kind'}."
            )
        return heads

    @property
    def architecture(self) -> str:
        """Architecture of the members."""
        return "encoder"

    @property
    def modality(self) -> str:
        """Modality of the inputs, such as `image+text`."""
        return PLUS.join(self.members)

    @property
    def modality_settings(self) -> dict[str, Any]:
        """Settings of each kind by its name."""
        return {name: dict(one.modality_settings) for name, one in self.members.items()}

    @property
    def vocab_size(self) -> int:
        """Number of entries of the text's vocabulary; 0 without text."""
        return max(one.vocab_size for one in self.members.values())

    @property
    def source_vocab_size(self) -> int:
        """0: an encoder has no second vocabulary."""
        return 0

    @property
    def rank(self) -> int:
        """Largest rank of low-rank factors of any member; 0 for none."""
        return max(one.rank for one in self.members.values())

    @property
    def num_segments(self) -> int:
        """Number of segments of the text; 0 without text."""
        return max(one.num_segments for one in self.members.values())

    @property
    def max_length(self) -> int:
        """Number of tokens of the text, or of positions of the longest member."""
        if _READER in self.members:
            return self.members[_READER].max_length
        return max(one.max_length for one in self.members.values())

    @property
    def positions_of_rows(self) -> int | None:
        """The number of positions that every row has, None where rows differ."""
        return modality_named(self.modality).positions(self.modality_settings)

    @property
    def num_layers(self) -> int:
        """Number of blocks of all stacks."""
        if self.fusion == JOINT:
            return self.members[self.reader].num_layers
        own = sum(one.num_layers for one in self.members.values())
        return own + (self.fusion_layers if self.fusion == CROSS else 0)

    @property
    def hidden_dim(self) -> int:
        """Width of the vector of the whole."""
        if self.fusion == LATE:
            return max(one.hidden_dim for one in self.members.values())
        return self.members[self.reader].hidden_dim

    @property
    def positions(self) -> str:
        """Kind of the positions of the text, or of the first member."""
        return self.members[self.reader].positions

    @property
    def share_layers(self) -> bool:
        """Whether the blocks of any member share their weights."""
        return any(one.share_layers for one in self.members.values())

    @property
    def pre_norm(self) -> bool:
        """Whether the norms of any member come before each sublayer."""
        return any(one.pre_norm for one in self.members.values())

    def replace(self, **changes: Any) -> Self:
        """Returns a copy with some values changed.

        A name such as `image.height` is a setting of one member; another than `fusion` and
        `fusion_layers` is one of all members, or of those with such a setting of their modality.

        Raises:
            InputError: if a name is unknown or a value impossible.
        """
        own = {name: value for name, value in changes.items() if name in _OWN}
        given: dict[str, dict[str, Any]] = {name: {} for name in self.members}
        # First those of all, which those of one change.
        for name in sorted(changes.keys() - set(_OWN), key=lambda name: "." in name):
            for member, setting in self._owners(name):
                given[member][setting] = changes[name]
        members = {name: one.replace(**given[name]) for name, one in self.members.items()}
        return dataclasses.replace(self, members=members, **own)

    def _owners(self, name: str) -> Iterator[tuple[str, str]]:
        """The members that a setting is of, and its name there."""
        member, dot, setting = name.partition(".")
        if dot and member in self.members:
            yield member, setting
            return
        fields = {field.name for field in dataclasses.fields(TransformerConfig)}
        if name in ("vocab_size", "source_vocab_size", "max_length"):
            yield self.reader, name
            return
        having = [
            one for one, config in self.members.items()
            if name in fields or name in config.modality_settings
        ]
        if dot or not having:
            raise InputError(
                f"Expected a setting of the model among {', '.join(_OWN)}, or one of its members "
                f"such as {self.reader}.num_layers, got {name!r}."
            )
        yield from ((one, name) for one in having)

    def to_json(self) -> dict[str, Any]:
        """Returns the values as a JSON-serializable object, with those that files name first."""
        return {
            "architecture": self.architecture, "vocab_size": self.vocab_size,
            "num_layers": self.num_layers, "hidden_dim": self.hidden_dim,
            "modality_settings": self.modality_settings, "fusion": self.fusion,
            "fusion_layers": self.fusion_layers,
            "members": {name: one.to_json() for name, one in self.members.items()},
        }  # fmt: skip

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Self:
        """Creates the config from the result of `to_json`.

        Raises:
            InputError: if a name is missing or unknown, or a value impossible.
        """
        members = value.get("members")
        if not isinstance(members, Mapping) or not members:
            raise InputError(f"Expected members of a model of several kinds, got {value!r}.")
        made = cls(
            members={name: TransformerConfig.from_json(one) for name, one in members.items()},
            fusion=value.get("fusion"), fusion_layers=value.get("fusion_layers"),
        )  # fmt: skip
        if made.to_json() != value:
            raise InputError(f"Expected the config of a model of several kinds, got {value!r}.")
        return made
