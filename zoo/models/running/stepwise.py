"""Incremental decoding with caches of keys and values, several tokens at a time."""

import keras
from keras import ops

from keras_transformer.room import checked_places
from keras_transformer.zoo.modalities.registry import modality_named
from keras_transformer.zoo.models.build import PAD_ID
from keras_transformer.zoo.models.config import TransformerConfig
from keras_transformer.zoo.models.heads import LOGITS_HEAD


class Stepwise:
    """Runs the layers of a decoder or encoder-decoder over several tokens at a time.

    The results equal the model's own logits at the same positions. It is called eagerly, in a
    compiled function, and when a file's signatures are traced.

    Args:
        model: model built by `models.build`.
        config: config of the model.
        prefix: beginning of the names of its layers, where it is one of several.
    """

    def __init__(self, model: keras.Model, config: TransformerConfig, prefix: str = ""):
        self.config = config
        self.layers = {
            layer.name.removeprefix(prefix): layer for layer in model.layers
            if layer.name.startswith(prefix)
        }  # fmt: skip
        self.has_memory = config.architecture == "encoder-decoder"
        self._read_source = None
        if self.has_memory and config.modality != "text":
            specs = modality_named(config.modality).specs(config.modality_settings)
            inputs = {tensor.name: tensor for tensor in model.inputs}
            self._read_source = keras.Model(
                [inputs[spec.name] for spec in specs], self.layers["encoder"].output
            )

    def encode(self, source):
        """Encodes a source, and projects it once for the cross attention of every block.

        Args:
            source: token ids (B, S), int32, or the input of a modality that is no text.

        Returns:
            The pair of keys and values (B, S, KV, K) of each block.
        """
        if self._read_source is not None:
            memory = self._read_source([source], training=False)
            return self.layers["decoder"].project_memory(memory)
        embedding = self.layers.get("source_token_embedding") or self.layers["token_embedding"]
        x = self._embed(source, embedding, "source_")
        memory = self.layers["encoder"](x, mask=ops.not_equal(source, PAD_ID))
        return self.layers["decoder"].project_memory(memory)

    def new_cache(self, batch: int, length: int):
        """Returns an empty pair of keys and values (B, L, KV, K) for each block."""
        c = self.config
        shape = (batch, length, c.num_key_value_heads or c.num_heads, c.head_width)
        return tuple(
            (ops.zeros(shape, "float32"), ops.zeros(shape, "float32"))
            for _ in range(c.num_layers)
        )

    def decode(self, ids, position, cache, memory_cache=None, memory_mask=None, mask=None):
        """Decodes tokens that follow those in the cache.

        Args:
            ids: token ids (B, T), int32, without padding.
            position: position of the first token, an integer.
            cache: cache, see `new_cache`.
            memory_cache: result of `encode`.
            memory_mask: (B, S) boolean, True where the source is not padding; None for no padding.
            mask: (B, T, L) boolean, True where a token attends, in addition to causality.

        Returns:
            The hidden states (B, T, D) for `logits`, and the cache including the tokens.
        """
        memory = {}
        if self.has_memory:
            memory = {"memory_cache": memory_cache, "memory_mask": memory_mask}
        # The loops that call this know the position as a number, and check it.
        with checked_places():
            x = self._embed(ids, self.layers["token_embedding"], start=position)
            return self.layers["decoder"](
                x, mask=mask, cache=cache, cache_index=position, training=False, **memory
            )

    def logits(self, x):
        """Returns (B, T, V) for (B, T, D)."""
        head = self.layers.get(LOGITS_HEAD)
        logits = self.layers["token_embedding"](x, logits=True) if head is None else head(x)
        return ops.cast(self.layers["logits_point"](logits), "float32")

    def last_logits(self, x):
        """Returns (B, V) for the last of (B, T, D)."""
        return self.logits(x[:, -1:])[:, 0]

    def _embed(self, ids, embedding, prefix="", start=0):
        x = embedding(ids)
        positions = self.layers.get(f"{prefix}position_embedding")
        if positions is not None:
            x = positions(x, start=start)
        for name in ("embedding_point", "embedding_norm", "embedding_norm_point"):
            layer = self.layers.get(f"{prefix}{name}")
            x = x if layer is None else layer(x)
        return x
