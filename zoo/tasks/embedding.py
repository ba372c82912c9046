"""Embedding of texts: vectors whose cosines say how similar two texts are."""

import dataclasses
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar, Self

import numpy as np

from keras_transformer.zoo.data.batches import Batches
from keras_transformer.zoo.data.labels import numbers
from keras_transformer.zoo.data.pair_batches import PairBatches
from keras_transformer.zoo.data.rows import Examples
from keras_transformer.zoo.data.sources import Source
from keras_transformer.zoo.data.tables import Table
from keras_transformer.zoo.errors import InputError
from keras_transformer.zoo.evaluation.metric import Metric
from keras_transformer.zoo.evaluation.metrics import (
    CORRELATIONS,
    regression_metrics,
    undefined_by_numbers,
)
from keras_transformer.zoo.evaluation.retrieval import retrieval_metrics
from keras_transformer.zoo.models.heads import Head
from keras_transformer.zoo.numerals import is_float32
from keras_transformer.zoo.outputs import EMBEDDING, cosines
from keras_transformer.zoo.tasks.labelled import LabelledTask

_OWN = ("normalize", "lowest", "highest")
SCORES, RANKING = "scores", "ranking"
_RANK = Metric(name="mean_reciprocal_rank", points=100.0)
_SPEARMAN = Metric(name="spearman", points=100.0)
_ERROR = Metric(name="mean_squared_error", points=-1.0)
# Numbers of the widest vector.
MOST_WIDTH = 65_536
_WIDTH = re.compile("[1-9][0-9]{0,5}")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Embedding(LabelledTask):
    """Embedding of texts as vectors (D,), the encoder's pooled output.

    The model reads one text. It learns from pairs of texts with a similarity score, to which their
    cosine is compared, as the sentence encoders of Reimers and Gurevych 2019 (arXiv:1908.10084,
    section 3) do; or from pairs that match, possibly with a hard negative each, see `RankingLoss`.
    Where pairs have no scores, evaluation ranks all second texts for each first one.

    Attributes:
        normalize: whether vectors are divided by their length, so that their products are cosines.
        objective: `scores`, or `ranking` of matching pairs.
        widths: numbers of the first values of a vector that are to do alone, see `over_widths`;
            as text separated by commas.
        projection: width of a projection of the pooled output, which is the vector; 0 for none.
        lowest, highest: scores of the training data that cosines of 0 and of 1 stand for.
    """

    projection: int = 0
    normalize: bool = True
    # Models that differ in these alone compute the same.
    objective: str = dataclasses.field(default="scores", compare=False)
    widths: str = dataclasses.field(default="", compare=False)
    lowest: float = dataclasses.field(default=0.0, compare=False)
    highest: float = dataclasses.field(default=1.0, compare=False)

    # It learns of pairs.
    trains_on_any: ClassVar[bool] = False
    name: ClassVar[str] = "embedding"
    output: ClassVar[str] = EMBEDDING
    columns: ClassVar[Mapping[str, str | None]] = {
        "text": "text", "text_pair": "text_pair", "label": None, "negative": None
    }  # fmt: skip
    needs_pairs: ClassVar[bool] = False
    own_options: ClassVar[tuple[str, ...]] = ("objective", "widths")
    stored: ClassVar[tuple[str, ...]] = ("objective", "widths", "projection")

    def __post_init__(self):
        if self.pair:
            raise InputError("Expected a model of single texts for embedding, got pair=True.")
        if not isinstance(self.normalize, bool):
            raise InputError(
                f"Expected normalize to be true or false, got normalize={self.normalize!r}."
            )
        if type(self.projection) is not int or not 0 <= self.projection <= MOST_WIDTH:
            raise InputError(
                f"Expected projection to be from 0 to {MOST_WIDTH}, got "
                f"projection={self.projection!r}."
            )
        if self.objective not in (SCORES, RANKING):
            raise InputError(
                f"Expected objective to be {SCORES} or {RANKING}, got objective={self.objective!r}."
            )
        _numbers_in(self.widths)
        ends = (self.lowest, self.highest)
        if not all(map(is_float32, ends)) or not self.lowest < self.highest:
            raise InputError(
                "Expected lowest and highest to be finite numbers in ascending order, got "
                f"lowest={self.lowest!r}, highest={self.highest!r}."
            )

    @property
    def metric(self) -> Metric:
        """The deciding metric: of ranks where the model learns from matching pairs."""
        return _RANK if self.objective == RANKING else _SPEARMAN

    selection = metric

    @property
    def fallback(self) -> Metric:
        """The metric that decides where examples are of the other kind, or have one score."""
        return _SPEARMAN if self.objective == RANKING else _ERROR

    def head(self) -> Head:
        return Head(kind="vector", units=self.projection or None, normalize=self.normalize)

    def loss(self, label_smoothing: float = 0.0) -> Callable:
        """Returns the mean squared error of cosines (`CosineLoss`), or `RankingLoss`."""
        if label_smoothing:
            raise InputError(
                "Expected label_smoothing to be 0 for embedding, "
                f"got label_smoothing={label_smoothing}."
            )
        from keras_transformer.zoo.losses.vectors import CosineLoss, RankingLoss

        widths = _numbers_in(self.widths)
        if self.objective == RANKING:
            return RankingLoss(widths)
        return CosineLoss(self.lowest, self.highest, widths)

    def targets(self, table: Table, label: str) -> tuple[np.ndarray, Sequence[str]]:
        return numbers(table, label), ()

    def label_of(
        self, names: Mapping[str, str | None], labelled: bool
    ) -> tuple[str | None, bool]:
        if names["label"] is None and self.objective == SCORES:
            return "label", False
        return names["label"], labelled

    def read(
        self, source: Source, columns: Mapping[str, str | None] | None = None, *,
        name: str = "data", labelled: bool = True,
    ) -> Examples:  # fmt: skip
        """Reads pairs with scores; or pairs that match, whose targets are ids of second texts.

        Scores are those of a named column, or of `label` unless the objective is ranking, for which
        a third column in memory is one of hard negatives.
        """
        named = self.named_columns(columns)
        if self.objective == RANKING and not (named["negative"] or named["label"]):
            # In memory the third column can be nothing else.
            third = "negative" if _is_of_three(source) else None
            columns = {**(columns or {}), "negative": third}
        examples = super().read(source, columns, name=name, labelled=labelled)
        if examples.pairs is None or examples.targets is not None:
            return examples
        ids: dict[Any, int] = {}
        targets = [ids.setdefault(text, len(ids)) for text in examples.pairs]
        return dataclasses.replace(examples, targets=np.array(targets, np.int32))

    def rows(self, examples: Examples) -> tuple[list[Any], None]:
        """Returns all first texts, then all second ones, and then all negatives, if any."""
        both = [*examples.texts, *(examples.pairs or [])]
        return [*both, *(examples.negatives or [])], None

    def batches(
        self, columns: Mapping[str, Sequence[np.ndarray]], targets: np.ndarray, **options: Any
    ) -> Batches | PairBatches:
        return PairBatches(columns, targets, **options)

    def learned_from(self, examples: Examples) -> Self:
        """Returns the task with the lowest and the highest score, if it learns from scores.

        Raises:
            InputError: if there are no pairs, no scores, or scores where none are asked for.
        """
        self._check_pairs_of(examples, "train")
        has_scores = examples.targets.dtype.kind == "f"
        if has_scores != (self.objective == SCORES):
            wanted = (
                f"a column of scores (label) to train on, or objective={RANKING} for pairs that "
                "match" if self.objective == SCORES else
                f"pairs that match, without scores, for objective={RANKING}"
            )  # fmt: skip
            raise InputError(f"{examples.path}: expected {wanted}.")
        if self.objective == SCORES and examples.negatives is not None:
            raise InputError(
                f"{examples.path}: expected negatives only for objective={RANKING}."
            )
        if not has_scores:
            return self
        lowest, highest = float(examples.targets.min()), float(examples.targets.max())
        if lowest == highest:
            lowest = lowest - 1.0
        return dataclasses.replace(self, lowest=lowest, highest=highest)

    def evaluate(self, predictor: Any, examples: Examples, **decoding: Any) -> dict[str, Any]:
        self._check_pairs_of(examples, "evaluate")
        return super().evaluate(predictor, examples, **decoding)

    def metrics(self, targets: np.ndarray, scores: np.ndarray) -> dict[str, Any]:
        """Returns the metrics of vectors (2 rows, D); those of negatives may follow.

        They are those of the cosines against scores, in the units of these, or of the ranks of
        matches; and the deciding one of each of the widths.
        """
        found = self._metrics(targets, scores)
        for width in _numbers_in(self.widths):
            if width < scores.shape[1]:
                part = self._metrics(targets, scores[:, :width])
                name = _RANK.name if _RANK.name in part else _SPEARMAN.name
                found[f"{name}_{width}"] = part[name]
        return found

    def _metrics(self, targets, scores):
        first, second = np.split(scores[: 2 * len(targets)], 2)
        if targets.dtype.kind != "f":
            return retrieval_metrics(first, second, targets)
        found = cosines(first, second)[:, None] * (self.highest - self.lowest) + self.lowest
        result = regression_metrics(targets, found)
        within = self.lowest <= targets.min() and targets.max() <= self.highest
        if np.ptp(targets) > 0 and not within:
            result[_ERROR.name] = None
            reason = (
                f"scores are from {targets.min():g} to {targets.max():g}, and cosines stand for "
                f"{self.lowest:g} to {self.highest:g}"
            )
            result["undefined"] = {**result.get("undefined", {}), _ERROR.name: reason}
        return result

    def undefined(self, examples: Examples) -> dict[str, str]:
        self._check_pairs_of(examples, "evaluate")
        ranks = self.objective == RANKING
        if examples.targets.dtype.kind == "f":
            reason = {_RANK.name: "rows have scores in place of matches"} if ranks else {}
            return undefined_by_numbers(examples.targets) | reason
        return {} if ranks else dict.fromkeys((*CORRELATIONS, _ERROR.name), "rows have no scores")

    def output_difference(self, targets, expected, outputs, temperature: float):
        """The mean of 1 - cosine of the vectors.

        Where they differ in width, that of the squared differences of all cosines in the batch
        (Tung and Mori 2019, arXiv:1907.09682).
        """
        from keras import ops

        from keras_transformer.zoo.losses.vectors import unit

        expected, outputs = unit(expected), unit(outputs)
        if expected.shape[-1] == outputs.shape[-1]:
            return ops.mean(1.0 - ops.sum(expected * outputs, axis=-1))
        expected, outputs = (ops.matmul(one, ops.transpose(one)) for one in (expected, outputs))
        return ops.mean(ops.square(expected - outputs))

    def options(self) -> dict[str, Any]:
        return self.changed(self.own_options)

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

    def _check_pairs_of(self, examples: Examples, purpose: str) -> None:
        if examples.pairs is None or examples.targets is None:
            raise InputError(f"{examples.path}: expected a column of second texts to {purpose} on.")


def _is_of_three(source: Source) -> bool:
    """Whether data in memory is three columns, or rows of three values, without names."""
    if isinstance(source, list) and source:
        source = source[0]
    return isinstance(source, tuple) and len(source) == 3


def _numbers_in(widths: str) -> tuple[int, ...]:
    """The widths in a text, ascending.

    Raises:
        InputError: if one is no integer above 0, or occurs again.
    """
    parts = widths.split(",") if isinstance(widths, str) and widths else []
    if not isinstance(widths, str) or not all(_WIDTH.fullmatch(part.strip()) for part in parts):
        raise InputError(
            f"Expected widths to be integers above 0, separated by commas, got widths={widths!r}."
        )
    found = sorted({int(part) for part in parts})
    if len(found) < len(parts):
        raise InputError(f"Expected each of the widths once, got widths={widths!r}.")
    return tuple(found)
