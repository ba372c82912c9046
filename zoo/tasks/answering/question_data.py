"""Training and validation questions, encoded as the windows that a model reads."""

import dataclasses
import functools
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from keras_transformer.zoo.answering.answers import answer_outputs
from keras_transformer.zoo.answering.windows import QuestionWindows
from keras_transformer.zoo.data.batches import Batches, SampledBatches
from keras_transformer.zoo.data.questions import QuestionRows
from keras_transformer.zoo.errors import InputError
from keras_transformer.zoo.modalities.modality import InputSpec
from keras_transformer.zoo.modalities.text import Text
from keras_transformer.zoo.progress import Report
from keras_transformer.zoo.tagging.words import Words
from keras_transformer.zoo.vocabularies.piece_dropout import PieceDropout

if TYPE_CHECKING:
    import keras

NUM_PROBES = 64


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class QuestionData:
    """Training and validation questions of a run, see `RunData`.

    Attributes:
        task: `QuestionAnswering`.
        train, validation: questions; the first answer of each is learned.
        modality: modality that encodes them.
    """

    task: Any
    train: QuestionRows
    validation: QuestionRows
    modality: Text

    @property
    def vocab_sizes(self) -> dict[str, int]:
        return self.modality.model_settings()

    def batches(
        self, *, batch_tokens: int, bucket: int, seed: int, piece_dropout: float = 0.0
    ) -> Batches | SampledBatches:
        def of(windows: QuestionWindows) -> Batches:
            targets = [window.targets(self._answers[window.row]) for window in windows.windows]
            return Batches(
                self._columns(windows), targets, specs=self._inputs, batch_tokens=batch_tokens,
                bucket=bucket, seed=seed,
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

        windows = self._validation
        batches = Batches(
            self._columns(windows), specs=self._inputs, batch_tokens=PREDICT_TOKENS
        )
        return lambda model: self.task.tuned_metrics(
            self.validation, answer_outputs(windows, predict_each(model, batches), None)
        )

    def written_metrics(self, model: Any) -> dict[str, Any]:
        return {}

    def probes(self, seed: int) -> dict[str, np.ndarray]:
        columns = self._columns(self._validation)
        rows = len(next(iter(columns.values())))
        chosen = np.random.default_rng(seed).choice(rows, min(NUM_PROBES, rows), replace=False)
        return {
            spec.name: spec.pad([columns[spec.name][row] for row in chosen])
            for spec in self._inputs
        }

    def report_cuts(self, report: Report) -> None:
        """Reports what is split or cut."""
        length = self.modality.max_length
        for rows, windows in ((self.train, self._train), (self.validation, self._validation)):
            for count, what in (
                (windows.num_split, f"contexts do not fit in {length} tokens with their question "
                 "and are read in several windows."),
                (sum(windows.truncated), "questions, or words of their contexts, are too long and "
                 "were cut."),
            ):  # fmt: skip
                if count:
                    report.note(f"{rows.path}: {count} {what}")

    def _columns(self, windows: QuestionWindows) -> dict[str, list[np.ndarray]]:
        return {spec.name: windows.columns[spec.name] for spec in self._inputs}

    @functools.cached_property
    def _answers(self) -> list[tuple[int, int] | None]:
        """The first and last word of each training answer."""
        given = zip(self.train.contexts, self.train.targets or [], strict=True)
        return [
            _words_of(context, one[0].start, len(one[0].text)) if one else None
            for context, one in given
        ]

    @functools.cached_property
    def _inputs(self) -> tuple[InputSpec, ...]:
        return self.modality.inputs(pair=True)

    def _read(self, rows: QuestionRows) -> QuestionWindows:
        windows = self.task.windows(rows, self.modality)
        if not windows.windows:
            raise InputError(f"{rows.path}: expected a word that the tokenizer reads, got none.")
        return windows

    @functools.cached_property
    def _train(self) -> QuestionWindows:
        return self._read(self.train)

    @functools.cached_property
    def _validation(self) -> QuestionWindows:
        return self._read(self.validation)


def _words_of(context: Words, start: int, length: int) -> tuple[int, int] | None:
    """The first and last word that a range of characters touches."""
    touched = [
        word for word, (first, end) in enumerate(context.places)
        if first < start + length and end > start
    ]  # fmt: skip
    return (touched[0], touched[-1]) if touched else None
