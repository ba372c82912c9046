"""Training and validation questions, encoded as the windows that a model reads."""

import dataclasses
from collections.abc import Iterator
from typing import Any

import numpy as np

from keras_transformer.zoo.answering.answers import answer_outputs
from keras_transformer.zoo.answering.windows import QuestionWindows
from keras_transformer.zoo.data.questions import QuestionRows
from keras_transformer.zoo.tagging.words import Words
from keras_transformer.zoo.tasks.tagging.windowed_data import WindowedData


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class QuestionData(WindowedData):
    """Training and validation rows of `QuestionAnswering`; the first answer of each is learned."""

    train: QuestionRows
    validation: QuestionRows

    def targets(self, windows: QuestionWindows) -> list[np.ndarray]:
        return _targets(self.train, windows)

    @property
    def validation_targets(self) -> list[np.ndarray]:
        """The targets (T,) of the windows of the validation rows."""
        return _targets(self.validation, self._validation)

    def metrics(self, outputs: list[np.ndarray]) -> dict[str, Any]:
        found = answer_outputs(self._validation, outputs, None)
        return self.task.tuned_metrics(self.validation, found)

    def cuts(self, rows: QuestionRows, windows: QuestionWindows) -> Iterator[tuple[int, str]]:
        length = self.modality.max_length
        yield windows.num_split, (
            f"contexts do not fit in {length} tokens with their question and are read in several "
            "windows."
        )
        yield sum(windows.truncated), (
            "questions, or words of their contexts, are too long and were cut."
        )


def _targets(rows: QuestionRows, windows: QuestionWindows) -> list[np.ndarray]:
    """The targets of windows of rows, whose first answers count."""
    answers = [
        _words_of(context, one[0].start, len(one[0].text)) if one else None
        for context, one in zip(rows.contexts, rows.targets or [], strict=True)
    ]  # fmt: skip
    return [window.targets(answers[window.row]) for window in windows.windows]


def _words_of(context: Words, start: int, length: int) -> tuple[int, int] | None:
    """The first and last word that a range of characters touches."""
    touched = [
        word for word, (first, end) in enumerate(context.places)
        if first < start + length and end > start
    ]  # fmt: skip
    return (touched[0], touched[-1]) if touched else None
