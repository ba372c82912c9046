"""Perplexity and token accuracy of a Keras model on given texts."""

import hashlib

import keras
import numpy as np
from keras import ops

from keras_transformer.zoo.columns.ragged import Ragged
from keras_transformer.zoo.data.batches import NO_TARGET, Batches
from keras_transformer.zoo.data.plain_text import PlainText, token_stream
from keras_transformer.zoo.generation.scoring import summary
from keras_transformer.zoo.modalities.modality import InputSpec
from keras_transformer.zoo.tokenizers.tokenizer import Tokenizer

VALIDATION_TOKENS = 2048
_IDS, _TARGETS = InputSpec(name="ids"), InputSpec(name="targets", padding=NO_TARGET)


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


def block_batches(
    stream: np.ndarray, length: int, batch_tokens: int, seed: int = 0, *,
    start: int = 0, count: int | None = None, digest: bytes = b"",
) -> Batches:  # fmt: skip
    """Makes batches of a stream's blocks of T + 1 ids: T that a model reads, and T to predict.

    Args:
        stream: token ids (N,), in the memory or mapped.
        length: T; the last block may be shorter.
        batch_tokens, seed: see `Batches`.
        start: where the first block begins.
        count: number of blocks; by default all.
        digest: identifies the stream; by default its SHA-256 does.
    """
    starts = np.arange(start, len(stream) - 1, length)[:count]
    lengths = np.minimum(length, len(stream) - 1 - starts)
    known = hashlib.sha256(digest + starts.tobytes()).digest() if digest else None
    ids, targets = (
        Ragged(stream, starts + shift + lengths, spec, known, lengths)
        for shift, spec in enumerate((_IDS, _TARGETS))
    )
    return Batches({"ids": ids}, targets, batch_tokens=batch_tokens, bucket=None, seed=seed)


def language_perplexity(plain: PlainText, tokenizer: Tokenizer, max_length: int) -> Perplexity:
    """Perplexity on a text in which every token but the first is predicted once, block by block."""
    batches = block_batches(token_stream(plain, tokenizer), max_length, VALIDATION_TOKENS)
    return Perplexity(batches, num_characters=len(plain.text))
