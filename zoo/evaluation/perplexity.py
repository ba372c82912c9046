"""Perplexity and token accuracy of a Keras model on given texts."""

import keras
import numpy as np
from keras import ops

from keras_transformer.zoo.data.batches import NO_TARGET, Batches
from keras_transformer.zoo.data.plain_text import PlainText, blocks, token_stream
from keras_transformer.zoo.generation.scoring import summary
from keras_transformer.zoo.tokenizers.tokenizer import Tokenizer

VALIDATION_TOKENS = 2048


class _TokenScores(keras.layers.Layer):
    """Nats and hits (B, T, 2) of the targets (B, T), 0 at padding."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.supports_masking = True

    def call(self, logits, targets):
        real = ops.cast(ops.not_equal(targets, NO_TARGET), "float32")
        targets = ops.maximum(targets, 0)
        nats = ops.sparse_categorical_crossentropy(targets, logits, from_logits=True)
        hits = ops.cast(ops.equal(ops.argmax(logits, axis=-1), targets), "float32")
        return ops.stack([nats * real, hits * real], axis=-1)


class Perplexity:
    """Evaluates a model repeatedly on the same texts, with teacher forcing.

    Args:
        batches: batches of the texts, with a target at each position.
        num_characters: number of characters of the texts, for bits per character; None to leave
            these out.
    """

    def __init__(self, batches: Batches, num_characters: int | None = None):
        self.batches = batches
        self.num_characters = num_characters
        self._scorers: dict[keras.Model, keras.Model] = {}

    def __call__(self, model: keras.Model) -> dict[str, float]:
        """Returns loss (nats a token), perplexity, token accuracy and bits per character."""
        return self.metrics(self.scores(model))

    def metrics(self, scores: np.ndarray) -> dict[str, float]:
        """Returns the metrics of the result of `scores`."""
        nats, hits = scores.sum(axis=0, dtype="float64").tolist()
        return summary(nats, hits, len(scores), self.num_characters)

    def scores(self, model: keras.Model) -> np.ndarray:
        """Returns nats and hits (targets, 2), with the targets in one order for every model."""
        scorer, found = self._scorer(model), []
        for batch in self.batches.in_order():
            scores = scorer.predict_on_batch([batch.inputs, batch.targets])
            found.append(np.asarray(scores)[batch.targets != NO_TARGET])
        return np.concatenate(found)

    def _scorer(self, model: keras.Model) -> keras.Model:
        """The model with its scores on top, so that logits stay on the backend."""
        if model not in self._scorers:
            targets = keras.Input((None,), dtype="int32", name="targets")
            scores = _TokenScores(dtype="float32", name="token_scores")(model.output, targets)
            inputs = {tensor.name: tensor for tensor in model.inputs}
            scorer = keras.Model([inputs, targets], scores)
            scorer.compile(jit_compile=False)
            self._scorers[model] = scorer
        return self._scorers[model]


def block_batches(cut: list[np.ndarray], batch_tokens: int, seed: int = 0) -> Batches:
    """Makes batches of blocks of T + 1 ids: the model reads the first T and predicts the last T."""
    return Batches(
        {"ids": [block[:-1] for block in cut]}, [block[1:] for block in cut],
        batch_tokens=batch_tokens, bucket=None, seed=seed,
    )  # fmt: skip


def language_perplexity(plain: PlainText, tokenizer: Tokenizer, max_length: int) -> Perplexity:
    """Perplexity on a text in which every token but the first is predicted once, block by block."""
    cut = blocks(token_stream(plain, tokenizer), max_length)
    return Perplexity(block_batches(cut, VALIDATION_TOKENS), num_characters=len(plain.text))
