"""The entry points of a file: what each reads and gives, as TensorFlow functions to convert.

| model | signature | reads | gives |
|---|---|---|---|
| encoder | `predict`, `predict_N` | its modality's, such as `ids` (1, N) | `output` |
| encoder-decoder | `encode`, `encode_N` | `ids` (1, N) | `memory_k_0`, `memory_v_0`, ... |
| encoder-decoder | `decode` | one token, caches, memory, `memory_mask` (1, S) | `logits`, caches |
| decoder | `prefill`, `prefill_N` | N tokens, caches | caches |
| decoder | `decode` | one token, caches | `logits` (1, V), caches |

`decode` and `prefill` read `ids` (1, N) and `position` (1,), where the first of them stands; the
caches are `kv_cache_k_0`, `kv_cache_v_0`, ..., each (1, L, KV, K), by name the same on both sides.
An encoder's `output` is (1, outputs). The signature without a number is that of the longest length.
The first one is the file's main graph, which tools that know no signatures run: `predict`, or
`decode`.
"""

from collections.abc import Callable, Mapping, Sequence

import keras
import tensorflow as tf

from keras_transformer.edge.graphs.named_steps import NamedSteps
from keras_transformer.edge.runtime.names import (
    DECODE,
    ENCODE,
    LOGITS,
    PREDICT,
    PREFILL,
    signature_name,
)
from keras_transformer.zoo.checkpoint import Checkpoint

_IMPERCEPTIBLE = 1e-30


def make_signatures(
    checkpoint: Checkpoint, model: keras.Model, lengths: Sequence[int]
) -> dict[str, tf.types.experimental.GenericFunction]:
    """Returns the functions of a file by name, each with its static input shapes.

    Args:
        checkpoint: what is converted.
        model: the Keras model whose graph is converted.
        lengths: tokens of the inputs, ascending; the last is that of the caches.
    """
    if not checkpoint.task.generates:
        return {
            signature_name(PREDICT, length, lengths): static_function(
                lambda inputs: {LOGITS: model(inputs, training=False)},
                {spec.name: (spec.size(1, length), spec.dtype) for spec in checkpoint.inputs},
            )
            for length in reversed(lengths)
        }
    return _Generating(checkpoint, model, lengths[-1]).signatures(lengths)


class _Generating:
    """The signatures of a model that writes token by token.

    Args:
        checkpoint, model: see `make_signatures`.
        length: L, positions of the caches and of the memory.
    """

    def __init__(self, checkpoint: Checkpoint, model: keras.Model, length: int):
        self.steps = NamedSteps(model, checkpoint.config)
        self.cache = self.steps.cache_specs(1, length)
        self.memory = self.steps.memory_specs(1, length)
        if self.memory:
            self.memory["memory_mask"] = ((1, length), "int32")

    def signatures(self, lengths):
        token = {"ids": ((1, 1), "int32"), "position": ((1,), "int32")}
        made = {DECODE: static_function(self._decode, {**token, **self.cache, **self.memory})}
        for length in reversed(lengths):
            ids = {"ids": ((1, length), "int32")}
            if self.memory:
                name = signature_name(ENCODE, length, lengths)
                made[name] = static_function(self.steps.encode, ids)
            else:
                name = signature_name(PREFILL, length, lengths)
                reads = {**token, **ids, **self.cache}
                made[name] = static_function(lambda inputs: self.steps.read(inputs)[1], reads)
        return made

    def _decode(self, inputs):
        x, caches = self.steps.read(inputs)
        return {"logits": self.steps.logits(x)[:, 0], **caches}


def static_function(
    call: Callable, inputs: Mapping[str, tuple]
) -> tf.types.experimental.GenericFunction:
    """Returns a function of a mapping of tensors, whose (shape, dtype) are given by name."""
    specs = {name: tf.TensorSpec(shape, dtype, name) for name, (shape, dtype) in inputs.items()}
    return tf.function(call, input_signature=[specs], autograph=False)


def probabilities(logits):
    """Returns the softmax of logits (B, outputs), in float whatever they are stored as."""
    # The converter would store the softmax of stored logits in steps of 1/256. A sum whose range
    # it does not know it leaves in float, and a number that no logit feels it cannot fold.
    return tf.nn.softmax(logits + _IMPERCEPTIBLE)
