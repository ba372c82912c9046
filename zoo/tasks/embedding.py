"""Embedding of texts: vectors whose cosines say how similar two texts are."""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar, Self

import numpy as np

from keras_transformer.zoo.data.batches import Batches
from keras_transformer.zoo.data.labels import numbers
from keras_transformer.zoo.data.pair_batches import PairBatches
from keras_transformer.zoo.data.tables import Examples, Table
from keras_transformer.zoo.errors import InputError
from keras_transformer.zoo.evaluation.metric import Metric
from keras_transformer.zoo.evaluation.metrics import regression_metrics, undefined_by_numbers
from keras_transformer.zoo.models.heads import Head
from keras_transformer.zoo.numerals import is_float32
from keras_transformer.zoo.outputs import EMBEDDING, cosines
from keras_transformer.zoo.tasks.labelled import LabelledTask


@dataclasses.dataclass(frozen=True, kw_only=True)
class Embedding(LabelledTask):
    """Embedding of texts as vectors (D,), the encoder's pooled output.

    The model reads one text. Training and evaluation compare the cosine of two texts' vectors with
    a similarity score, as the sentence encoders of Reimers and Gurevych 2019 (arXiv:1908.10084,
    section 3) do.

    Attributes:
        normalize: whether vectors are divided by their length, so that their products are cosines.
        lowest, highest: scores of the training data that cosines of 0 and of 1 stand for.
    """

    normalize: bool = True
    # Models that differ in these alone learn the same.
    lowest: float = dataclasses.field(default=0.0, compare=False)
    highest: float = dataclasses.field(default=1.0, compare=False)

    name: ClassVar[str] = "embedding"
    output: ClassVar[str] = EMBEDDING
    columns: ClassVar[Mapping[str, str | None]] = {
        "text": "text", "text_pair": "text_pair", "label": "label"
    }  # fmt: skip
    metric: ClassVar[Metric] = Metric(name="spearman", points=100.0)
    selection: ClassVar[Metric] = metric
    fallback: ClassVar[Metric] = Metric(name="mean_squared_error", points=-1.0)
    needs_pairs: ClassVar[bool] = False

    def __post_init__(self):
        if self.pair:
            raise InputError("Expected a model of single texts for embedding, got pair=True.")
        if not isinstance(self.normalize, bool):
            raise InputError(
                f"Expected normalize to be true or false, got normalize={self.normalize!r}."
            )
        ends = (self.lowest, self.highest)
        if not all(map(is_float32, ends)) or not self.lowest < self.highest:
            raise InputError(
                "Expected lowest and highest to be finite numbers in ascending order, got "
                f"lowest={self.lowest!r}, highest={self.highest!r}."
            )

    def head(self) -> Head:
        return Head(kind="vector", normalize=self.normalize)

    def loss(self, label_smoothing: float = 0.0) -> Callable:
        """Returns the mean squared error of the cosines of pairs, see `CosineLoss`."""
        if label_smoothing:
            raise InputError(
                "Expected label_smoothing to be 0 for embedding, "
                f"got label_smoothing={label_smoothing}."
            )
        from keras_transformer.zoo.losses.losses import CosineLoss

        return CosineLoss(self.lowest, self.highest)

    def targets(self, table: Table, label: str) -> tuple[np.ndarray, Sequence[str]]:
        return numbers(table, label), ()

    def rows(self, examples: Examples) -> tuple[list[Any], None]:
        """Returns all first texts, and then all second ones, if there are any."""
        return [*examples.texts, *(examples.pairs or [])], None

    def batches(
        self, columns: Mapping[str, Sequence[np.ndarray]], targets: np.ndarray, **options: Any
    ) -> Batches | PairBatches:
        return PairBatches(columns, targets, **options)

    def learned_from(self, examples: Examples) -> Self:
        """Returns the task with the lowest and the highest score.

        Raises:
            InputError: if there are no pairs or no scores.
        """
        self._check_scored(examples, "train")
        lowest, highest = float(examples.targets.min()), float(examples.targets.max())
        if lowest == highest:
            lowest = lowest - 1.0
        return dataclasses.replace(self, lowest=lowest, highest=highest)

    def evaluate(self, predictor: Any, examples: Examples, **decoding: Any) -> dict[str, Any]:
        self._check_scored(examples, "evaluate")
        return super().evaluate(predictor, examples, **decoding)

    def metrics(self, targets: np.ndarray, scores: np.ndarray) -> dict[str, Any]:
        """Returns the metrics of the cosines of vectors (2 rows, D), in the units of the scores."""
        first, second = np.split(scores, 2)
        found = cosines(first, second)[:, None] * (self.highest - self.lowest) + self.lowest
        return regression_metrics(targets, found)

    def undefined(self, examples: Examples) -> dict[str, str]:
        self._check_scored(examples, "evaluate")
        return undefined_by_numbers(examples.targets)

    def output_difference(self, targets, expected, outputs, temperature: float):
        """The mean of 1 - cosine of the vectors.

        Where they differ in width, that of the squared differences of all cosines in the batch
        (Tung and Mori 2019, arXiv:1907.09682).
        """
        from keras import ops

        from keras_transformer.zoo.losses.losses import unit

        expected, outputs = unit(expected), unit(outputs)
        if expected.shape[-1] == outputs.shape[-1]:
            return ops.mean(1.0 - ops.sum(expected * outputs, axis=-1))
        expected, outputs = (ops.matmul(one, ops.transpose(one)) for one in (expected, outputs))
        return ops.mean(ops.square(expected - outputs))

    def options(self) -> dict[str, Any]:
        return {}

    def to_json(self) -> dict[str, Any]:
        return super().to_json() | {name: getattr(self, name) for name in _OWN}

    @classmethod
    def from_json(cls, value: Mapping[str, Any], labels: tuple[str, ...]) -> Self:
        own = {name: value[name] for name in _OWN if name in value}
        others = {name: one for name, one in value.items() if name not in own}
        return dataclasses.replace(super().from_json(others, labels), **own)

    @classmethod
    def of_columns(cls, columns: Mapping[str, str | None]) -> Self:
        return cls()

    def _check_pairs(self, examples: Examples) -> None:
        """Both pairs and single texts can be read."""

    def _check_scored(self, examples: Examples, purpose: str) -> None:
        if examples.pairs is None or examples.targets is None:
            what = "second texts" if examples.pairs is None else "scores"
            raise InputError(f"{examples.path}: expected a column of {what} to {purpose} on.")


_OWN = ("normalize", "lowest", "highest")
