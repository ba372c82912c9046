"""Texts so regular that a tiny model restores their words, and such models."""

import functools

import numpy as np

import keras_transformer as kt

NAMES = "anna bob carla dora emil fritz".split()
SETTINGS = {
    "num_layers": 1, "hidden_dim": 32, "num_heads": 2, "intermediate_dim": 96, "dropout": 0.0,
    "attention_dropout": 0.0,
}  # fmt: skip


def lines(count, seed):
    """Texts of one name each, again and again."""
    rng = np.random.default_rng(seed)
    return [" ".join([name] * 9) for name in rng.choice(NAMES, count).tolist()]


@functools.cache
def trained(objective="masked"):
    """A checkpoint of an objective, trained once for all tests of a process."""
    return kt.train(
        "bert_tiny", kt.MaskedLanguageModeling(objective=objective, mask_share=0.2),
        train=lines(200, 0), validation=lines(40, 1), epochs=20, learning_rate=0.01,
        settings=SETTINGS, max_length=12, vocab_size=60, batch_tokens=256, warmup=0.1,
        report=kt.Report(),
    )  # fmt: skip
