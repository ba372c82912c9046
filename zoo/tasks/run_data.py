"""The data of a run, encoded for its model."""

from collections.abc import Callable
from typing import Any, Protocol

import keras
import numpy as np

from keras_transformer.zoo.data.batches import Batches, SampledBatches
from keras_transformer.zoo.modalities.modality import Modality
from keras_transformer.zoo.progress import Report


class RunData(Protocol):
    """Training and validation examples, and what makes them a model's inputs.

    Attributes:
        task: the task.
        train, validation: examples, as `Task.read` returned them.
        modality: encodes them, longer ones cut to its `max_length`.
    """

    task: Any
    train: Any
    validation: Any
    modality: Modality

    @property
    def vocab_sizes(self) -> dict[str, int]:
        """Settings of the model's config that follow from the modality, such as a vocabulary's."""

    def batches(
        self, *, batch_tokens: int, bucket: int, seed: int, piece_dropout: float = 0.0
    ) -> Batches | SampledBatches:
        """Returns the training batches.

        Args:
            batch_tokens, bucket, seed: see `Batches`.
            piece_dropout: see `PieceDropout`; above 0, rows are encoded anew in every epoch.
        """

    def validator(self) -> Callable[[keras.Model], dict[str, Any]]:
        """Returns the function from a model to its metrics on the validation examples."""

    def written_metrics(self, model: Any) -> dict[str, Any]:
        """Returns metrics of what the trained model generates for the validation examples.

        Args:
            model: the checkpoint, whose `generator()` generates.
        """

    def probes(self, seed: int) -> dict[str, np.ndarray]:
        """Returns a few validation rows as inputs (rows, ...) by name, padded to one length."""

    def report_cuts(self, report: Report) -> None:
        """Reports how many rows are longer than the model's inputs."""
