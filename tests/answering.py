"""Questions so easy that a tiny model answers them, and such a model."""

import dataclasses
import functools

import numpy as np

import keras_transformer as kt
from keras_transformer.zoo.models.build import build, get_weights, set_weights

NAMES = "Anna Bob Carla Dora Emil Fritz".split()
PLACES = "Paris Lima Oslo Rome Bern Kyiv".split()
SETTINGS = {
    "num_layers": 2, "hidden_dim": 32, "num_heads": 4, "intermediate_dim": 64, "dropout": 0.0,
    "attention_dropout": 0.0,
}  # fmt: skip


def questions(count, seed, *, unanswerable=0.0):
    """Rows: `where ?`, of which the context names one place, or none, among other words."""
    rng = np.random.default_rng(seed)
    rows = []
    for _ in range(count):
        words = rng.choice(NAMES, rng.integers(3, 9)).tolist()
        place, answers = str(rng.choice(PLACES)), []
        if rng.random() >= unanswerable:
            at = int(rng.integers(len(words) + 1))
            words.insert(at, f"{place}")
            start = len(" ".join(words[:at])) + (at > 0)
            answers = [{"text": place, "answer_start": start}]
        rows.append({"question": "where ?", "context": " ".join(words), "answers": answers})
    return rows


@functools.cache
def trained():
    """A checkpoint that answers the questions, trained once for all tests of a process."""
    return kt.train(
        "bert_tiny", "question-answering", train=questions(200, 0, unanswerable=0.3),
        validation=questions(50, 1, unanswerable=0.3), epochs=5, learning_rate=0.01,
        settings=SETTINGS, max_length=24, vocab_size=120, batch_tokens=512, tokenizer="wordpiece",
        label_smoothing=0.0, report=kt.Report(),
    )  # fmt: skip


@functools.cache
def disturbed(seed):
    """The same checkpoint with other weights, which answers less well."""
    first, rng = trained(), np.random.default_rng(seed)
    model = build(first.config, first.task)
    set_weights(
        model,
        {
            path: (value + rng.normal(0, 0.1, value.shape)).astype("float32")
            for path, value in get_weights(first.model).items()
        },
    )
    return dataclasses.replace(first, model=model)
