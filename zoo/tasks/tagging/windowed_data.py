"""Training and validation rows of a run that a model reads in windows."""

import abc
import dataclasses
import functools
import itertools
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from keras_transformer.zoo.data.batches import Batches, SampledBatches
from keras_transformer.zoo.errors import InputError
from keras_transformer.zoo.modalities.modality import InputSpec
from keras_transformer.zoo.modalities.text import Text
from keras_transformer.zoo.progress import Report
from keras_transformer.zoo.vocabularies.piece_dropout import PieceDropout

if TYPE_CHECKING:
    import keras

NUM_PROBES = 64


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class WindowedData(abc.ABC):
    """Training and validation rows of a run, see `RunData`.

    Subclasses say the targets and the metrics of windows, and what was split or cut.

    Attributes:
        task: task whose `windows` the model reads.
        train, validation: rows of the task's kind.
        modality: modality that encodes them.
    """

    task: Any
    train: Any
    validation: Any
    modality: Text

    @abc.abstractmethod
    def targets(self, windows: Any) -> Sequence[np.ndarray]:
        """Returns the targets of windows of the training rows."""

    @abc.abstractmethod
    def metrics(self, outputs: list[np.ndarray]) -> dict[str, Any]:
        """Returns the metrics of outputs for the windows of the validation rows."""

    @abc.abstractmethod
    def cuts(self, rows: Any, windows: Any) -> Iterator[tuple[int, str]]:
        """Yields how many there are of what is split, cut or changed, and what it is."""

    @property
    def vocab_sizes(self) -> dict[str, int]:
        return self.modality.model_settings()

    def batches(
        self, *, batch_tokens: int, bucket: int, seed: int, piece_dropout: float = 0.0
    ) -> Batches | SampledBatches:
        def of(windows: Any) -> Batches:
            return Batches(
                self._columns(windows), self.targets(windows), specs=self._inputs,
                batch_tokens=batch_tokens, bucket=bucket, seed=seed,
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
        outputs = self.predictor()
        return lambda model: self.metrics(outputs(model))

    def predictor(self) -> "Callable[[keras.Model], list[np.ndarray]]":
        """Returns a function from a model to its outputs for the windows of the validation rows.

        They are (T or more, outputs) for each window.
        """
        # Keras is not imported where a file alone is evaluated.
        from keras_transformer.zoo.models.running.predict import PREDICT_TOKENS, predict_each

        batches = Batches(
            self._columns(self._validation), specs=self._inputs, batch_tokens=PREDICT_TOKENS
        )
        return lambda model: predict_each(model, batches)

    def written_metrics(self, model: Any) -> dict[str, Any]:
        return {}

    def probes(self, seed: int) -> dict[str, np.ndarray]:
        columns, count = self._columns(self._validation), len(self._validation.windows)
        rows = np.random.default_rng(seed).choice(count, min(NUM_PROBES, count), replace=False)
        return {
            spec.name: spec.pad([columns[spec.name][row] for row in rows]) for spec in self._inputs
        }

    def report_cuts(self, report: Report) -> None:
        parts = [
            [(count, f"{rows.path}: {{}} {what}") for count, what in self.cuts(rows, windows)]
            for rows, windows in ((self.train, self._train), (self.validation, self._validation))
        ]
        train, validation = self.train, self.validation
        is_share = train.path == validation.path and set(train.rows()).isdisjoint(validation.rows())
        if is_share:
            # A share of the training data has one note with the rest of it.
            pairs = zip(*parts, strict=True)
            parts = [[(one + other, what) for (one, what), (other, _) in pairs]]
        for count, what in itertools.chain(*parts):
            if count:
                report.note(what.format(count))

    def _columns(self, windows: Any) -> dict[str, list[np.ndarray]]:
        return {spec.name: windows.columns[spec.name] for spec in self._inputs}

    @functools.cached_property
    def _inputs(self) -> tuple[InputSpec, ...]:
        return self.modality.inputs(pair=self.task.pair)

    def _read(self, rows: Any) -> Any:
        windows = self.task.windows(rows, self.modality)
        if not windows.windows:
            raise InputError(f"{rows.path}: expected a word that the tokenizer reads, got none.")
        return windows

    @functools.cached_property
    def _train(self) -> Any:
        return self._read(self.train)

    @functools.cached_property
    def _validation(self) -> Any:
        return self._read(self.validation)
