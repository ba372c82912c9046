"""What the tests of exported files share: rows, Keras' numbers for them, and a greedy loop."""

import numpy as np

from keras_transformer.zoo.models.running.decoding_steps import KerasSteps
from tests.edge.generators import LENGTH, padded, random_ids

# Of the outputs, which are a few units large: float32 operations in another order.
TOLERANCE = {"rtol": 1e-5, "atol": 1e-5}
SOURCES = padded(random_ids([9, 3, 11, 1, 7], seed=5), 11)
START, NUM_STEPS = 2, 8


def assert_close(found, expected):
    """Every number of both, within float32's last bits."""
    np.testing.assert_allclose(found, expected, **TOLERANCE)


def empty_caches(trained, rows, length=LENGTH):
    """Caches of a translator of `tests.edge.generators`, by name."""
    c = trained.config
    shape = (rows, length, c.num_key_value_heads or c.num_heads, c.head_width)
    names = [f"kv_cache_{kind}_{block}" for block in range(c.num_layers) for kind in "kv"]
    return {name: np.zeros(shape, np.float32) for name in names}


def greedy(encode, decode, trained, sources):
    """The ids (B, N) and logits (B, N, V) that two graphs give for sources, token by token.

    Args:
        encode, decode: functions from arrays by name to arrays by name.
        trained: a translator.
        sources: (B, S).
    """
    memory = encode({"ids": sources})
    memory["memory_mask"] = (sources != 0).astype(np.int32)
    caches = empty_caches(trained, len(sources))
    ids, logits = [np.full(len(sources), START, np.int32)], []
    for step in range(NUM_STEPS):
        position = np.array([step], np.int32)
        outputs = decode({"ids": ids[-1][:, None], "position": position, **caches, **memory})
        caches = {name: outputs[f"new_{name}"] for name in caches}
        logits.append(outputs["logits"])
        ids.append(_best(logits[-1]))
    return np.stack(ids, axis=1), np.stack(logits, axis=1)


def greedy_of_keras(trained, sources):
    """The ids (B, N) that Keras' own steps give."""
    steps = KerasSteps(trained.model, trained.config, LENGTH)
    cache = steps.encode([row[row != 0] for row in sources])
    ids = [np.full(len(sources), START, np.int32)]
    for _ in range(NUM_STEPS):
        logits, cache = steps.step(ids[-1], cache)
        ids.append(_best(logits))
    return np.stack(ids, axis=1)


def _best(logits):
    """The most probable ids (B,) of logits (B, V), but for 0, the padding."""
    return 1 + logits[:, 1:].argmax(axis=1).astype(np.int32)


def assert_translates(encode, decode, trained):
    """The tokens are Keras' own, and the logits those that it computes without caches."""
    for sources in (SOURCES, SOURCES[:1, :9]):
        ids, logits = greedy(encode, decode, trained, sources)
        np.testing.assert_array_equal(ids, greedy_of_keras(trained, sources))
        inputs = {"source_ids": sources, "ids": ids[:, :-1]}
        assert_close(logits, trained.model.predict_on_batch(inputs))
