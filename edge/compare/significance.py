"""Differences between models of one task, and whether they are beyond chance."""

import dataclasses
import os
from collections.abc import Sequence
from typing import Any

import numpy as np

from keras_transformer.edge.load import load
from keras_transformer.zoo.data import sources
from keras_transformer.zoo.data.rows import Rows
from keras_transformer.zoo.errors import InputError
from keras_transformer.zoo.evaluation.significance import (
    CONFIDENCE,
    SAMPLES,
    SEED,
    McNemar,
    mcnemar,
    paired_interval,
)
from keras_transformer.zoo.predictor import Predictor
from keras_transformer.zoo.tabular import Grid, Tabular
from keras_transformer.zoo.tasks.measure import read_options
from keras_transformer.zoo.tasks.registry import task_of

_LEAST_SAMPLES = 100
# Of fewer rows, samples are too alike to say how much other rows would differ.
_LEAST_ROWS = 20


@dataclasses.dataclass(frozen=True, kw_only=True)
class Difference:
    """A model's difference from the first one, on the same rows.

    Attributes:
        model: name of the model.
        metric: name of the deciding metric.
        value: metric of the model.
        first_value: metric of the first model.
        difference: `value` minus `first_value`; None where either is undefined.
        interval: 95 % interval of the difference, see `paired_interval`.
        mcnemar: McNemar's exact test of classifiers, of which `first` is the first model; None for
            other tasks.
    """

    model: str
    metric: str
    value: float | None
    first_value: float | None
    difference: float | None
    interval: tuple[float, float] | None
    mcnemar: McNemar | None

    @property
    def is_beyond_chance(self) -> bool | None:
        """Whether the interval leaves out 0; None without an interval."""
        if self.interval is None:
            return None
        return not self.interval[0] <= 0 <= self.interval[1]

    def to_json(self) -> dict[str, Any]:
        """Returns the values as a JSON-serializable object."""
        test = None if self.mcnemar is None else self.mcnemar._asdict()
        values = {**dataclasses.asdict(self), "mcnemar": test}
        return {**values, "is_beyond_chance": self.is_beyond_chance}


class Differences(Tabular, list):
    """Differences of several models from the first one; a list that prints as a table.

    Attributes:
        first: name of the first model.
        rows: number of rows.
        samples, seed: samples of the bootstrap and their seed.
    """

    def __init__(self, differences: Sequence[Difference], first: str, rows: int, samples: int,
                 seed: int):  # fmt: skip
        super().__init__(differences)
        self.first, self.rows, self.samples, self.seed = first, rows, samples, seed

    @property
    def conditions(self) -> str:
        """The number of rows and how the interval was found, in words."""
        return f"{self.rows} rows; paired bootstrap of {self.samples} samples, seed {self.seed}"

    def grids(self) -> list[Grid]:
        """One row per model, the first one's without a difference."""
        columns = ["model", self[0].metric, "difference", f"{CONFIDENCE:.0%} interval",
                   "beyond chance"]  # fmt: skip
        tests = self[0].mcnemar is not None
        if tests:
            columns += ["right alone", "first right alone", "McNemar's p"]
        rows = [(self.first, self[0].first_value, *[None] * (len(columns) - 2))]
        for one in self:
            is_beyond = {None: None, True: "yes", False: "no"}[one.is_beyond_chance]
            interval = None if one.interval is None else " to ".join(map(_signed, one.interval))
            difference = None if one.difference is None else _signed(one.difference)
            row = [one.model, one.value, difference, interval, is_beyond]
            if tests:
                row += [one.mcnemar.second, one.mcnemar.first, f"{one.mcnemar.p_value:.3g}"]
            rows.append(tuple(row))
        return [Grid(self.conditions, columns, rows)]


def significance(
    models: Sequence[Predictor | str | os.PathLike],
    data: sources.Source | Rows,
    *,
    samples: int = SAMPLES,
    sample_seed: int = SEED,
    threads: int = 1,
    names: Sequence[str] | None = None,
    **options: Any,
) -> Differences:
    """Measures whether models differ from the first one by more than chance explains.

    Args:
        models: at least two models of one task with the same labels, of any shape and vocabulary:
            checkpoints, runners, or paths that `load` opens.
        data: labelled rows, or sources and targets: a path, data in memory (see `Task.read`), or
            rows that were already read.
        samples: number of samples of the bootstrap, at least 100.
        sample_seed: seed of the rows that are drawn.
        threads: number of interpreter threads.
        names: names of the models in the result; by default their paths.
        **options: options of `Checkpoint.evaluate`: columns, by default the first model's, and
            decoding options of translators.

    Returns:
        For each further model its difference in the deciding metric, its 95 % interval, and for
        classifiers McNemar's exact test.

    Raises:
        FileNotFoundError: if there is no such model.
        InputError: if there are fewer than two models, they differ in task or labels, their metric
            is not one of rows, or an option or the data does not fit.
        TypeError: if an argument is not a model or data, or an option is unknown.
    """
    if isinstance(models, str | os.PathLike | Predictor) or len(models) < 2:
        raise InputError("Expected at least two models to test the difference of.")
    if samples < _LEAST_SAMPLES:
        raise InputError(f"Expected at least {_LEAST_SAMPLES} samples, got samples={samples}.")
    if sample_seed < 0:
        raise InputError(f"Expected a seed of at least 0, got sample_seed={sample_seed}.")
    names = names or [_name(one, place) for place, one in enumerate(models, start=1)]
    models = [
        one if isinstance(one, Predictor) else load(one, threads=threads) for one in models
    ]
    task = task_of(models[0])
    for model, name in zip(models, names, strict=True):
        if task_of(model).untuned() != task.untuned():
            raise InputError(
                f"Expected models of one task with the same labels, got {model.task_name} with "
                f"{len(model.labels)} labels in {name} and {task.name} with "
                f"{len(models[0].labels)} in {names[0]}."
            )
    columns, decoding = read_options(models[0], options, data)
    examples = task.examples_of(data, columns)
    first, *others = (
        # Each with its own thresholds, which were tuned for it.
        task_of(model).answers(model, examples, **decoding) for model in models
    )
    rows = np.arange(len(examples))
    if len(rows) < _LEAST_ROWS:
        raise InputError(
            f"Expected at least {_LEAST_ROWS} rows to draw samples of, got {len(rows)}."
        )
    value = first.of(rows)
    differences = []
    for name, other in zip(names[1:], others, strict=True):
        found = other.of(rows)
        differences.append(
            Difference(
                model=name, metric=first.metric.name, value=found, first_value=value,
                difference=None if None in (found, value) else found - value,
                interval=paired_interval(
                    first, other, len(rows), samples=samples, seed=sample_seed
                ),
                mcnemar=None if first.right is None else mcnemar(first.right, other.right),
            )  # fmt: skip
        )
    return Differences(differences, names[0], len(rows), samples, sample_seed)


def _name(model: Any, place: int) -> str:
    if isinstance(model, str | os.PathLike):
        return str(model)
    return getattr(model, "name", None) or f"model {place}"


def _signed(value: float) -> str:
    return f"{value:+.4f}"
