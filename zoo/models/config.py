"""The config of a Transformer: its architecture and sizes."""

import dataclasses
from collections.abc import Mapping
from typing import Any, Self

from keras_transformer.zoo.errors import InputError
from keras_transformer.zoo.modalities.modality import Modality
from keras_transformer.zoo.modalities.registry import MODALITIES, modality_named
from keras_transformer.zoo.models.config_checks import (
    POSITION_BIASES,
    check_together,
    check_value,
)

# Fields that a checkpoint written before them lacks; their defaults are the earlier behaviour.
_LATER = ("source_vocab_size", "head_dim", "rank", "modality", "modality_settings")
# Of these, those that are written only where they are not the default, as an earlier version reads.
_NEWEST = (
    "rope_theta", "rope_scaling", "rotary_fraction", "tied_head", "logits_bias", "qkv_bias",
    "position_bias", "pooler", "embedding_dim", "share_layers", "qk_norm", "sandwich_norms",
    "embedding_norm", "first_norm", "parallel_residual", "window", "layer_pattern",
    "local_rope_theta", "stochastic_depth", "encoder_layers",
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
        encoder_layers: number of blocks of an encoder-decoder's encoder; 0 for `num_layers`.
        num_heads: number of heads, H.
        head_dim: width of a head, K; 0 for `hidden_dim` divided by `num_heads`.
        num_key_value_heads: number of key-value heads; 0 for `num_heads`.
        rank: rank of the low-rank factors of each kernel that they make smaller; 0 for none.
        dropout: dropout rate of embeddings and sublayer outputs.
        attention_dropout: dropout rate of attention probabilities.
        stochastic_depth: rate of rows from which a sublayer of the last block is left out in
            training; those of earlier blocks less often, in proportion to their depth.
        activation: activation of the feed-forward layer, see `FeedForward`.
        gated: whether the feed-forward layer is gated.
        norm: `layer_norm` or `rms_norm`.
        epsilon: epsilon of the norm.
        pre_norm: whether norms come before each sublayer and at the end, not after each sublayer.
        use_bias: whether projections have a bias.
        qkv_bias: whether those of queries, keys and values have one; None for `use_bias`.
        qk_norm: whether each head's queries and keys of self attention have an RMS norm.
        sandwich_norms: whether each sublayer's output has a norm too (pre-norm only).
        first_norm: whether the first block's attention has a norm (pre-norm may have none).
        embedding_norm: whether embeddings have a norm; None for an encoder that is not pre-norm.
        parallel_residual: whether the feed-forward layer reads what attention reads (pre-norm
            only).
        share_layers: whether the blocks share their weights (encoder only).
        positions: `learned`, `sinusoidal`, `rotary`, `t5` or `alibi`.
        position_bias: `t5` or `alibi` bias of the scores beside other positions, or `none`.
        rope_theta: base of the wavelengths of rotary positions.
        rope_scaling: Llama 3's scaling of rotary positions: `factor`, `low_freq_factor`,
            `high_freq_factor` and `original_length`; empty for none.
        rotary_fraction: share of a head's columns that rotary positions rotate.
        window: distance below which the positions of local blocks attend to each other; 0 for any.
        layer_pattern: letters of the blocks, again from the first after the last: `L` local, `G`
            global.
        local_rope_theta: `rope_theta` of local blocks; 0 for the same, without scaling otherwise.
        num_segments: number of segments of the segment embedding; 0 for no such embedding.
        pooling: pooling of an encoder's outputs: the `first`, or the `mean`, the `max` or a learned
            weighted mean (`attention`) of those without padding.
        pooler: layer that follows the `first`: `tanh` (BERT's), `relu` or `gelu` of a projection,
            or `none`.
        scale_embeddings: whether token embeddings are multiplied by sqrt(D).
        embedding_dim: width of the embeddings before a projection to D; 0 for D (encoder only).
        tied_head: whether logits are products with the token table, not with a kernel of their own.
        logits_bias: whether the logits have a bias.
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
    qkv_bias: bool | None = None
    qk_norm: bool = False
    sandwich_norms: bool = False
    first_norm: bool = True
    embedding_norm: bool | None = None
    parallel_residual: bool = False
    share_layers: bool = False
    positions: str = "learned"
    position_bias: str = "none"
    rope_theta: float = 10_000.0
    rope_scaling: Mapping[str, float] = dataclasses.field(default_factory=dict, hash=False)
    rotary_fraction: float = 1.0
    window: int = 0
    layer_pattern: str = "L"
    local_rope_theta: float = 0.0
    num_segments: int = 0
    pooling: str = "first"
    pooler: str = "tanh"
    scale_embeddings: bool = False
    embedding_dim: int = 0
    tied_head: bool = True
    logits_bias: bool = False
    stochastic_depth: float = 0.0
    encoder_layers: int = 0
    modality: str = "text"
    modality_settings: Mapping[str, Any] = dataclasses.field(default_factory=dict, hash=False)

    def __post_init__(self):
        for field in dataclasses.fields(self):
            check_value(field, getattr(self, field.name))
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
        rotated = int(self.head_width * self.rotary_fraction)
        if self.positions == "rotary" and rotated % 2:
            raise InputError(f"Expected an even head width for rotary positions, got {rotated}.")
        check_together(self)

    def _check_modality(self):
        reads_text = self.modality == "text"
        positions = self.positions_of_rows
        if positions is not None and positions != self.max_length:
            raise InputError(
                f"Expected max_length to be the {positions} positions of an input of "
                f"{self.modality}, got max_length={self.max_length}."
            )
        architectures = MODALITIES.get(self.modality, Modality).architectures
        if self.architecture not in architectures:
            wanted = " or ".join(architectures)
            raise InputError(
                f"Expected the architecture of a model that reads {self.modality} to be {wanted}, "
                f"got architecture={self.architecture!r}."
            )
        has_text = reads_text or self.architecture != "encoder"
        if has_text != (self.vocab_size > 0):
            wanted = "at least 1 for a model of text" if has_text else "0 where no text is read"
            raise InputError(
                f"Expected vocab_size to be {wanted}, got vocab_size={self.vocab_size}."
            )

    @property
    def positions_of_rows(self) -> int | None:
        """The number of positions that every row has, None where rows differ or are written."""
        if self.modality not in MODALITIES or self.architecture != "encoder":
            return None  # what reads the rows says so
        return modality_named(self.modality).positions(self.modality_settings)

    @property
    def score_bias(self) -> str | None:
        """The bias of the scores, `t5`, `alibi` or None."""
        kinds = (self.positions, self.position_bias)
        return next((kind for kind in kinds if kind in POSITION_BIASES), None)

    @property
    def has_embedding_norm(self) -> bool:
        """Whether embeddings have a norm."""
        if self.embedding_norm is None:
            return self.architecture == "encoder" and not self.pre_norm
        return self.embedding_norm

    @property
    def encoder_depth(self) -> int:
        """Number of blocks of the encoder."""
        return self.encoder_layers or self.num_layers

    @property
    def head_width(self) -> int:
        """K."""
        return self.head_dim or self.hidden_dim // self.num_heads

    def replace(self, **changes: Any) -> Self:
        """Returns a copy with some values changed, also of the modality's settings by their names.

        `max_length` follows from such a setting where every row has as many positions.

        Raises:
            InputError: if a name is unknown or a value impossible.
        """
        known = [field.name for field in dataclasses.fields(self)]
        own = {name: value for name, value in changes.items() if name in self.modality_settings}
        changes = {name: value for name, value in changes.items() if name not in own}
        for name in changes:
            if name in ("fusion", "fusion_layers"):
                raise InputError(
                    f"Expected {name} only for a model of several kinds of rows, such as "
                    f"cct_2+bert_tiny, got {name}={changes[name]!r} for one of {self.modality}."
                )
            if name not in known:
                known += self.modality_settings
                raise InputError(
                    f"Expected a setting of the model among {', '.join(known)}, got {name!r}."
                )
        if not own:
            return dataclasses.replace(self, **changes)
        settings = {**self.modality_settings, **own}
        positions = modality_named(self.modality).positions(settings)
        if positions is not None and self.architecture == "encoder":
            changes["max_length"] = positions
        return dataclasses.replace(self, **changes, modality_settings=settings)

    def to_json(self) -> dict[str, Any]:
        """Returns the values as a JSON-serializable object."""
        value = dataclasses.asdict(self)
        if self.modality == "text":
            # The format from before other modalities existed.
            del value["modality"], value["modality_settings"]
        default = type(self).__dataclass_fields__
        for name in _NEWEST:
            if value[name] in (default[name].default, {}):
                del value[name]
        return value

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Self:
        """Creates the config from the result of `to_json`.

        Raises:
            InputError: if a name is missing or unknown, or a value impossible.
        """
        known = {field.name for field in dataclasses.fields(cls)}
        if not isinstance(value, Mapping) or not known - {*_LATER, *_NEWEST} <= set(value) <= known:
            raise InputError(
                f"Expected a model config with exactly {', '.join(sorted(known))}, got {value!r}."
            )
        return cls(**value)
