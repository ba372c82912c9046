"""Decoding steps of a Keras model, compiled, over caches of tensors."""

from collections.abc import Sequence

import keras
import numpy as np
from keras import ops

from keras_transformer.zoo.errors import InputError
from keras_transformer.zoo.models.build import PAD_ID
from keras_transformer.zoo.models.fused_config import Config
from keras_transformer.zoo.models.running.fused_steps import stepwise_of
from keras_transformer.zoo.models.running.turns import turn_of
from keras_transformer.zoo.tokenizers.tokenizer import pad_rows

BATCH_SIZE = 64


def compiled(function, xla):
    """Returns a function as a graph on TensorFlow; other backends run it eagerly."""
    if keras.config.backend() != "tensorflow":
        return function
    import tensorflow as tf

    # XLA compiles a program for each shape, so a graph with relaxed shapes is of no use to it.
    return tf.function(function, reduce_retracing=not xla, autograph=False, jit_compile=xla)


class KerasSteps:
    """Decoding steps of a Keras model, see `generation.text.Model`.

    A cache is a dictionary: `position` (the same for all rows), `blocks`, and for an
    encoder-decoder `memory` and `memory_mask`; all but `position` have the rows as first axis.

    Args:
        model: decoder or encoder-decoder built by `models.build`.
        config: config of the model.
        length: number of tokens of a source, and of positions of the cache.
        batch_size: number of rows that are read at once.
        xla: whether steps are compiled with XLA: faster, but compiling takes seconds for each new
            number of rows and each new length of a source or a prompt.
    """

    def __init__(
        self, model: keras.Model, config: Config, length: int,
        *, batch_size: int = BATCH_SIZE, xla: bool = False,
    ):  # fmt: skip
        self.model = model
        self.config = config
        self.vocab_size = config.vocab_size
        self.source_length = self.cache_length = length
        self.batch_size = batch_size
        self._check_process = turn_of(model).check
        self._stepwise = stepwise_of(model, config)
        self._encode = compiled(self._stepwise.encode, xla)
        self._read = compiled(lambda *arguments: self._stepwise.decode(*arguments)[1], xla)
        self._write = compiled(self._next, xla)

    def encode(self, sources: Sequence[np.ndarray]):
        self._check_process()
        if self.config.modality == "text":
            read = pad_rows(sources)
            mask = ops.convert_to_tensor(read != PAD_ID)
        else:
            read, mask = np.stack(sources), None
        return {
            "position": 0,
            "blocks": self._stepwise.new_cache(len(read), self.cache_length),
            "memory": self._encode(ops.convert_to_tensor(read)),
            "memory_mask": mask,
        }

    def prefill(self, prompts: np.ndarray):
        self._check_process()
        batch, length = prompts.shape
        self._check_room(0, length)
        blocks = self._stepwise.new_cache(batch, self.cache_length)
        if length:
            ids = ops.convert_to_tensor(prompts.astype("int32"))
            blocks = self._read(ids, ops.convert_to_tensor(0, "int32"), blocks)
        return {"position": length, "blocks": blocks, "memory": None, "memory_mask": None}

    def step(self, tokens: np.ndarray, cache):
        self._check_room(cache["position"], 1)
        ids = ops.convert_to_tensor(tokens.astype("int32")[:, None])
        logits, blocks = self._write(
            ids, ops.convert_to_tensor(cache["position"], "int32"), cache["blocks"],
            cache["memory"], cache["memory_mask"],
        )  # fmt: skip
        cache = {**cache, "position": cache["position"] + 1, "blocks": blocks}
        return ops.convert_to_numpy(logits), cache

    def select(self, cache, rows: np.ndarray):
        chosen = ops.convert_to_tensor(rows.astype("int32"))

        def taken(tensor):
            return None if tensor is None else ops.take(tensor, chosen, axis=0)

        return {
            "position": cache["position"],
            "blocks": _of_blocks(taken, cache["blocks"]),
            "memory": cache["memory"] and _of_blocks(taken, cache["memory"]),
            "memory_mask": taken(cache["memory_mask"]),
        }

    def _check_room(self, position, count):
        """Raises InputError where tokens do not fit the cache: a graph would clamp their place."""
        if position + count > self.cache_length:
            raise InputError(
                f"Expected positions below the cache's {self.cache_length}, got T={count} "
                f"from position={position}."
            )

    def _next(self, ids, position, blocks, memory, memory_mask):
        """Logits (B, V) after one token (B, 1) of each row, and the new cache."""
        x, blocks = self._stepwise.decode(ids, position, blocks, memory, memory_mask)
        return self._stepwise.logits(x)[:, 0], blocks


def _of_blocks(function, blocks):
    return tuple((function(keys), function(values)) for keys, values in blocks)
