"""Base of the tasks with one target per example: a row of a modality, or a pair of rows."""

import abc
import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Self

import numpy as np

from keras_transformer.zoo.columns.texts import joined
from keras_transformer.zoo.data.batches import Batches
from keras_transformer.zoo.data.pair_batches import PairBatches
from keras_transformer.zoo.data.rows import Examples
from keras_transformer.zoo.data.sources import Source, of_kinds, read_source
from keras_transformer.zoo.data.tables import Table, column
from keras_transformer.zoo.errors import InputError
from keras_transformer.zoo.evaluation.metric import Metric
from keras_transformer.zoo.evaluation.significance import Answers
from keras_transformer.zoo.generation.decoding import check_no_decoding
from keras_transformer.zoo.logits import finite
from keras_transformer.zoo.modalities.modality import Features, Modality
from keras_transformer.zoo.modalities.registry import modality_named
from keras_transformer.zoo.outputs import Outputs
from keras_transformer.zoo.tasks.labelled_data import LabelledData
from keras_transformer.zoo.tasks.task import Task

# Uses of columns whose rows are no text.
_OTHER_ROWS = ("image", "audio")


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
        "text": "text", "text_pair": None, "image": None, "audio": None, "label": "label"
    }  # fmt: skip
    defaults: ClassVar[Mapping[str, Any]] = {"model": "bert_tiny"}
    trains_on_any: ClassVar[bool] = True
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
        kind = modality_named(self.modality)
        own = _rows_columns(names, kind)
        text = own[0]
        pair, negative = names["text_pair"], names.get("negative")
        if pair is not None and len(own) > 1:
            raise InputError(
                f"Expected no text_pair column for a model that reads {kind.rows}, got "
                f"text_pair={pair!r}."
            )
        label, is_needed = self.label_of(names, labelled)
        if pair is None and self.pair:
            pair = "text_pair"
        texts = own if pair is None else [*own, pair]
        others = [] if label is None else [label]
        if pair is not None and not (labelled or self.needs_pairs):
            texts, others, negative = [text], [pair, *others], None
        texts += [] if negative is None else [negative]
        lists = [label] if self.reads_lists and label is not None else []
        table = read_source(
            of_kinds(source, own), texts, others, name=name, is_text=kind.is_text, lists=lists,
            suffixes=kind.suffixes, beside=kind.beside_rows, weighted=True,
        )  # fmt: skip
        if pair is not None and pair not in (*texts, *table.columns):
            pair = None
        is_there = label in table.columns and (labelled or label not in table.problems)
        if label is not None and not is_needed and not is_there:
            label = None
        targets, labels = None, list(self.labels)
        if label is not None:
            targets, labels = self.targets(table, label)

        def read(values):
            if kind.is_text:
                return values
            return [
                kind.read_row(value, table.at(place), table.folder(place))
                for place, value in enumerate(values)
            ]

        def rows(*keys):
            columns = [column(table, key) for key in keys]
            if len(keys) == 1:
                return read(columns[0])
            kinds = [one.name for one in kind.kinds]
            return read(dict(zip(kinds, row, strict=True)) for row in zip(*columns, strict=True))

        return Examples(
            texts=rows(*own), pairs=None if pair is None else rows(pair),
            negatives=None if negative is None else rows(negative),
            targets=targets, labels=list(labels), path=table.path, lines=table.lines,
            weights=table.weights,
        )  # fmt: skip

    def label_of(
        self, names: Mapping[str, str | None], labelled: bool
    ) -> tuple[str | None, bool]:
        """Returns the column of the targets, and whether it is required.

        Args:
            names: names of all columns by their use.
            labelled: whether targets are required.
        """
        return names["label"], labelled

    def vocabulary_texts(self, examples: Examples) -> dict[str, Sequence[str]]:
        texts_of = modality_named(self.modality).texts_of
        rows = [part for part in (examples.texts, examples.pairs, examples.negatives) if part]
        return {"tokenizer": joined([texts_of(part) for part in rows])}

    def reading(self, modality: str) -> Self:
        return dataclasses.replace(self, modality=modality)

    def run_data(
        self, train: Examples, validation: Examples, modality: Modality
    ) -> LabelledData:
        return LabelledData(task=self, train=train, validation=validation, modality=modality)

    def encode(self, examples: Examples, modality: Modality) -> Features:
        return modality.encode(*self.rows(examples))

    def measured(
        self, predictor: Any, examples: Examples, modality: Modality, outputs: Any
    ) -> dict[str, Any]:
        return self.metrics(examples.targets, np.asarray(outputs))

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
        check_no_decoding(decoding)
        return self.metrics_of(examples, self.outputs_of(predictor, examples))

    def outputs_of(self, predictor: Any, examples: Examples) -> Outputs:
        """Returns a checkpoint's or a file's outputs for examples with targets.

        Raises:
            InputError: if there are no targets, or the rows do not fit.
        """
        if examples.targets is None:
            raise InputError(f"{examples.path}: expected a label column to evaluate on.")
        return predictor.outputs(*self.rows(examples))

    def metrics_of(self, examples: Examples, outputs: Outputs) -> dict[str, Any]:
        """Returns the result of `evaluate` for outputs of the examples."""
        truncated = np.array(outputs.truncated).reshape(-1, len(examples)).any(axis=0)
        return {
            "rows": len(examples), "truncated": int(truncated.sum()),
            **self.metrics(examples.targets, finite(outputs.scores)),
        }  # fmt: skip

    def answers(self, predictor: Any, examples: Examples) -> Answers:
        """Returns a model's answers to examples with targets, to be measured on any of the rows.

        Raises:
            InputError: if the examples have no targets.
        """
        if examples.targets is None:
            raise InputError(f"{examples.path}: expected a label column to evaluate on.")
        scores = finite(predictor.outputs(*self.rows(examples)).scores)
        return self.answered(self.defined(self.metric, examples), examples.targets, scores)

    def answered(self, metric: Metric, targets: np.ndarray, scores: np.ndarray) -> Answers:
        """Returns the answers of outputs to targets (rows,), see `answers`."""
        # First all first rows and then all second ones, where each is an output of its own.
        by_row = scores.reshape(-1, len(targets), *scores.shape[1:])

        def of(rows: np.ndarray) -> float | None:
            drawn = by_row[:, rows].reshape(-1, *scores.shape[1:])
            return self.metrics(targets[rows], drawn)[metric.name]

        return Answers(metric=metric, of=of)

    def options(self) -> dict[str, Any]:
        labels = {"labels": self.labels} if self.labels else {}
        own = self.changed(self.own_options)
        return {**labels, **({"text_pair": "text_pair"} if self.pair else {}), **own}

    def to_json(self) -> dict[str, Any]:
        return super().to_json() | self.changed(self.stored)

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

    def changed(self, names: Sequence[str]) -> dict[str, Any]:
        """Returns the fields of these names that are not the default."""
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


def _rows_columns(names: Mapping[str, str | None], kind: type[Modality]) -> list[str]:
    """The columns of a modality's rows, one for each kind; InputError if another's is named."""
    kinds = getattr(kind, "kinds", (kind,))
    uses = [one.column for one in kinds]
    for use in _OTHER_ROWS:
        if names.get(use) is not None and use not in uses:
            raise InputError(
                f"Expected no {use} column for a model that reads {kind.rows}, got "
                f"{use}={names[use]!r}; several kinds are read by a model of each, such as "
                "cct_2+bert_tiny."
            )
    if "text" not in uses and names["text"] not in (None, "text"):
        is_unnamed = all(names.get(use) is None for use in uses)
        advice = f"name it with {uses[0]}" if is_unnamed else (
            "several kinds are read by a model of each, such as cct_2+bert_tiny"
        )
        raise InputError(
            f"Expected no column of a text for a model that reads {kind.rows}, got "
            f"text={names['text']!r}; {advice}."
        )
    found = [names.get(use) or use for use in uses]
    if len(set(found)) < len(found):
        raise InputError(
            f"Expected a column for each of {', '.join(uses)}, got "
            f"{', '.join(f'{use}={name!r}' for use, name in zip(uses, found, strict=True))}."
        )
    return found
