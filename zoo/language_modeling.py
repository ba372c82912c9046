"""Data of a language model: plain text as one stream of tokens, cut into blocks without padding."""

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np

from keras_transformer.zoo.batches import Batches, SampledBatches
from keras_transformer.zoo.data import read_text
from keras_transformer.zoo.errors import InputError
from keras_transformer.zoo.perplexity import Perplexity
from keras_transformer.zoo.recipe import Recipe
from keras_transformer.zoo.report import Report
from keras_transformer.zoo.tasks import Task
from keras_transformer.zoo.tokenizer import Tokenizer

NUM_PROBES = 32
VALIDATION_TOKENS = 2048


@dataclasses.dataclass(frozen=True, kw_only=True)
class PlainText:
    """A whole file of text.

    Attributes:
        text: its characters, line breaks included.
        path: the file.
    """

    text: str
    path: Path


def load_plain_text(path: str | Path) -> PlainText:
    """Reads a text file, plain or `.gz`.

    Raises:
        FileNotFoundError: there is no such file.
        InputError: the file is empty, not UTF-8, or its gzip data is damaged.
    """
    path = Path(path)
    text = read_text(path)
    if not text.strip():
        raise InputError(f"{path}: expected text to learn from, the file is empty.")
    return PlainText(text=text, path=path)


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class LanguageData:
    """Training and validation text of a run.

    Attributes:
        train, validation: the texts.
        tokenizer: of both.
        max_length: T, the tokens of a block.
    """

    task: Task
    train: PlainText
    validation: PlainText
    tokenizer: Tokenizer
    max_length: int

    @property
    def vocab_sizes(self) -> dict[str, int]:
        """What the data decides of the model's config."""
        return {"vocab_size": self.tokenizer.vocab_size}

    @property
    def tokenizers(self) -> dict[str, Tokenizer]:
        """The tokenizers of a checkpoint, by the names that `Trained` gives them."""
        return {"tokenizer": self.tokenizer}

    def batches(self, recipe: Recipe) -> SampledBatches:
        """The training batches: blocks of the stream, which starts elsewhere in every epoch."""
        stream = self._stream(self.train)

        def sample(epoch: int) -> Batches:
            rng = np.random.default_rng((recipe.seed, epoch))
            # As many blocks in every epoch, wherever it starts.
            start = int(rng.integers(min(self.max_length, len(stream) - self.max_length)))
            count = (len(stream) - self.max_length) // self.max_length or 1
            blocks = _blocks(stream[start:], self.max_length)[:count]
            return self._batches(blocks, recipe.batch_tokens, recipe.seed)

        return SampledBatches(sample)

    def validator(self) -> Callable[[keras.Model], dict[str, Any]]:
        """Returns the function from a model to its metrics on the validation text."""
        return language_perplexity(self.validation, self.tokenizer, self.max_length)

    def probes(self, seed: int) -> dict[str, np.ndarray]:
        """A few blocks of the validation text."""
        blocks = _blocks(self._stream(self.validation), self.max_length)
        full = [block[:-1] for block in blocks if len(block) == len(blocks[0])]
        rows = np.random.default_rng(seed).choice(
            len(full), min(NUM_PROBES, len(full)), replace=False
        )
        return {"ids": np.array([full[row] for row in rows], "int32")}

    def report_cuts(self, report: Report) -> None:
        """Nothing is cut from a stream."""

    def _stream(self, plain: PlainText) -> np.ndarray:
        return token_stream(plain, self.tokenizer)

    def _batches(self, blocks, batch_tokens, seed):
        return block_batches(blocks, batch_tokens, seed)


def token_stream(plain: PlainText, tokenizer: Tokenizer) -> np.ndarray:
    """Returns the ids (N,) of a whole text.

    Characters and bytes hold line breaks; with other tokenizers each line that is not blank ends
    in [SEP].

    Raises:
        InputError: there are fewer than two, so that there is nothing to predict.
    """
    if tokenizer.config.keeps_lines:
        rows = tokenizer.pieces([plain.text])
    else:
        lines = [line for line in plain.text.split("\n") if line.strip()]
        rows = [[*row, tokenizer.sep_id] for row in tokenizer.pieces(lines)]
    ids = np.array([i for row in rows for i in row], "int32")
    if len(ids) < 2:
        raise InputError(f"{plain.path}: expected at least two tokens, got {len(ids)}.")
    return ids


def block_batches(blocks: list[np.ndarray], batch_tokens: int, seed: int = 0) -> Batches:
    """Batches of blocks of T + 1 ids: the model reads the first T and predicts the last T."""
    return Batches(
        {"ids": [block[:-1] for block in blocks]}, [block[1:] for block in blocks],
        batch_tokens=batch_tokens, bucket=None, seed=seed,
    )  # fmt: skip


def language_perplexity(plain: PlainText, tokenizer: Tokenizer, max_length: int) -> Perplexity:
    """Measures a model on a text: every token but the first is predicted once, block by block."""
    blocks = _blocks(token_stream(plain, tokenizer), max_length)
    return Perplexity(block_batches(blocks, VALIDATION_TOKENS), num_characters=len(plain.text))


def _blocks(stream: np.ndarray, length: int) -> list[np.ndarray]:
    """Stretches of `length + 1` ids; each starts with the last id of the one before."""
    starts = range(0, len(stream) - 1, length)
    return [stream[start : start + length + 1] for start in starts]
