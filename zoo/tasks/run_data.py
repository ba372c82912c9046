"""The interface of a run's data, encoded for its model."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from keras_transformer.zoo.data.batches import Batches, SampledBatches
from keras_transformer.zoo.modalities.modality import Modality
from keras_transformer.zoo.progress import Report

if TYPE_CHECKING:
    import keras


class RunData(Protocol):
    """Training and validation examples, with their encoding as a model's inputs.

    Attributes:
        task: task of the run.
        train, validation: examples from `Task.read`.
        modality: modality that encodes them, truncated to its `max_length`.
    """

    task: Any
    train: Any
    validation: Any
    modality: Modality

    @property
    def vocab_sizes(self) -> dict[str, int]:
        """Settings of the model's config determined by the modality, such as vocabulary sizes."""

    def batches(
        self, *, batch_tokens: int, bucket: int, seed: int, piece_dropout: float = 0.0
    ) -> Batches | SampledBatches:
        """Returns the training batches.

        Args:
            batch_tokens, bucket, seed: see `Batches`.
            piece_dropout: see `PieceDropout`; above 0, rows are encoded again in every epoch, those
                of prepared data batch by batch, see `DroppedPieces`.
        """

    def validator(self) -> "Callable[[keras.Model], dict[str, Any]]":
        """Returns a function from a model to its metrics on the validation examples."""

    def written_metrics(self, model: Any) -> dict[str, Any]:
        """Returns metrics of the trained model's generated text for the validation examples.

        Args:
            model: checkpoint, whose `generator()` is used.
        """

    def probes(self, seed: int) -> dict[str, np.ndarray]:
        """Returns a few validation rows as inputs (rows, ...) by name, padded to one length."""

    def report_cuts(self, report: Report) -> None:
        """Reports how many rows are longer than the model's maximum length."""
