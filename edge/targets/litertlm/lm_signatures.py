"""Signatures of a decoder for LiteRT-LM's executor.

| signature | inputs | outputs |
|---|---|---|
| `prefill_N` | N tokens, caches | caches |
| `decode` | one token, caches | `logits` (1, 1, V), caches |

Both read `tokens` (1, N), `input_pos` (N,), their positions, and the float `mask` (1, 1, N, L), 0
where a token attends, from which the executor infers the length of the caches. It pads a prompt
with tokens at position 0, so that only the first position counts. The caches are those of `static`.
"""

from collections.abc import Sequence

import keras
import tensorflow as tf

from keras_transformer.edge.graphs.named_steps import NamedSteps
from keras_transformer.edge.graphs.static import static_function
from keras_transformer.edge.runtime.names import DECODE, INPUT_POS, MASK, PREFILL, TOKENS
from keras_transformer.zoo.checkpoint import Checkpoint


def make_lm_signatures(
    checkpoint: Checkpoint, model: keras.Model, lengths: Sequence[int]
) -> dict[str, tf.types.experimental.GenericFunction]:
    """Returns the functions of a file by name, see `static.make_signatures`."""
    steps = NamedSteps(model, checkpoint.config)
    caches = steps.cache_specs(1, lengths[-1])

    def read(inputs):
        mask = tf.equal(inputs[MASK][:, 0], 0.0)
        tokens = {"ids": inputs[TOKENS], "position": inputs[INPUT_POS], "mask": mask}
        return steps.read({**inputs, **tokens})

    def decode(inputs):
        x, longer = read(inputs)
        return {"logits": steps.logits(x), **longer}

    def specs(length):
        return {
            TOKENS: ((1, length), "int32"),
            INPUT_POS: ((length,), "int32"),
            MASK: ((1, 1, length, lengths[-1]), "float32"),
            **caches,
        }

    made = {DECODE: static_function(decode, specs(1))}
    for length in reversed(lengths):
        name = f"{PREFILL}_{length}"
        made[name] = static_function(lambda inputs: read(inputs)[1], specs(length))
    return made
