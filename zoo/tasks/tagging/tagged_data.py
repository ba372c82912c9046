"""Training and validation rows of words, encoded as the windows that a model reads."""

import dataclasses
from collections.abc import Iterator
from typing import Any

import numpy as np

from keras_transformer.zoo.data.batches import NO_TARGET
from keras_transformer.zoo.data.tagged import TaggedRows
from keras_transformer.zoo.tagging.windows import Windows
from keras_transformer.zoo.tasks.tagging.windowed_data import WindowedData


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class TaggedData(WindowedData):
    """Training and validation rows of `TokenClassification`."""

    train: TaggedRows
    validation: TaggedRows

    def targets(self, windows: Windows) -> list[np.ndarray]:
        return windows.targets(self.train.targets, NO_TARGET)

    def metrics(self, outputs: list[np.ndarray]) -> dict[str, Any]:
        found = self._validation.outputs(outputs, len(self.task.labels))
        return self.task.metrics(self.validation, found)

    def cuts(self, rows: TaggedRows, windows: Windows) -> Iterator[tuple[int, str]]:
        length = self.modality.max_length
        yield windows.num_split, (
            f"rows are longer than {length} tokens and are read in several windows."
        )
        yield sum(windows.truncated), (
            f"rows have a word of more than {length} tokens, whose end is not read."
        )
        yield windows.num_unread, "words are empty to the tokenizer and are not read."
        yield sum(rows.repairs), (
            "tags break the rules of their scheme; they are read as conlleval does."
        )
        yield sum(rows.widenings), "spans do not begin and end where words do; they are widened."
