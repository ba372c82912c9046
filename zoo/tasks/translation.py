"""Data of a translation, or of any task from text to text: pairs of a source and its target."""

import dataclasses
import functools
from collections.abc import Callable, Sequence
from typing import Any

import keras
import numpy as np

from keras_transformer.zoo.checkpoint import Checkpoint
from keras_transformer.zoo.data.batches import Batches, SampledBatches
from keras_transformer.zoo.data.pairs import SentencePairs
from keras_transformer.zoo.evaluation.perplexity import Perplexity
from keras_transformer.zoo.evaluation.text_metrics import text_metrics
from keras_transformer.zoo.generation.text import TextGenerator
from keras_transformer.zoo.progress import Report
from keras_transformer.zoo.recipe import Recipe
from keras_transformer.zoo.tasks.task import Task
from keras_transformer.zoo.tokenizers.target_language import encode_sources
from keras_transformer.zoo.tokenizers.tokenizer import Tokenizer, pad_rows
from keras_transformer.zoo.vocabularies.piece_dropout import PieceDropout

NUM_PROBES = 64
VALIDATION_TOKENS = 2048


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class TranslationData:
    """Training and validation pairs of a run, with the tokenizers of both sides.

    Attributes:
        train, validation: the pairs.
        source, target: the tokenizers; the same object where the vocabulary is shared.
        max_length: tokens of a source and of a target, the token that ends it included.
    """

    task: Task
    train: SentencePairs
    validation: SentencePairs
    source: Tokenizer
    target: Tokenizer
    max_length: int

    @property
    def vocab_sizes(self) -> dict[str, int]:
        """What the data decides of the model's config."""
        read = self.source.vocab_size + len(self.task.labels)
        if self.source is self.target:
            return {"vocab_size": read, "source_vocab_size": 0}
        return {"vocab_size": self.target.vocab_size, "source_vocab_size": read}

    @property
    def tokenizers(self) -> dict[str, Tokenizer | None]:
        """The tokenizers of a checkpoint, by the names that `Checkpoint` gives them."""
        target = None if self.source is self.target else self.target
        return {"tokenizer": self.source, "target_tokenizer": target}

    def batches(self, recipe: Recipe) -> Batches | SampledBatches:
        """The training batches of a recipe."""
        if not recipe.data.piece_dropout:
            return self._batches(self._encoded_train, recipe)
        source = PieceDropout(self.source, recipe.data.piece_dropout)
        target = PieceDropout(self.target, recipe.data.piece_dropout)

        def sample(epoch: int) -> Batches:
            source.seed(recipe.training.seed, epoch, "source")
            target.seed(recipe.training.seed, epoch, "target")
            return self._batches(self._encode(self.train, source, target), recipe)

        return SampledBatches(sample)

    def validator(self) -> Callable[[keras.Model], dict[str, Any]]:
        """Returns the function from a model to its metrics on the validation pairs."""
        columns, targets, _ = self._encoded_validation
        return Perplexity(Batches(columns, targets, batch_tokens=VALIDATION_TOKENS))

    def written_metrics(self, checkpoint: Checkpoint) -> dict[str, Any]:
        """BLEU, chrF and exact matches of what the model writes for the validation sources."""
        pairs = self.validation
        texts = translations(checkpoint.generator(), pairs, self.task.labels)
        by_language = {}
        for language in self.task.labels:
            rows = [row for row, name in enumerate(pairs.languages) if name == language]
            written, expected = ([part[row] for row in rows] for part in (texts, pairs.targets))
            by_language[f"bleu_{language}"] = text_metrics(written, expected)["bleu"]
        return {**text_metrics(texts, pairs.targets), **by_language}

    def probes(self, seed: int) -> dict[str, np.ndarray]:
        """A few validation pairs, padded to one length a column."""
        columns, _, _ = self._encoded_validation
        rows = len(self.validation.sources)
        chosen = np.random.default_rng(seed).choice(rows, min(NUM_PROBES, rows), replace=False)
        return {name: pad_rows([ids[row] for row in chosen]) for name, ids in columns.items()}

    def report_cuts(self, report: Report) -> None:
        """Says how many rows are longer than the model's inputs."""
        for pairs, encoded in (
            (self.train, self._encoded_train), (self.validation, self._encoded_validation)
        ):  # fmt: skip
            report.cut(pairs.path, len(pairs.sources), encoded[2], self.max_length)

    @functools.cached_property
    def _encoded_train(self):
        return self._encode(self.train, self.source, self.target)

    @functools.cached_property
    def _encoded_validation(self):
        return self._encode(self.validation, self.source, self.target)

    def _encode(self, pairs, source, target):
        return encode_pairs(pairs, source, target, self.max_length, self.task.labels)

    def _batches(self, encoded, recipe):
        columns, targets, _ = encoded
        return Batches(
            columns, targets, batch_tokens=recipe.data.batch_tokens,
            bucket=recipe.data.bucket, seed=recipe.training.seed,
        )  # fmt: skip


def translations(
    generator: TextGenerator, pairs: SentencePairs, languages: Sequence[str] = (), **decoding: Any
) -> list[str]:
    """Returns what a translator writes for the sources of pairs, each in its row's language.

    Args:
        generator: the translator.
        pairs: the rows.
        languages: names of the targets, where there are several.
        **decoding: see `TextGenerator.generate`.
    """
    texts = [""] * len(pairs.sources)
    for language in languages or [None]:
        rows = [
            row for row in range(len(texts)) if language is None or pairs.languages[row] == language
        ]
        written = generator.generate(
            [pairs.sources[row] for row in rows], language=language, **decoding
        )
        for row, one in zip(rows, written, strict=True):
            texts[row] = one.text
    return texts


def encode_pairs(
    pairs: SentencePairs,
    source: Tokenizer,
    target: Tokenizer,
    max_length: int,
    known: Sequence[str] = (),
) -> tuple[dict[str, list[np.ndarray]], list[np.ndarray], int]:
    """Encodes pairs for teacher forcing.

    Args:
        pairs: the texts.
        source, target: the tokenizers.
        max_length: tokens of a source, and of a target, [SEP] included; longer ones are cut.
        known: names of the targets, where there are several.

    Returns:
        The columns `source_ids` (a source and [SEP]) and `ids` ([CLS] and a target), the targets
        (a target and [SEP]), and the number of rows of which either side was cut.
    """
    read = encode_sources(source, pairs.sources, max_length, known, pairs.languages)
    # [CLS] in front is not a position more: where [SEP] is predicted, the last token is read.
    written = target.encode_sequences(pairs.targets, max_length=max_length + 1, begin=True)
    columns = {"source_ids": read.ids, "ids": [row[:-1] for row in written.ids]}
    cut = sum(a or b for a, b in zip(read.truncated, written.truncated, strict=True))
    return columns, [row[1:] for row in written.ids], cut
