"""Tasks over whole texts: rows of a text, or a pair, and a target."""

import abc
import dataclasses
import functools
from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar, Self

import keras
import numpy as np

from keras_transformer.zoo.data.batches import Batches, SampledBatches
from keras_transformer.zoo.data.sources import Source, read_source
from keras_transformer.zoo.data.tables import Examples, Table, column
from keras_transformer.zoo.errors import InputError
from keras_transformer.zoo.models.predict import PREDICT_TOKENS, model_inputs, predict
from keras_transformer.zoo.progress import Report
from keras_transformer.zoo.tasks.task import Task, Tokenizers
from keras_transformer.zoo.tokenizers.tokenizer import Encoded, Tokenizer, pad_rows
from keras_transformer.zoo.vocabularies.piece_dropout import PieceDropout

NUM_PROBES = 64


@dataclasses.dataclass(frozen=True, kw_only=True)
class LabelledTask(Task):
    """A task that predicts a target of a whole text, or of a pair.

    A subclass adds `head`, `loss`, `targets`, `metrics` and `output_difference`.

    Attributes:
        pair: whether an example is two texts.
    """

    pair: bool = False

    columns: ClassVar[Mapping[str, str | None]] = {
        "text": "text", "text_pair": None, "label": "label"
    }  # fmt: skip

    @abc.abstractmethod
    def targets(self, table: Table, label: str) -> tuple[np.ndarray, Sequence[str]]:
        """Returns the targets (rows,) of a column, and the names of their classes, if any."""

    @abc.abstractmethod
    def metrics(self, targets: np.ndarray, scores: np.ndarray) -> dict[str, Any]:
        """Returns the metrics of targets (rows,) and outputs (rows, units)."""

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
        table = read_source(source, texts, [] if label is None else [label], name=name)
        if label is not None and not labelled and label not in table.columns:
            label = None
        targets, labels = None, list(self.labels)
        if label is not None:
            targets, labels = self.targets(table, label)
        return Examples(
            texts=column(table, text), pairs=None if pair is None else column(table, pair),
            targets=targets, labels=list(labels), path=table.path, lines=table.lines,
        )  # fmt: skip

    def vocabulary_texts(self, examples: Examples) -> dict[str, Sequence[str]]:
        return {"tokenizer": [*examples.texts, *(examples.pairs or [])]}

    def run_data(
        self, train: Examples, validation: Examples, tokenizers: Tokenizers, max_length: int
    ) -> "LabelledData":
        return LabelledData(
            task=self, train=train, validation=validation, tokenizer=tokenizers["tokenizer"],
            max_length=max_length,
        )  # fmt: skip

    def inputs(
        self, examples: Examples, tokenizers: Tokenizers, max_length: int
    ) -> dict[str, list[np.ndarray]]:
        self._check_pairs(examples)
        encoded = tokenizers["tokenizer"].encode(
            examples.texts, examples.pairs, max_length=max_length
        )
        return model_inputs(self, encoded.columns)

    def evaluate(self, predictor: Any, examples: Examples, **decoding: Any) -> dict[str, Any]:
        for name, value in decoding.items():
            raise InputError(
                f"Expected {name} only for a model that generates text, got {name}={value!r}."
            )
        if examples.targets is None:
            raise InputError(f"{examples.path}: expected a label column to evaluate on.")
        self._check_pairs(examples)
        outputs = predictor.outputs(examples.texts, examples.pairs)
        return {
            "rows": len(examples), "truncated": sum(outputs.truncated),
            **self.metrics(examples.targets, outputs.scores),
        }  # fmt: skip

    def to_json(self) -> dict[str, Any]:
        return {"name": self.name, "pair": self.pair}

    def options(self) -> dict[str, Any]:
        labels = {"labels": self.labels} if self.labels else {}
        return {**labels, **({"text_pair": "text_pair"} if self.pair else {})}

    @classmethod
    def from_json(cls, value: Mapping[str, Any], labels: tuple[str, ...]) -> Self:
        super().from_json(value, labels)
        named = {"labels": labels} if labels else {}
        return cls(pair=bool(value["pair"]), **named)

    @classmethod
    def of_columns(cls, columns: Mapping[str, str | None]) -> Self:
        return cls(pair=columns.get("text_pair") is not None)

    def _check_pairs(self, examples: Examples) -> None:
        if (examples.pairs is not None) != self.pair:
            expected = "pairs of texts" if self.pair else "single texts"
            raise InputError(f"Expected {expected}, as the model was trained on.")


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class LabelledData:
    """Training and validation rows of a run, see `RunData`.

    Attributes:
        train, validation: the rows.
        tokenizer: of all texts.
        max_length: tokens of a row.
    """

    task: LabelledTask
    train: Examples
    validation: Examples
    tokenizer: Tokenizer
    max_length: int

    @property
    def vocab_sizes(self) -> dict[str, int]:
        return {"vocab_size": self.tokenizer.vocab_size}

    @property
    def tokenizers(self) -> dict[str, Tokenizer | None]:
        return {"tokenizer": self.tokenizer}

    def batches(
        self, *, batch_tokens: int, bucket: int, seed: int, piece_dropout: float = 0.0
    ) -> Batches | SampledBatches:
        def of(encoded: Encoded) -> Batches:
            columns = model_inputs(self.task, encoded.columns)
            return Batches(
                columns, self.train.targets, batch_tokens=batch_tokens, bucket=bucket, seed=seed
            )

        if not piece_dropout:
            return of(self._encoded_train)
        tokenizer = PieceDropout(self.tokenizer, piece_dropout)

        def sample(epoch: int) -> Batches:
            tokenizer.seed(seed, epoch)
            return of(self._encode(self.train, tokenizer))

        return SampledBatches(sample)

    def validator(self) -> Callable[[keras.Model], dict[str, Any]]:
        columns = model_inputs(self.task, self._encoded_validation.columns)
        batches = Batches(columns, batch_tokens=PREDICT_TOKENS)
        return lambda model: self.task.metrics(self.validation.targets, predict(model, batches))

    def written_metrics(self, model: Any) -> dict[str, Any]:
        return {}

    def probes(self, seed: int) -> dict[str, np.ndarray]:
        encoded = self._encoded_validation
        count = min(NUM_PROBES, len(encoded.ids))
        rows = np.random.default_rng(seed).choice(len(encoded.ids), count, replace=False)
        return {
            name: pad_rows([ids[row] for row in rows]) for name, ids in encoded.columns.items()
        }

    def report_cuts(self, report: Report) -> None:
        for part, encoded in (
            (self.train, self._encoded_train), (self.validation, self._encoded_validation)
        ):  # fmt: skip
            report.cut(part.path, len(part), encoded.num_truncated, self.max_length)

    @functools.cached_property
    def _encoded_train(self) -> Encoded:
        return self._encode(self.train, self.tokenizer)

    @functools.cached_property
    def _encoded_validation(self) -> Encoded:
        return self._encode(self.validation, self.tokenizer)

    def _encode(self, part: Examples, tokenizer: Tokenizer) -> Encoded:
        return tokenizer.encode(part.texts, part.pairs, max_length=self.max_length)
