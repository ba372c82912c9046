"""The entry points of a file: what each reads and gives, as TensorFlow functions to convert.

| model | signature | reads | gives |
|---|---|---|---|
| encoder | `predict`, `predict_N` | `ids`, `segment_ids` (1, N) | `output` (1, outputs) |
| encoder-decoder | `encode`, `encode_N` | `ids` (1, N) | `memory_k_0`, `memory_v_0`, ... |
| encoder-decoder | `decode` | one token, caches, memory, `memory_mask` (1, S) | `logits`, caches |
| decoder | `prefill`, `prefill_N` | N tokens, caches | caches |
| decoder | `decode` | one token, caches | `logits` (1, V), caches |

`decode` and `prefill` read `ids` (1, N) and `position` (1,), where the first of them stands; the
caches are `kv_cache_k_0`, `kv_cache_v_0`, ..., each (1, L, KV, K), by name the same on both sides.
The signature without a number is that of the longest length. The first one is the file's main
graph, which tools that know no signatures run: `predict`, or `decode`.

LiteRT-LM knows a decoder under other names, see `make_lm_signatures`.
"""

from collections.abc import Callable, Mapping, Sequence

import keras
import tensorflow as tf

from keras_transformer.edge.names import (
    DECODE,
    ENCODE,
    INPUT_POS,
    MASK,
    PREDICT,
    PREFILL,
    TOKENS,
    cache_names,
    memory_names,
    signature_name,
)
from keras_transformer.zoo.stepwise import Stepwise
from keras_transformer.zoo.trained import Trained, model_inputs


def make_signatures(
    trained: Trained, model: keras.Model, lengths: Sequence[int]
) -> dict[str, tf.types.experimental.GenericFunction]:
    """Returns the functions of a file by name, each with its static input shapes.

    Args:
        trained: what is converted.
        model: the Keras model whose graph is converted.
        lengths: tokens of the inputs, ascending; the last is that of the caches.
    """
    if not trained.task_spec.generates:
        names = list(model_inputs(trained.task_spec, {"ids": None, "segment_ids": None}))
        return {
            signature_name(PREDICT, length, lengths): _function(
                lambda inputs: {"output": model(inputs, training=False)},
                {name: ((1, length), "int32") for name in names},
            )
            for length in reversed(lengths)
        }
    return _Generating(trained, model, lengths[-1]).signatures(lengths)


def make_lm_signatures(
    trained: Trained, model: keras.Model, lengths: Sequence[int]
) -> dict[str, tf.types.experimental.GenericFunction]:
    """Returns the functions of a decoder by name, as LiteRT-LM's executor calls them.

    `decode` and every `prefill_N` read `tokens` (1, N), `input_pos` (N,), where each of them
    stands, the float `mask` (1, 1, N, L), 0 where a token attends, and the caches, whose length the
    executor knows from the mask. What is padding has position 0, so that only the first position
    counts. Logits are (1, 1, V).

    Args:
        trained, model, lengths: see `make_signatures`.
    """
    return _GeneratingLm(trained, model, lengths[-1]).signatures(lengths)


class _Generating:
    """The signatures of a model that writes token by token.

    Args:
        trained, model: see `make_signatures`.
        length: L, positions of the caches and of the memory.
    """

    def __init__(self, trained: Trained, model: keras.Model, length: int):
        c = trained.config
        self.stepwise = Stepwise(model, c)
        self.blocks = c.num_layers
        self.length = length
        shape = (1, length, c.num_key_value_heads or c.num_heads, c.head_width)
        self.cache = {name: (shape, "float32") for name in cache_names(c.num_layers)}
        self.memory = {}
        if self.stepwise.has_memory:
            self.memory = {name: (shape, "float32") for name in memory_names(c.num_layers)}
            self.memory["memory_mask"] = ((1, length), "int32")

    def signatures(self, lengths):
        token = {"ids": ((1, 1), "int32"), "position": ((1,), "int32")}
        made = {DECODE: _function(self._decode, {**token, **self.cache, **self.memory})}
        for length in reversed(lengths):
            ids = {"ids": ((1, length), "int32")}
            if self.stepwise.has_memory:
                name = signature_name(ENCODE, length, lengths)
                made[name] = _function(self._encode, ids)
            else:
                name = signature_name(PREFILL, length, lengths)
                reads = {**token, **ids, **self.cache}
                made[name] = _function(self._prefill, reads)
        return made

    def _encode(self, inputs):
        return _named(memory_names(self.blocks), self.stepwise.encode(inputs["ids"]))

    def _prefill(self, inputs):
        return _named(cache_names(self.blocks), self._read(inputs)[1])

    def _decode(self, inputs):
        x, cache = self._read(inputs)
        logits = self.stepwise.logits(x)[:, 0]
        return {"logits": logits, **_named(cache_names(self.blocks), cache)}

    def _read(self, inputs):
        memory = ()
        if self.memory:
            mask = tf.cast(inputs["memory_mask"], tf.bool)
            memory = (_paired(memory_names(self.blocks), inputs), mask)
        cache = _paired(cache_names(self.blocks), inputs)
        return self.stepwise.decode(inputs["ids"], inputs["position"][0], cache, *memory)


class _GeneratingLm(_Generating):
    """The same for LiteRT-LM."""

    def signatures(self, lengths):
        made = {DECODE: _function(self._decode, self._inputs(1))}
        for length in reversed(lengths):
            made[f"{PREFILL}_{length}"] = _function(self._prefill, self._inputs(length))
        return made

    def _inputs(self, length):
        return {
            TOKENS: ((1, length), "int32"),
            INPUT_POS: ((length,), "int32"),
            MASK: ((1, 1, length, self.length), "float32"),
            **self.cache,
        }

    def _decode(self, inputs):
        x, cache = self._read(inputs)
        return {"logits": self.stepwise.logits(x), **_named(cache_names(self.blocks), cache)}

    def _read(self, inputs):
        cache = _paired(cache_names(self.blocks), inputs)
        mask = tf.equal(inputs[MASK][:, 0], 0.0)
        return self.stepwise.decode(inputs[TOKENS], inputs[INPUT_POS][0], cache, mask=mask)


def _function(call: Callable, inputs: Mapping[str, tuple]) -> tf.types.experimental.GenericFunction:
    specs = {name: tf.TensorSpec(shape, dtype, name) for name, (shape, dtype) in inputs.items()}
    return tf.function(call, input_signature=[specs], autograph=False)


def _named(names, pairs):
    """Blocks' pairs of keys and values by name."""
    return dict(zip(names, [tensor for pair in pairs for tensor in pair], strict=True))


def _paired(names, tensors):
    """The other way round."""
    flat = [tensors[name] for name in names]
    return tuple(zip(flat[::2], flat[1::2], strict=True))
