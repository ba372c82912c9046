"""The config of a Transformer: its architecture and sizes."""

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
    "pooler": ("tanh", "none"),
}

# Integers whose 0 means none, or derived from another one.
OPTIONAL = (
    "vocab_size", "num_key_value_heads", "num_segments", "source_vocab_size", "head_dim", "rank"
)  # fmt: skip


@dataclasses.dataclass(frozen=True, kw_only=True)
class TransformerConfig:
    """Architecture and sizes of a model, from which `models.build` builds it.

    Attributes:
        architecture: `encoder`, `decoder` or `encoder-decoder`.
        vocab_size: number of entries of the vocabulary, V; the target's for an encoder-decoder,
            0 without text.
        source_vocab_size: number of entries of a separate source vocabulary; 0 for a shared one
            (encoder-decoder only).
        max_length: maximum number of tokens, the longest T.
        hidden_dim: hidden width, D.
        intermediate_dim: width of the feed-forward layer, F.
        num_layers: number of blocks of the encoder or the decoder; of each for an encoder-decoder.
        num_heads: number of heads, H.
        head_dim: width of a head, K; 0 for `hidden_dim` divided by `num_heads`.
        num_key_value_heads: number of key-value heads; 0 for `num_heads`.
        rank: rank of the low-rank factors of each kernel that they make smaller; 0 for none.
        dropout: dropout rate of embeddings and sublayer outputs.
        attention_dropout: dropout rate of attention probabilities.
        activation: activation of the feed-forward layer.
        gated: whether the feed-forward layer is gated.
        norm: `layer_norm` or `rms_norm`.
        epsilon: epsilon of the norm.
        pre_norm: whether norms come before each sublayer and at the end, not after each sublayer.
        use_bias: whether projections have a bias.
        positions: `learned`, `sinusoidal`, `rotary`, `t5` or `alibi`.
        num_segments: number of segments of the segment embedding; 0 for no such embedding.
        pooling: pooling of an encoder's outputs: the `first`, or the `mean` or `max` of those
            without padding.
        pooler: layer that follows the `first`: BERT's `tanh` of a projection, or `none`.
        scale_embeddings: whether token embeddings are multiplied by sqrt(D).
        modality: modality of the inputs, see `modalities.registry`.
        modality_settings: settings of the modality, such as the size of an image.
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
    pooler: str = "tanh"
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
            InputError: if a name is unknown or a value impossible.
        """
        known = [field.name for field in dataclasses.fields(self)]
        for name in changes:
            if name not in known:
                raise InputError(
                    f"Expected a setting of the model among {', '.join(known)}, got {name!r}."
                )
        return dataclasses.replace(self, **changes)

    def to_json(self) -> dict[str, Any]:
        """Returns the values as a JSON-serializable object."""
        value = dataclasses.asdict(self)
        if self.modality == "text":
            # The format from before other modalities existed.
            del value["modality"], value["modality_settings"]
        return value

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Self:
        """Creates the config from the result of `to_json`.

        Raises:
            InputError: if a name is missing or unknown, or a value impossible.
        """
        # Fields added after a checkpoint was written default to the earlier behaviour.
        later = {"source_vocab_size", "head_dim", "rank", "pooler", "modality", "modality_settings"}
        known = {field.name for field in dataclasses.fields(cls)}
        if not isinstance(value, Mapping) or not known - later <= set(value) <= known:
            raise InputError(
                f"Expected a model config with exactly {', '.join(sorted(known))}, got {value!r}."
            )
        return cls(**value)


def _check_value(field: dataclasses.Field, value: Any) -> None:
    """Raises InputError if a value has another type or is outside the field's bounds."""
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
        if value >= 2**63:
            raise InputError(f"Expected {name} to be below 2**63, got {name}={value}.")
    if name == "modality_settings" and not isinstance(value, Mapping):
        raise InputError(f"Expected {name} to be values by name, got {name}={value!r}.")
    if field.type is float:
        below = 1.0
        if type(value) not in (int, float) or not 0.0 <= value < below:
            raise InputError(f"Expected {name} to be from 0 to below 1, got {name}={value!r}.")
