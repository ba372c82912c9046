"""The models by name, and what they cost."""

from keras_transformer.zoo.errors import InputError
from keras_transformer.zoo.models.config import TransformerConfig


def _bert(num_layers: int, hidden_dim: int) -> TransformerConfig:
    """BERT (Devlin et al. 2018) in the sizes of Turc et al. 2019, arXiv:1908.08962, table 1."""
    return TransformerConfig(
        architecture="encoder", vocab_size=30_522, max_length=512, hidden_dim=hidden_dim,
        intermediate_dim=4 * hidden_dim, num_layers=num_layers, num_heads=hidden_dim // 64,
        num_segments=2,
    )  # fmt: skip


def _gpt(num_layers: int, hidden_dim: int, num_heads: int, max_length: int) -> TransformerConfig:
    """GPT-2 (Radford et al. 2019): pre-norm, tanh GELU, tied logits."""
    return TransformerConfig(
        architecture="decoder", vocab_size=50_257, max_length=max_length, hidden_dim=hidden_dim,
        intermediate_dim=4 * hidden_dim, num_layers=num_layers, num_heads=num_heads,
        activation="gelu_tanh", pre_norm=True, epsilon=1e-5,
    )  # fmt: skip


def _llama(
    num_layers: int, hidden_dim: int, num_heads: int, num_key_value_heads: int, vocab_size: int,
    max_length: int,
) -> TransformerConfig:  # fmt: skip
    """Llama (Touvron et al. 2023, arXiv:2302.13971, section 2.2), at sizes of our own.

    RMSNorm before each sublayer, SwiGLU of 8/3 the width, rotary positions, no bias; grouped heads
    of keys and values are Llama 2's. Unlike its large models, logits are tied.
    """
    return TransformerConfig(
        architecture="decoder", vocab_size=vocab_size, max_length=max_length,
        hidden_dim=hidden_dim, intermediate_dim=8 * hidden_dim // 3, num_layers=num_layers,
        num_heads=num_heads, num_key_value_heads=num_key_value_heads, dropout=0.0,
        attention_dropout=0.0, activation="silu", gated=True, norm="rms_norm", epsilon=1e-5,
        pre_norm=True, use_bias=False, positions="rotary",
    )  # fmt: skip


def _transformer(num_layers: int, hidden_dim: int, num_heads: int, **kwargs) -> TransformerConfig:
    """Vaswani et al. 2017, table 3, with one vocabulary of 37,000 pieces for both languages."""
    return TransformerConfig(
        architecture="encoder-decoder", vocab_size=37_000, max_length=512, hidden_dim=hidden_dim,
        num_layers=num_layers, num_heads=num_heads, activation="relu", positions="sinusoidal",
        attention_dropout=0.0, epsilon=1e-6, scale_embeddings=True,
        **{"intermediate_dim": 4 * hidden_dim, **kwargs},
    )  # fmt: skip


CATALOG = {
    "bert_tiny": _bert(2, 128),
    "bert_mini": _bert(4, 256),
    "bert_small": _bert(4, 512),
    "bert_medium": _bert(8, 512),
    "bert_base": _bert(12, 768),
    "gpt_nano": _gpt(3, 48, 3, 128),
    "gpt_tiny": _gpt(4, 128, 4, 256),
    "gpt_small": _gpt(12, 768, 12, 1024),
    "llama_nano": _llama(4, 192, 6, 2, 8192, 256),
    "llama_tiny": _llama(6, 288, 6, 2, 32_000, 512),
    "transformer_tiny": _transformer(4, 128, 4, intermediate_dim=256),
    "transformer_base": _transformer(6, 512, 8),
    "transformer_big": _transformer(6, 1024, 16, dropout=0.3),
}


def get_config(name: str) -> TransformerConfig:
    """Returns the config of a catalogue name.

    Raises:
        InputError: for an unknown name, listing the known ones.
    """
    if name not in CATALOG:
        raise InputError(f"Expected a model among {', '.join(CATALOG)}, got {name!r}.")
    return CATALOG[name]


def pretraining_head_parameters(config: TransformerConfig) -> int:
    """Parameters of BERT's two pre-training heads, which its published counts include.

    A dense layer with a norm, the bias of the tied logits, and next-sentence logits; 0 for other
    architectures, whose logits are tied and have no bias.
    """
    if config.architecture != "encoder":
        return 0
    width = config.hidden_dim
    return width * width + width + 2 * width + config.vocab_size + 2 * width + 2


def _kernel(config: TransformerConfig, inputs: int, units: int) -> int:
    """Numbers in a projection's kernel, or in its factors where they are fewer."""
    whole = inputs * units
    return min(whole, config.rank * (inputs + units)) if config.rank else whole


def _attention_kernels(config: TransformerConfig) -> int:
    d, q = config.hidden_dim, config.head_width * config.num_heads
    kv = config.head_width * (config.num_key_value_heads or config.num_heads)
    return _kernel(config, d, q) + 2 * _kernel(config, d, kv) + _kernel(config, q, d)


def _feed_forward_kernels(config: TransformerConfig) -> int:
    d, f, ups = config.hidden_dim, config.intermediate_dim, 2 if config.gated else 1
    return ups * _kernel(config, d, f) + _kernel(config, f, d)


def parameters(config: TransformerConfig) -> int:
    """Parameters of the model without a task's head; tied tables count once."""
    d, f, bias = config.hidden_dim, config.intermediate_dim, int(config.use_bias)
    q = config.head_width * config.num_heads
    kv = config.head_width * (config.num_key_value_heads or config.num_heads)
    norm = 2 * d if config.norm == "layer_norm" else d
    ups = 2 if config.gated else 1
    attention = _attention_kernels(config) + bias * (q + 2 * kv + d) + norm
    feed_forward = _feed_forward_kernels(config) + bias * (ups * f + d) + norm
    # A t5 stack shares one bias a head for each of 32 buckets of distance.
    ends = (32 * config.num_heads if config.positions == "t5" else 0) + config.pre_norm * norm
    encoder = config.num_layers * (attention + feed_forward) + ends
    tables = config.max_length * d if config.positions == "learned" else 0
    tokens = (config.vocab_size + config.source_vocab_size) * d
    if config.architecture == "encoder":
        pooler = _kernel(config, d, d) + d if config.pooling == "first" else 0
        segments = config.num_segments * d
        return tokens + tables + segments + (not config.pre_norm) * norm + encoder + pooler
    if config.architecture == "decoder":
        return tokens + tables + encoder
    cross_attention = config.num_layers * attention
    return tokens + 2 * tables + 2 * encoder + cross_attention


def multiply_adds(config: TransformerConfig, length: int) -> int:
    """Multiply-adds of one forward pass over `length` tokens (for source and for target each).

    Counted are the matrix products: projections, scores, contexts, feed-forward layers, and the
    logits of decoders at every position. Look-ups, norms and activations are not.
    """
    d = config.hidden_dim
    projections = length * _attention_kernels(config)
    products = 2 * length * length * config.head_width * config.num_heads
    feed_forward = length * _feed_forward_kernels(config)
    encoder_block = projections + products + feed_forward
    decoder_block = encoder_block
    if config.architecture == "encoder-decoder":
        decoder_block += projections + products
    total = {
        "encoder": config.num_layers * encoder_block,
        "decoder": config.num_layers * decoder_block,
        "encoder-decoder": config.num_layers * (encoder_block + decoder_block),
    }[config.architecture]
    if config.architecture == "encoder" and config.pooling == "first":
        total += _kernel(config, d, d)
    if config.architecture != "encoder":
        total += length * d * config.vocab_size
    return total
