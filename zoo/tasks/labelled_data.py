"""Training and validation rows with one target each, encoded for a model."""

import dataclasses
import functools
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from keras_transformer.zoo.augmentation.pieces import DroppedPieces
from keras_transformer.zoo.data.batches import Batches, SampledBatches
from keras_transformer.zoo.data.pair_batches import PairBatches
from keras_transformer.zoo.data.rows import Examples, drawn_rows
from keras_transformer.zoo.logits import finite
from keras_transformer.zoo.modalities.modality import Features, InputSpec, Modality
from keras_transformer.zoo.prepared.context import current_store
from keras_transformer.zoo.prepared.encode import EncodeRows, are_prepared, encoded
from keras_transformer.zoo.prepared.media import prepared_columns
from keras_transformer.zoo.progress import Report
from keras_transformer.zoo.vocabularies.piece_dropout import PieceDropout

if TYPE_CHECKING:
    import keras

    from keras_transformer.zoo.tasks.labelled import LabelledTask

NUM_PROBES = 64
# Rows that are read between two reports of it, where reading one takes a while.
_ROWS_READ = 50


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class LabelledData:
    """Training and validation rows of a run, see `RunData`.

    Attributes:
        train, validation: examples.
        modality: modality that encodes them.
        out_of_scope: rows that the model is to reject, if any, see `Task.has_scope`.
    """

    task: "LabelledTask"
    train: Examples
    validation: Examples
    modality: Modality
    out_of_scope: Examples | None = None
    _made: dict[str, Features] = dataclasses.field(default_factory=dict, init=False, repr=False)

    @property
    def vocab_sizes(self) -> dict[str, int]:
        return self.modality.model_settings()

    def batches(
        self, *, batch_tokens: int, bucket: int, seed: int, piece_dropout: float = 0.0
    ) -> Batches | PairBatches | SampledBatches | DroppedPieces:
        weights = self.train.weights

        def of(found: Features, epoch: int = 0) -> Batches | PairBatches:
            rows = None if weights is None else drawn_rows(weights, (seed, epoch))
            return self.task.batches(
                found.of(self._inputs), self.train.targets, specs=self._inputs,
                batch_tokens=batch_tokens, bucket=bucket, seed=seed, rows=rows,
            )  # fmt: skip

        if piece_dropout:
            tokenizer = PieceDropout(self.modality.tokenizer, piece_dropout)
            text = dataclasses.replace(self.modality, tokenizer=tokenizer)
            if current_store() is not None and are_prepared([self.task.rows(self.train)[0]]):
                return self._dropped(
                    self.batches(batch_tokens=batch_tokens, bucket=bucket, seed=seed), text, seed
                )

            def sample(epoch: int) -> Batches:
                tokenizer.seed(seed, epoch)
                return of(self._encode(self.train, text), epoch)

            return SampledBatches(sample)
        if weights is not None:
            return SampledBatches(lambda epoch: of(self._encoded_train, epoch))
        return of(self._encoded_train)

    def _dropped(self, batches: Any, text: Any, seed: int) -> DroppedPieces:
        """Batches of many rows, split into other pieces one by one."""
        rows, pairs = self.task.rows(self.train)

        def encode(index: np.ndarray, rng: np.random.Generator) -> dict[str, Any]:
            text.tokenizer.seed(int(rng.integers(2**63)))
            second = None if pairs is None else [pairs[row] for row in index]
            return text.encode([rows[row] for row in index], second).of(self._inputs)

        return DroppedPieces(
            batches, encode, rate=text.tokenizer.rate, longest=text.max_length, seed=seed
        )

    def validator(self) -> "Callable[[keras.Model], dict[str, Any]]":
        targets = self.validation.targets
        return lambda model: self.task.metrics(targets, self.validation_scores(model))

    def validation_scores(self, model: "keras.Model") -> np.ndarray:
        """Returns a model's outputs for the validation rows.

        Raises:
            RunError: if they are not finite.
        """
        return _outputs(model, self._validation_batches)

    def scores_of(self, model: "keras.Model", part: Examples) -> np.ndarray:
        """Returns a model's outputs for other rows, as `validation_scores`."""
        return _outputs(model, self._unshuffled(self._encode(part, self.modality)))

    def written_metrics(self, model: Any) -> dict[str, Any]:
        return {}

    def probes(self, seed: int) -> dict[str, np.ndarray]:
        encoded = self._encoded_validation
        count = min(NUM_PROBES, len(encoded.truncated))
        rows = np.random.default_rng(seed).choice(len(encoded.truncated), count, replace=False)
        return {
            spec.name: spec.pad([encoded.columns[spec.name][row] for row in rows])
            for spec in self._inputs
        }

    def report_cuts(self, report: Report) -> None:
        for name in ("train", "validation", "out_of_scope"):
            if (part := getattr(self, name)) is None:
                continue
            found = self._encoded(name, report)
            report.cut(part.path, len(found.truncated), found.num_truncated, self.modality.longest)

    @functools.cached_property
    def _inputs(self) -> tuple[InputSpec, ...]:
        return self.modality.inputs(pair=self.task.pair)

    @functools.cached_property
    def _validation_batches(self) -> Batches:
        return self._unshuffled(self._encoded_validation)

    def _unshuffled(self, encoded: Features) -> Batches:
        # Keras is not imported where a file alone is evaluated.
        from keras_transformer.zoo.models.running.predict import PREDICT_TOKENS

        return Batches(encoded.of(self._inputs), specs=self._inputs, batch_tokens=PREDICT_TOKENS)

    @property
    def _encoded_train(self) -> Features:
        return self._encoded("train")

    @property
    def _encoded_validation(self) -> Features:
        return self._encoded("validation")

    def _encoded(self, name: str, report: Report | None = None) -> Features:
        """A part's rows as inputs of the model, encoded once; a report receives how far it is."""
        if name not in self._made:
            self._made[name] = self._encode(getattr(self, name), self.modality, report)
        return self._made[name]

    def _encode(
        self, part: Examples, modality: Modality, report: Report | None = None
    ) -> Features:
        rows, pairs = self.task.rows(part)
        # Pieces that are drawn anew in each epoch are not prepared.
        store = current_store() if modality is self.modality else None
        if store is not None and (prepared := prepared_columns(store, modality, rows, pairs)):
            columns, at_a_time = prepared
            told = report or Report()
            return encoded(
                store, EncodeRows.of(modality), columns, modality.inputs(pair=pairs is not None),
                progress=lambda done: told.reading(part.path, done, len(rows)),
                at_a_time=at_a_time,
            )
        if report is None or modality.is_text:
            return modality.encode(rows, pairs)
        read: dict[str, list[np.ndarray]] = {}
        truncated: list[bool] = []
        for start in range(0, len(rows), _ROWS_READ):
            end = start + _ROWS_READ
            found = modality.encode(rows[start:end], None if pairs is None else pairs[start:end])
            for column, values in found.columns.items():
                read.setdefault(column, []).extend(values)
            truncated += found.truncated
            report.reading(part.path, len(truncated), len(rows))
        return Features(read, truncated)


def _outputs(model: "keras.Model", batches: Batches) -> np.ndarray:
    from keras_transformer.zoo.models.running.predict import predict

    return finite(predict(model, batches))
