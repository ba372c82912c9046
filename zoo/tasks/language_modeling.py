"""Language modeling: prediction of the next token of plain text."""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from keras_transformer.zoo.data.batches import Batches, SampledBatches
from keras_transformer.zoo.data.plain_text import (
    PlainText,
    blocks,
    read_plain,
    split_plain,
    token_stream,
)
from keras_transformer.zoo.data.sources import Source
from keras_transformer.zoo.errors import InputError
from keras_transformer.zoo.evaluation.metric import Metric
from keras_transformer.zoo.modalities.text import Text
from keras_transformer.zoo.prepared.plain import stream_of
from keras_transformer.zoo.progress import Report
from keras_transformer.zoo.tasks.generating import AS_WRITTEN, GeneratingTask
from keras_transformer.zoo.tasks.task import Task
from keras_transformer.zoo.tokenizers.tokenizer import Tokenizer

if TYPE_CHECKING:
    import keras

NUM_PROBES = 32


class PlainTextTask(Task):
    """A task over plain text, which has no columns; subclasses add what is learned of it."""

    columns: ClassVar[Mapping[str, str | None]] = {}

    def read(
        self, source: Source, columns: Mapping[str, str | None] | None = None, *,
        name: str = "data", labelled: bool = True,
    ) -> PlainText:  # fmt: skip
        """Reads plain text from a file, or texts in memory, which become lines."""
        self.named_columns(columns)
        return read_plain(source, name)

    def split(
        self, examples: PlainText, share: float, *, seed: int = 0
    ) -> tuple[PlainText, PlainText]:
        """Splits a text in two at the start of a line; the second part is its end."""
        return split_plain(examples, share)

    def vocabulary_texts(self, examples: PlainText) -> dict[str, Sequence[str]]:
        return {"tokenizer": examples.parts}


@dataclasses.dataclass(frozen=True, kw_only=True)
class LanguageModeling(PlainTextTask, GeneratingTask):
    """Prediction of the next token of a text."""

    name: ClassVar[str] = "language-modeling"
    architectures: ClassVar[tuple[str, ...]] = ("decoder",)
    defaults: ClassVar[Mapping[str, Any]] = {
        "model": "gpt_tiny", "tokenizer": "characters", **AS_WRITTEN
    }  # fmt: skip
    metric: ClassVar[Metric] = Metric(name="perplexity", points=-1.0)

    def run_data(
        self, train: PlainText, validation: PlainText, modality: Text
    ) -> "LanguageData":
        return LanguageData(
            task=self, train=train, validation=validation, tokenizer=modality.tokenizer,
            max_length=modality.max_length,
        )  # fmt: skip

    def inputs(self, examples: PlainText, modality: Text) -> dict[str, list[np.ndarray]]:
        cut = blocks(token_stream(examples, modality.tokenizer), modality.max_length)
        return {"ids": [block[:-1] for block in cut]}

    def evaluate(self, predictor: Any, examples: PlainText, **decoding: Any) -> dict[str, Any]:
        for name, value in decoding.items():
            raise InputError(f"Expected no {name} for perplexity, got {name}={value!r}.")
        return predictor.perplexity(examples)


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class LanguageData:
    """Training and validation text of a run, cut into blocks without padding; see `RunData`.

    Attributes:
        train, validation: texts.
        tokenizer: tokenizer of both.
        max_length: number of tokens of a block, T.
    """

    task: LanguageModeling
    train: PlainText
    validation: PlainText
    tokenizer: Tokenizer
    max_length: int

    @property
    def vocab_sizes(self) -> dict[str, int]:
        return {"vocab_size": self.tokenizer.vocab_size}

    @property
    def modality(self) -> Text:
        return Text(tokenizer=self.tokenizer, max_length=self.max_length)

    def batches(
        self, *, batch_tokens: int, bucket: int, seed: int, piece_dropout: float = 0.0
    ) -> SampledBatches:
        """Returns the training batches: blocks of the stream, with another start in each epoch.

        All blocks have the same length, so there is nothing to bucket.
        """
        from keras_transformer.zoo.evaluation.perplexity import block_batches

        stream, digest = stream_of(self.train, self.tokenizer)

        def sample(epoch: int) -> Batches:
            rng = np.random.default_rng((seed, epoch))
            # The same number of blocks in every epoch, whatever its start.
            spare = len(stream) - self.max_length
            start = int(rng.integers(min(self.max_length, spare))) if spare > 0 else 0
            count = max(1, spare // self.max_length)
            return block_batches(
                stream, self.max_length, batch_tokens, seed, start=start, count=count,
                digest=digest,
            )  # fmt: skip

        return SampledBatches(sample)

    def validator(self) -> "Callable[[keras.Model], dict[str, Any]]":
        from keras_transformer.zoo.evaluation.perplexity import language_perplexity

        return language_perplexity(self.validation, self.tokenizer, self.max_length)

    def written_metrics(self, model: Any) -> dict[str, Any]:
        return {}

    def probes(self, seed: int) -> dict[str, np.ndarray]:
        cut = blocks(token_stream(self.validation, self.tokenizer), self.max_length)
        full = [block[:-1] for block in cut if len(block) == len(cut[0])]
        rows = np.random.default_rng(seed).choice(
            len(full), min(NUM_PROBES, len(full)), replace=False
        )
        return {"ids": np.array([full[row] for row in rows], "int32")}

    def report_cuts(self, report: Report) -> None:
        """Reports no cuts, as a stream is not truncated, but how far its encoding is."""
        stream_of(self.train, self.tokenizer, report)
