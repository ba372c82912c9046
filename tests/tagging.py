"""Sentences with entities so easy that a tiny model learns them, and such a model."""

import functools

import numpy as np

import keras_transformer as kt

NAMES = {"PER": ("Anna Bob Carla", "Stone Young Wells"), "LOC": ("Paris Lima Oslo", "Hill Bay")}
FILLERS = "the old ship went on and saw nothing".split()
LABELS = ("O", "B-LOC", "I-LOC", "B-PER", "I-PER")


def sentences(count, seed):
    """Rows of words and their tags by BIO: first names of entities, perhaps with second ones."""
    rng = np.random.default_rng(seed)
    words, tags = [], []
    for _ in range(count):
        row, named = [], []
        for _ in range(rng.integers(1, 6)):
            filler = rng.choice(FILLERS, rng.integers(1, 3)).tolist()
            row += filler
            named += ["O"] * len(filler)
            kind = ("LOC", "PER")[rng.integers(2)]
            for prefix, names in zip("BI"[: rng.integers(1, 3)], NAMES[kind], strict=False):
                row.append(str(rng.choice(names.split())))
                named.append(f"{prefix}-{kind}")
        words.append([*row, "."])
        tags.append([*named, "O"])
    return words, tags


def conll(words, tags):
    """The text of a file, with tabs."""
    rows = zip(words, tags, strict=True)
    return "\n".join(
        "".join(f"{word}\t{tag}\n" for word, tag in zip(*row, strict=True)) for row in rows
    )


SETTINGS = {"num_layers": 1, "hidden_dim": 16, "num_heads": 2, "intermediate_dim": 32}


@functools.cache
def trained():
    """A checkpoint that knows the sentences, trained once for all tests of a process."""
    return kt.train(
        "bert_tiny", "token-classification", train=sentences(150, 0), validation=sentences(40, 1),
        epochs=6, learning_rate=0.02, settings=SETTINGS, max_length=20, vocab_size=120,
        batch_tokens=256, tokenizer="wordpiece",
    )  # fmt: skip
