"""Base of the tasks with one target per example: a row of a modality, or a pair of rows."""

import abc
import dataclasses
import functools
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np

from keras_transformer.zoo.data.batches import Batches, SampledBatches
from keras_transformer.zoo.data.pair_batches import PairBatches
from keras_transformer.zoo.data.sources import Source, read_source
from keras_transformer.zoo.data.tables import Examples, Table, column
from keras_transformer.zoo.errors import InputError, RunError
from keras_transformer.zoo.modalities.modality import Features, InputSpec, Modality
from keras_transformer.zoo.modalities.registry import modality_named
from keras_transformer.zoo.outputs import Outputs
from keras_transformer.zoo.progress import Report
from keras_transformer.zoo.tasks.task import Task
from keras_transformer.zoo.vocabularies.piece_dropout import PieceDropout

if TYPE_CHECKING:
    import keras

NUM_PROBES = 64


@dataclasses.dataclass(frozen=True, kw_only=True)
class LabelledTask(Task):
    """A task that predicts one target for each row, or each pair of rows.

    Subclasses add `head`, `loss`, `targets`, `metrics` and `output_difference`.

    Attributes:
        pair: whether an example is a pair of rows.
        modality: name of the modality of the rows.
        needs_pairs: whether a named column of second rows is required where targets are not.
        reads_lists: whether a row may have a list of labels.
        stored: names of the fields that `to_json` holds where they are not the default.
    """

    pair: bool = False
    modality: str = "text"

    columns: ClassVar[Mapping[str, str | None]] = {
        "text": "text", "text_pair": None, "label": "label"
    }  # fmt: skip
    defaults: ClassVar[Mapping[str, Any]] = {"model": "bert_tiny"}
    needs_pairs: ClassVar[bool] = True
    reads_lists: ClassVar[bool] = False
    stored: ClassVar[tuple[str, ...]] = ()

    @abc.abstractmethod
    def targets(self, table: Table, label: str) -> tuple[np.ndarray, Sequence[str]]:
        """Returns the targets of a column, see `Examples`, and the class names, if any."""

    @abc.abstractmethod
    def metrics(self, targets: np.ndarray, scores: np.ndarray) -> dict[str, Any]:
        """Returns the metrics of outputs (rows, units) against targets (rows,)."""

    @property
    def num_outputs(self) -> int:
        """Width of the output."""
        return self.head().units

    def read(
        self, source: Source, columns: Mapping[str, str | None] | None = None, *,
        name: str = "data", labelled: bool = True,
    ) -> Examples:  # fmt: skip
        names = self.named_columns(columns)
        text, pair, label = names["text"], names["text_pair"], names["label"]
        if pair is None and self.pair:
            pair = "text_pair"
        texts = [text] if pair is None else [text, pair]
        kind = modality_named(self.modality)
        others = [] if label is None else [label]
        if pair is not None and not (labelled or self.needs_pairs):
            texts, others = [text], [pair, *others]
        lists = [label] if self.reads_lists and label is not None else []
        table = read_source(source, texts, others, name=name, is_text=kind.is_text, lists=lists)
        if pair is not None and pair not in (*texts, *table.columns):
            pair = None
        is_there = label in table.columns and label not in table.problems
        if label is not None and not labelled and not is_there:
            label = None
        targets, labels = None, list(self.labels)
        if label is not None:
            targets, labels = self.targets(table, label)

        def rows(key):
            values = enumerate(column(table, key))
            return [kind.read_row(value, table.at(place)) for place, value in values]

        return Examples(
            texts=rows(text), pairs=None if pair is None else rows(pair),
            targets=targets, labels=list(labels), path=table.path, lines=table.lines,
        )  # fmt: skip

    def vocabulary_texts(self, examples: Examples) -> dict[str, Sequence[str]]:
        return {"tokenizer": [*examples.texts, *(examples.pairs or [])]}

    def reading(self, modality: str) -> Self:
        return dataclasses.replace(self, modality=modality)

    def run_data(
        self, train: Examples, validation: Examples, modality: Modality
    ) -> "LabelledData":
        return LabelledData(task=self, train=train, validation=validation, modality=modality)

    def inputs(self, examples: Examples, modality: Modality) -> dict[str, list[np.ndarray]]:
        encoded = modality.encode(*self.rows(examples))
        return encoded.of(modality.inputs(pair=self.pair))

    def rows(self, examples: Examples) -> tuple[list[Any], list[Any] | None]:
        """Returns the rows that the model reads, and their second rows.

        Raises:
            InputError: if the examples are pairs and the model reads single rows, or vice versa.
        """
        self._check_pairs(examples)
        return examples.texts, examples.pairs

    def batches(
        self, columns: Mapping[str, Sequence[np.ndarray]], targets: np.ndarray, **options: Any
    ) -> Batches | PairBatches:
        """Returns training batches of the encoded `rows` and their targets, see `Batches`."""
        return Batches(columns, targets, **options)

    def evaluate(self, predictor: Any, examples: Examples, **decoding: Any) -> dict[str, Any]:
        for name, value in decoding.items():
            raise InputError(
                f"Expected {name} only for a model that generates text, got {name}={value!r}."
            )
        return self.measured(examples, self.outputs_of(predictor, examples))

    def outputs_of(self, predictor: Any, examples: Examples) -> Outputs:
        """Returns a checkpoint's or a file's outputs for examples with targets.

        Raises:
            InputError: if there are no targets, or the rows do not fit.
        """
        if examples.targets is None:
            raise InputError(f"{examples.path}: expected a label column to evaluate on.")
        return predictor.outputs(*self.rows(examples))

    def measured(self, examples: Examples, outputs: Outputs) -> dict[str, Any]:
        """Returns the result of `evaluate` for outputs of the examples."""
        truncated = np.array(outputs.truncated).reshape(-1, len(examples)).any(axis=0)
        return {
            "rows": len(examples), "truncated": int(truncated.sum()),
            **self.metrics(examples.targets, finite(outputs.scores)),
        }  # fmt: skip

    def options(self) -> dict[str, Any]:
        labels = {"labels": self.labels} if self.labels else {}
        own = self._changed(self.own_options)
        return {**labels, **({"text_pair": "text_pair"} if self.pair else {}), **own}

    def to_json(self) -> dict[str, Any]:
        return super().to_json() | self._changed(self.stored)

    @classmethod
    def from_json(cls, value: Mapping[str, Any], labels: tuple[str, ...]) -> Self:
        own = {name: value[name] for name in cls.stored if name in value}
        others = {name: one for name, one in value.items() if name not in own}
        task = super().from_json(others, labels)
        named = {"labels": labels} if labels else {}
        if labels and "labels" not in {field.name for field in dataclasses.fields(cls)}:
            raise InputError(
                f"Expected no labels for {cls.name}, got {len(labels)}: the task was changed."
            )
        return dataclasses.replace(task, pair=bool(value["pair"]), **named, **own)

    @classmethod
    def of_columns(cls, columns: Mapping[str, str | None]) -> Self:
        return cls(pair=columns.get("text_pair") is not None)

    def _changed(self, names: Sequence[str]) -> dict[str, Any]:
        """The fields of these names that are not the default."""
        defaults = {field.name: field.default for field in dataclasses.fields(self)}
        values = {name: getattr(self, name) for name in names}
        return {
            name: list(value) if isinstance(value, tuple) else value
            for name, value in values.items() if value != defaults[name]
        }  # fmt: skip

    def _check_pairs(self, examples: Examples) -> None:
        if (examples.pairs is not None) != self.pair:
            rows = modality_named(self.modality).rows
            expected = f"pairs of {rows}" if self.pair else f"single {rows}"
            raise InputError(f"Expected {expected}, as the model was trained on.")


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class LabelledData:
    """Training and validation rows of a run, see `RunData`.

    Attributes:
        train, validation: examples.
        modality: modality that encodes them.
    """

    task: LabelledTask
    train: Examples
    validation: Examples
    modality: Modality

    @property
    def vocab_sizes(self) -> dict[str, int]:
        return self.modality.model_settings()

    def batches(
        self, *, batch_tokens: int, bucket: int, seed: int, piece_dropout: float = 0.0
    ) -> Batches | PairBatches | SampledBatches:
        def of(encoded: Features) -> Batches | PairBatches:
            return self.task.batches(
                encoded.of(self._inputs), self.train.targets, specs=self._inputs,
                batch_tokens=batch_tokens, bucket=bucket, seed=seed,
            )  # fmt: skip

        if piece_dropout:
            tokenizer = PieceDropout(self.modality.tokenizer, piece_dropout)
            text = dataclasses.replace(self.modality, tokenizer=tokenizer)

            def sample(epoch: int) -> Batches:
                tokenizer.seed(seed, epoch)
                return of(self._encode(self.train, text))

            return SampledBatches(sample)
        if self.modality.augments:

            def augmented(epoch: int) -> Batches:
                encoded, rng = self._encoded_train, np.random.default_rng((seed, epoch))
                return of(encoded._replace(columns=self.modality.augment(encoded.columns, rng)))

            return SampledBatches(augmented)
        return of(self._encoded_train)

    def validator(self) -> "Callable[[keras.Model], dict[str, Any]]":
        targets = self.validation.targets
        return lambda model: self.task.metrics(targets, self.validation_scores(model))

    def validation_scores(self, model: "keras.Model") -> np.ndarray:
        """Returns a model's outputs for the validation rows.

        Raises:
            RunError: if they are not finite.
        """
        # Keras is not imported where a file alone is evaluated.
        from keras_transformer.zoo.models.running.predict import predict

        return finite(predict(model, self._validation_batches))

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
        for part, encoded in (
            (self.train, self._encoded_train), (self.validation, self._encoded_validation)
        ):  # fmt: skip
            report.cut(
                part.path, len(encoded.truncated), encoded.num_truncated, self.modality.max_length
            )

    @functools.cached_property
    def _inputs(self) -> tuple[InputSpec, ...]:
        return self.modality.inputs(pair=self.task.pair)

    @functools.cached_property
    def _validation_batches(self) -> Batches:
        from keras_transformer.zoo.models.running.predict import PREDICT_TOKENS

        return Batches(
            self._encoded_validation.of(self._inputs), specs=self._inputs,
            batch_tokens=PREDICT_TOKENS,
        )  # fmt: skip

    @functools.cached_property
    def _encoded_train(self) -> Features:
        return self._encode(self.train, self.modality)

    @functools.cached_property
    def _encoded_validation(self) -> Features:
        return self._encode(self.validation, self.modality)

    def _encode(self, part: Examples, modality: Modality) -> Features:
        return modality.encode(*self.task.rows(part))


def finite(scores: np.ndarray) -> np.ndarray:
    """Returns outputs (rows, outputs) that are to be measured.

    Raises:
        RunError: one is infinite or not a number, of which the highest is no prediction.
    """
    wrong = np.count_nonzero(~np.isfinite(scores).all(axis=1))
    if wrong:
        raise RunError(
            f"Expected finite outputs of the model, got others in {wrong} of {len(scores)} rows."
        )
    return scores
