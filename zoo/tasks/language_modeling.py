"""Data of a language model: plain text as one stream of tokens, cut into blocks without padding."""

import dataclasses
from collections.abc import Callable
from typing import Any

import keras
import numpy as np

from keras_transformer.zoo.checkpoint import Checkpoint
from keras_transformer.zoo.data.batches import Batches, SampledBatches
from keras_transformer.zoo.data.plain_text import PlainText, blocks, token_stream
from keras_transformer.zoo.evaluation.perplexity import block_batches, language_perplexity
from keras_transformer.zoo.progress import Report
from keras_transformer.zoo.recipe import Recipe
from keras_transformer.zoo.tasks.task import Task
from keras_transformer.zoo.tokenizers.tokenizer import Tokenizer

NUM_PROBES = 32


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
        """The tokenizers of a checkpoint, by the names that `Checkpoint` gives them."""
        return {"tokenizer": self.tokenizer}

    def batches(self, recipe: Recipe) -> SampledBatches:
        """The training batches: blocks of the stream, which starts elsewhere in every epoch."""
        stream = token_stream(self.train, self.tokenizer)

        def sample(epoch: int) -> Batches:
            rng = np.random.default_rng((recipe.training.seed, epoch))
            # As many blocks in every epoch, wherever it starts.
            spare = len(stream) - self.max_length
            start = int(rng.integers(min(self.max_length, spare))) if spare > 0 else 0
            count = max(1, spare // self.max_length)
            cut = blocks(stream[start:], self.max_length)[:count]
            return block_batches(cut, recipe.data.batch_tokens, recipe.training.seed)

        return SampledBatches(sample)

    def validator(self) -> Callable[[keras.Model], dict[str, Any]]:
        """Returns the function from a model to its metrics on the validation text."""
        return language_perplexity(self.validation, self.tokenizer, self.max_length)

    def written_metrics(self, checkpoint: Checkpoint) -> dict[str, Any]:
        """Nothing: `validator` measures all."""
        return {}

    def probes(self, seed: int) -> dict[str, np.ndarray]:
        """A few blocks of the validation text."""
        cut = blocks(token_stream(self.validation, self.tokenizer), self.max_length)
        full = [block[:-1] for block in cut if len(block) == len(cut[0])]
        rows = np.random.default_rng(seed).choice(
            len(full), min(NUM_PROBES, len(full)), replace=False
        )
        return {"ids": np.array([full[row] for row in rows], "int32")}

    def report_cuts(self, report: Report) -> None:
        """Nothing is cut from a stream."""
