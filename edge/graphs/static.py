"""Signatures of a file, as TensorFlow functions with static shapes for conversion.

| model | signature | inputs | outputs |
|---|---|---|---|
| encoder | `predict`, `predict_N` | its modality's, such as `ids` (1, N) | `output` |
| encoder of several tasks | `predict`, `predict_N` | the same | an output by each task's name |
| encoder of several tasks | `TASK`, `TASK_N` for each | those that the task reads | `output` |
| encoders of two kinds | `predict`, `predict_N` | those of both | `image` and `text`, ... |
| encoders of two kinds | `image`, `text`, ... for each | those of the kind | `output` |
| encoder-decoder | `encode`, `encode_N` | `ids` (1, N) | `memory_k_0`, `memory_v_0`, ... |
| encoder-decoder | `decode` | one token, caches, memory, `memory_mask` (1, S) | `logits`, caches |
| encoder-decoder of speech | `encode` | `waveform` (1, samples) | `memory_k_0`, `memory_v_0`, ... |
| encoder-decoder of speech | `decode` | one token, caches, memory | `logits`, caches |
| decoder | `prefill`, `prefill_N` | N tokens, caches | caches |
| decoder | `decode` | one token, caches | `logits` (1, V), caches |

`decode` and `prefill` read `ids` (1, N) and `position` (1,), the position of the first of them; the
caches are `kv_cache_k_0`, `kv_cache_v_0`, ..., each (1, L, KV, K), with the same names as inputs
and outputs. An encoder's `output` is (1, outputs). The signature without a number has the longest
length. The first one is the file's main graph, which tools without signatures run: `predict`, or
`decode`.
"""

from collections.abc import Callable, Mapping, Sequence

import keras
import tensorflow as tf

from keras_transformer.edge.graphs.front_end import front_end_of
from keras_transformer.edge.graphs.named_steps import NamedSteps
from keras_transformer.edge.runtime.names import (
    DECODE,
    ENCODE,
    LOGITS,
    MEMORY_MASK,
    PREDICT,
    PREFILL,
    signature_name,
)
from keras_transformer.masks import IMPERCEPTIBLE
from keras_transformer.reading import are_whole, outputs_read_alone
from keras_transformer.zoo.checkpoint import Checkpoint
from keras_transformer.zoo.tasks.multi_task.learner import head_models


def make_signatures(
    checkpoint: Checkpoint, model: keras.Model, lengths: Sequence[int]
) -> dict[str, tf.types.experimental.GenericFunction]:
    """Returns the functions of a file by name, each with its static input shapes.

    Args:
        checkpoint: the checkpoint that is converted.
        model: the Keras model whose graph is converted.
        lengths: input lengths in tokens, ascending; the last is that of the caches.
    """
    if checkpoint.head_names:
        made = _predicting(PREDICT, checkpoint.inputs, lengths, lambda inputs: dict(model(inputs)))
        models = head_models(model, checkpoint.task, checkpoint.modality)
        for name, task in checkpoint.task.tasks.items():
            call = _one_output(models[name])
            own = checkpoint.modality.of_kind(task.modality)
            made |= _predicting(name, own.inputs(pair=task.pair), lengths, call)
        return made
    if not checkpoint.task.generates:
        specs, call = checkpoint.inputs, _one_output(model)
        if (front_end := front_end_of(model)) is not None:
            specs, call = front_end.specs(specs), _one_output(front_end)
        return _predicting(PREDICT, specs, lengths, call)
    return _Generating(checkpoint, model, lengths[-1]).signatures(lengths)


def _one_output(model):
    return lambda inputs: {LOGITS: model(inputs, training=False)}


def _predicting(kind, specs, lengths, call):
    """The signatures of a kind, one for each length."""
    return {
        signature_name(kind, length, lengths): static_function(
            call, {spec.name: (spec.size(1, length), spec.dtype) for spec in specs}
        )
        for length in reversed(lengths)
    }


class _Generating:
    """The signatures of a generative model.

    Args:
        checkpoint, model: the checkpoint and its Keras model, see `make_signatures`.
        length: L, positions of the caches and of the memory.
    """

    def __init__(self, checkpoint: Checkpoint, model: keras.Model, length: int):
        self.steps = NamedSteps(model, checkpoint.config)
        self.cache = self.steps.cache_specs(1, length)
        # A source that has one size is read by one signature, and has no padding.
        self.sources = {
            spec.name: (spec.size(1, None), spec.dtype)
            for spec in checkpoint.inputs if not spec.is_variable
        }
        [spec, *_] = checkpoint.inputs
        self.memory = self.steps.memory_specs(1, spec.positions if self.sources else length)
        if self.memory and not self.sources:
            self.memory[MEMORY_MASK] = ((1, length), "int32")

    def signatures(self, lengths):
        token = {"ids": ((1, 1), "int32"), "position": ((1,), "int32")}
        made = {DECODE: static_function(self._decode, {**token, **self.cache, **self.memory})}
        if self.sources:
            return made | {ENCODE: static_function(self.steps.encode, self.sources)}
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
        logits = self.steps.logits(x)
        # Of one token: a slice would copy each of a large vocabulary's logits by a call.
        return {"logits": tf.reshape(logits, (1, logits.shape[-1])), **caches}


def static_function(
    call: Callable, inputs: Mapping[str, tuple]
) -> tf.types.experimental.GenericFunction:
    """Returns a function of tensors by name, with the given shapes and dtypes.

    An encoder's outputs that nothing reads are left out, see `reading`.
    """
    specs = {name: tf.TensorSpec(shape, dtype, name) for name, (shape, dtype) in inputs.items()}

    def alone(tensors):
        with outputs_read_alone():
            return call(tensors)

    return tf.function(alone, input_signature=[specs], autograph=False)


def reads_alone() -> bool:
    """Whether the functions leave out an encoder's outputs that nothing reads."""
    return not are_whole()


def probabilities(logits, temperature=1.0):
    """Returns the softmax of logits (B, outputs) divided by a temperature, computed in float."""
    if temperature != 1.0:
        logits = logits / temperature
    return tf.nn.softmax(logits + IMPERCEPTIBLE)
