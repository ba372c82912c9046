"""Incremental decoding of several models that answer as one."""

import keras

from keras_transformer.zoo.layer_names import prefix_of
from keras_transformer.zoo.models.fused_config import FUSED, Config, FusedConfig
from keras_transformer.zoo.models.running.stepwise import Stepwise


class FusedSteps:
    """`Stepwise` of several members that read the same tokens.

    The caches and the projected memory are those of all members' blocks, one member after the
    other, and hidden states are a tuple of each member's.

    Args:
        model: model built by `models.build`.
        config: config of the model.
    """

    def __init__(self, model: keras.Model, config: FusedConfig):
        self._members = [
            Stepwise(model, one, prefix_of(number)) for number, one in enumerate(config.members)
        ]
        self._fused = model.get_layer(FUSED)
        self.has_memory = self._members[0].has_memory

    def encode(self, source_ids):
        """Encodes a source (B, S) by each member, see `Stepwise.encode`."""
        return tuple(pair for one in self._members for pair in one.encode(source_ids))

    def new_cache(self, batch: int, length: int):
        """Returns an empty pair of keys and values (B, L, KV, K) for each block."""
        return tuple(pair for one in self._members for pair in one.new_cache(batch, length))

    def decode(self, ids, position, cache, memory_cache=None, memory_mask=None, mask=None):
        """Decodes tokens that follow those in the cache, see `Stepwise.decode`."""
        states, longer, first = [], [], 0
        for one in self._members:
            own = slice(first, first + one.config.num_layers)
            memory = (memory_cache[own], memory_mask) if self.has_memory else ()
            x, blocks = one.decode(ids, position, cache[own], *memory, mask=mask)
            states.append(x)
            longer += blocks
            first = own.stop
        return tuple(states), tuple(longer)

    def logits(self, x):
        """Returns (B, T, V) for the members' (B, T, D)."""
        return self._fused([one.logits(part) for one, part in zip(self._members, x, strict=True)])

    def last_logits(self, x):
        """Returns (B, V) for the last of the members' (B, T, D)."""
        return self.logits(tuple(part[:, -1:] for part in x))[:, 0]


def stepwise_of(model: keras.Model, config: Config) -> Stepwise | FusedSteps:
    """Returns the incremental decoding of a model, or of several that answer as one."""
    return (FusedSteps if isinstance(config, FusedConfig) else Stepwise)(model, config)
