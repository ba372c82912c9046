"""Steps of a generative model over named tensors, the inputs and outputs of a file's graphs."""

from collections.abc import Mapping
from typing import Any

import keras
from keras import ops

from keras_transformer.edge.runtime.names import MEMORY_MASK, cache_names, memory_names
from keras_transformer.zoo.models.fused_config import Config, members_of
from keras_transformer.zoo.models.running.fused_steps import stepwise_of

Tensors = Mapping[str, Any]


class NamedSteps:
    """`Stepwise` over dictionaries of tensors; see `names` for their names.

    Args:
        model: a decoder or an encoder-decoder built by `models.build`.
        config: its config.
    """

    def __init__(self, model: keras.Model, config: Config):
        self._stepwise = stepwise_of(model, config)
        self._config = config
        self._cache = cache_names(config.num_layers)
        self._memory = memory_names(config.num_layers)
        self.has_memory = self._stepwise.has_memory

    def cache_specs(self, batch: int | str, length: int | str) -> dict[str, tuple[tuple, str]]:
        """Shape and type of each cache, for a number of positions."""
        return self._specs(self._cache, batch, length)

    def memory_specs(self, batch: int | str, length: int | str) -> dict[str, tuple[tuple, str]]:
        """Shape and type of each tensor of a projected source; none without an encoder."""
        return self._specs(self._memory if self.has_memory else [], batch, length)

    def encode(self, inputs: Tensors) -> dict[str, Any]:
        """The projected memory of source `ids` (B, S), or of another modality's one input."""
        [source] = inputs.values()
        return _named(self._memory, self._stepwise.encode(source))

    def read(self, inputs: Tensors) -> tuple[Any, dict[str, Any]]:
        """Reads `ids` (B, T) from `position` (1,) on: (B, T, D), and the longer caches.

        A `mask` (B, T, L), True where a token attends, may be among the inputs.
        """
        memory = ()
        if self.has_memory:
            # Of what has one size all is real.
            mask = ops.cast(inputs[MEMORY_MASK], "bool") if MEMORY_MASK in inputs else None
            memory = (_paired(self._memory, inputs), mask)
        cache = _paired(self._cache, inputs)
        x, cache = self._stepwise.decode(
            inputs["ids"], inputs["position"][0], cache, *memory, mask=inputs.get("mask")
        )
        return x, _named(self._cache, cache)

    def logits(self, x: Any) -> Any:
        """(B, T, V) of (B, T, D)."""
        return self._stepwise.logits(x)

    def last_logits(self, x: Any) -> Any:
        """(B, V) after the last of (B, T, D)."""
        return self._stepwise.last_logits(x)

    def _specs(self, names, batch, length):
        sizes = [
            (one.num_key_value_heads or one.num_heads, one.head_width)
            for one in members_of(self._config) for _ in range(2 * one.num_layers)
        ]  # fmt: skip
        return {
            name: ((batch, length, *size), "float32")
            for name, size in zip(names, sizes if names else [], strict=True)
        }


def _named(names, pairs):
    """Blocks' pairs of keys and values by name."""
    return dict(zip(names, [tensor for pair in pairs for tensor in pair], strict=True))


def _paired(names, tensors):
    """The inverse of `_named`."""
    flat = [tensors[name] for name in names]
    return tuple(zip(flat[::2], flat[1::2], strict=True))
