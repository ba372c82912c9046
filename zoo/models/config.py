"""The shape of a Transformer, as a value."""

import dataclasses
from collections.abc import Mapping
from typing import Any, Self

from keras_transformer.zoo.errors import InputError

ARCHITECTURES = ("encoder", "decoder", "encoder-decoder")
ADDED_POSITIONS = ("learned", "sinusoidal")
POSITIONS = (*ADDED_POSITIONS, "rotary", "t5", "alibi")
CHOICES = {
    "architecture": ARCHITECTURES,
    "positions": POSITIONS,
    "activation": ("relu", "gelu", "gelu_tanh", "silu"),
    "norm": ("layer_norm", "rms_norm"),
    "pooling": ("first", "mean", "max"),
}

# Integers that are 0 where there is none, or where another one decides.
OPTIONAL = (
    "vocab_size", "num_key_value_heads", "num_segments", "source_vocab_size", "head_dim", "rank"
)  # fmt: skip


@dataclasses.dataclass(frozen=True, kw_only=True)
class TransformerConfig:
    """Integers and names from which `models.build` makes a model.

    Attributes:
        architecture: `encoder`, `decoder` or `encoder-decoder`.
        vocab_size: V; of an encoder-decoder the target's; 0 where no text is read.
        source_vocab_size: entries of a source vocabulary of its own; 0 for a shared one
            (encoder-decoder only).
        max_length: the longest T, in tokens.
        hidden_dim: D.
        intermediate_dim: F.
        num_layers: blocks of the encoder or the decoder; of each for an encoder-decoder.
        num_heads: H.
        head_dim: K; `hidden_dim` divided by `num_heads` when 0.
        num_key_value_heads: heads of keys and values, `num_heads` when 0.
        rank: of the two factors in place of each kernel that they make smaller; 0 for none.
        dropout: rate on embeddings and sublayer outputs.
        attention_dropout: rate on attention probabilities.
        activation: of the feed-forward layer.
        gated: whether the feed-forward layer is gated.
        norm: `layer_norm` or `rms_norm`.
        epsilon: of the norm.
        pre_norm: norm before each sublayer and at the end, in place of after each sublayer.
        use_bias: whether projections have a bias.
        positions: `learned`, `sinusoidal`, `rotary`, `t5` or `alibi`.
        num_segments: texts that the segment embedding tells apart; 0 for no such embedding.
        pooling: how an encoder's outputs become one vector: the `first`, with BERT's tanh layer,
            or the `mean` or `max` of the unpadded.
        scale_embeddings: whether token embeddings are multiplied by sqrt(D).
        modality: of what is read, see `modalities.registry`.
        modality_settings: its own, such as the size of a picture.
    """

    architecture: str
    max_length: int
    hidden_dim: int
    intermediate_dim: int
    num_layers: int
    num_heads: int
    vocab_size: int = 0
    num_key_value_heads: int = 0
    source_vocab_size: int = 0
    head_dim: int = 0
    rank: int = 0
    dropout: float = 0.1
    attention_dropout: float = 0.1
    activation: str = "gelu"
    gated: bool = False
    norm: str = "layer_norm"
    epsilon: float = 1e-12
    pre_norm: bool = False
    use_bias: bool = True
    positions: str = "learned"
    num_segments: int = 0
    pooling: str = "first"
    scale_embeddings: bool = False
    modality: str = "text"
    modality_settings: Mapping[str, Any] = dataclasses.field(default_factory=dict, hash=False)

    def __post_init__(self):
        for field in dataclasses.fields(self):
            _check_value(field, getattr(self, field.name))
        self._check_modality()
        if not self.head_dim and self.hidden_dim % self.num_heads:
            raise InputError(
                "Expected num_heads to divide hidden_dim, "
                f"got hidden_dim={self.hidden_dim}, num_heads={self.num_heads}."
            )
        if self.num_key_value_heads and self.num_heads % self.num_key_value_heads:
            raise InputError(
                "Expected num_key_value_heads to divide num_heads, got "
                f"num_heads={self.num_heads}, num_key_value_heads={self.num_key_value_heads}."
            )
        if self.source_vocab_size and self.architecture != "encoder-decoder":
            raise InputError(
                "Expected source_vocab_size to be 0 for an architecture other than "
                f"encoder-decoder, got source_vocab_size={self.source_vocab_size}."
            )
        if self.positions == "rotary" and self.head_width % 2:
            raise InputError(
                f"Expected an even head width for rotary positions, got {self.head_width}."
            )

    def _check_modality(self):
        reads_text = self.modality == "text"
        if not reads_text and self.architecture != "encoder":
            raise InputError(
                f"Expected a model that is no encoder to read text, got modality={self.modality!r}."
            )
        if reads_text != (self.vocab_size > 0):
            wanted = "at least 1 for a model of text" if reads_text else "0 where no text is read"
            raise InputError(
                f"Expected vocab_size to be {wanted}, got vocab_size={self.vocab_size}."
            )

    @property
    def head_width(self) -> int:
        """K."""
        return self.head_dim or self.hidden_dim // self.num_heads

    def replace(self, **changes: Any) -> Self:
        """Returns a copy with some values changed.

        Raises:
            InputError: for an unknown name or an impossible value.
        """
        known = [field.name for field in dataclasses.fields(self)]
        for name in changes:
            if name not in known:
                raise InputError(
                    f"Expected a setting of the model among {', '.join(known)}, got {name!r}."
                )
        return dataclasses.replace(self, **changes)

    def to_json(self) -> dict[str, Any]:
        """Returns the values as an object that JSON can hold."""
        value = dataclasses.asdict(self)
        if self.modality == "text":
            # As it was when there was nothing else.
            del value["modality"], value["modality_settings"]
        return value

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Self:
        """Makes the config from what `to_json` returned.

        Raises:
            InputError: for missing or unknown names, or impossible values.
        """
        # What came later than a checkpoint has a default that means what there was before.
        later = {"source_vocab_size", "head_dim", "rank", "modality", "modality_settings"}
        known = {field.name for field in dataclasses.fields(cls)}
        if not isinstance(value, Mapping) or not known - later <= set(value) <= known:
            raise InputError(
                f"Expected a model config with exactly {', '.join(sorted(known))}, got {value!r}."
            )
        return cls(**value)


def _check_value(field: dataclasses.Field, value: Any) -> None:
    """Raises InputError for a value of another type or outside the field's bounds."""
    name = field.name
    if name in CHOICES and value not in CHOICES[name]:
        raise InputError(f"Expected {name} to be one of {', '.join(CHOICES[name])}, got {value!r}.")
    if field.type is bool and not isinstance(value, bool):
        raise InputError(f"Expected {name} to be true or false, got {name}={value!r}.")
    if field.type is int:
        least = 0 if name in OPTIONAL else 1
        if type(value) is not int or value < least:
            raise InputError(
                f"Expected {name} to be an integer of at least {least}, got {name}={value!r}."
            )
    if name == "modality_settings" and not isinstance(value, Mapping):
        raise InputError(f"Expected {name} to be values by name, got {name}={value!r}.")
    if field.type is float:
        below = 1.0
        if type(value) not in (int, float) or not 0.0 <= value < below:
            raise InputError(f"Expected {name} to be from 0 to below 1, got {name}={value!r}.")
