"""Training and validation rows of words, encoded as the windows that a model reads."""

import dataclasses
import functools
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from keras_transformer.zoo.data.batches import NO_TARGET, Batches, SampledBatches
from keras_transformer.zoo.data.tagged import TaggedRows
from keras_transformer.zoo.errors import InputError
from keras_transformer.zoo.modalities.modality import InputSpec
from keras_transformer.zoo.modalities.text import Text
from keras_transformer.zoo.progress import Report
from keras_transformer.zoo.tagging.windows import Windows
from keras_transformer.zoo.vocabularies.piece_dropout import PieceDropout

if TYPE_CHECKING:
    import keras

NUM_PROBES = 64


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class TaggedData:
    """Training and validation rows of a run, see `RunData`.

    Attributes:
        task: `TokenClassification`.
        train, validation: rows.
        modality: modality that encodes them.
    """

    task: Any
    train: TaggedRows
    validation: TaggedRows
    modality: Text

    @property
    def vocab_sizes(self) -> dict[str, int]:
        return self.modality.model_settings()

    def batches(
        self, *, batch_tokens: int, bucket: int, seed: int, piece_dropout: float = 0.0
    ) -> Batches | SampledBatches:
        def of(windows: Windows) -> Batches:
            return Batches(
                windows.columns, windows.targets(self.train.targets, NO_TARGET),
                specs=self._inputs, batch_tokens=batch_tokens, bucket=bucket, seed=seed,
            )  # fmt: skip

        if not piece_dropout:
            return of(self._train)
        tokenizer = PieceDropout(self.modality.tokenizer, piece_dropout)
        text = dataclasses.replace(self.modality, tokenizer=tokenizer)

        def sample(epoch: int) -> Batches:
            tokenizer.seed(seed, epoch)
            return of(self.task.windows(self.train, text))

        return SampledBatches(sample)

    def validator(self) -> "Callable[[keras.Model], dict[str, Any]]":
        # Keras is not imported where a file alone is evaluated.
        from keras_transformer.zoo.models.running.predict import PREDICT_TOKENS, predict_each

        windows, count = self._validation, len(self.task.labels)
        batches = Batches(windows.columns, specs=self._inputs, batch_tokens=PREDICT_TOKENS)
        return lambda model: self.task.metrics(
            self.validation, windows.outputs(predict_each(model, batches), count)
        )

    def written_metrics(self, model: Any) -> dict[str, Any]:
        return {}

    def probes(self, seed: int) -> dict[str, np.ndarray]:
        windows, columns = self._validation.windows, self._validation.columns
        count = min(NUM_PROBES, len(windows))
        rows = np.random.default_rng(seed).choice(len(windows), count, replace=False)
        return {
            spec.name: spec.pad([columns[spec.name][row] for row in rows]) for spec in self._inputs
        }

    def report_cuts(self, report: Report) -> None:
        """Reports what is split or cut, and what of the tags was changed."""
        for rows, windows in ((self.train, self._train), (self.validation, self._validation)):
            length = self.modality.max_length
            for count, what in (
                (windows.num_split, f"rows are longer than {length} tokens and are read in "
                 "several windows."),
                (sum(windows.truncated), f"rows have a word of more than {length} tokens, whose "
                 "end is not read."),
                (windows.num_unread, "words are empty to the tokenizer and are not read."),
                (rows.repaired, "tags break the rules of their scheme; they are read as "
                 "conlleval does."),
                (rows.widened, "spans do not begin and end where words do; they are widened."),
            ):  # fmt: skip
                if count:
                    report.note(f"{rows.path}: {count} {what}")

    @functools.cached_property
    def _inputs(self) -> tuple[InputSpec, ...]:
        return self.modality.inputs()

    def _read(self, rows: TaggedRows) -> Windows:
        windows = self.task.windows(rows, self.modality)
        if not windows.windows:
            raise InputError(f"{rows.path}: expected a word that the tokenizer reads, got none.")
        return windows

    @functools.cached_property
    def _train(self) -> Windows:
        return self._read(self.train)

    @functools.cached_property
    def _validation(self) -> Windows:
        return self._read(self.validation)
