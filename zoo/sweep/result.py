"""Result of a sweep: its trials, their validation metrics and the best of them."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any, Self

from keras_transformer.zoo.errors import InputError
from keras_transformer.zoo.sweep.grid import name_of, shown
from keras_transformer.zoo.tabular import Grid, Tabular, words

BEST = "best"


@dataclasses.dataclass(frozen=True, kw_only=True)
class Trial:
    """A training run of a sweep.

    Attributes:
        options: the options that the sweep varies, with their values.
        metric: name of the validation metric that selected its epoch; None until it has ended.
        value: that metric of its checkpoint.
        score: the same, negated where lower is better.
        metrics: all validation metrics of its checkpoint that are one number.
        error: why it has no checkpoint, if its run failed.
    """

    options: Mapping[str, Any]
    metric: str | None = None
    value: float | None = None
    score: float | None = None
    metrics: Mapping[str, float] | None = None
    error: str | None = None

    @property
    def name(self) -> str:
        """Name of its checkpoint in the folder of the sweep."""
        return name_of(self.options)

    @property
    def has_ended(self) -> bool:
        """Whether its run is over."""
        return self.score is not None or self.error is not None

    def to_json(self) -> dict[str, Any]:
        """Returns the values as a JSON-serializable object."""
        return {"name": self.name, **dataclasses.asdict(self)}

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Self:
        """Builds it from the result of `to_json`."""
        return cls(**{field.name: value[field.name] for field in dataclasses.fields(cls)})


@dataclasses.dataclass(frozen=True, kw_only=True, repr=False)
class Sweep(Tabular):
    """The result of a sweep, which prints as a table, the best trial first.

    Attributes:
        run: identity of the sweep: the recipe that its trials share, with hashes of the data.
        vary: names of the options that differ.
        trials: the trials in the order of the combinations.
    """

    run: Mapping[str, Any]
    vary: Sequence[str]
    trials: Sequence[Trial] = ()

    def __post_init__(self):
        if len(self.metrics) > 1:
            raise InputError(
                "Expected trials that one metric selects the epochs of, got "
                f"{' and '.join(self.metrics)}; vary other options."
            )

    @property
    def metrics(self) -> list[str]:
        """Names of the metrics that selected the epochs: one, once a trial has ended."""
        return list(dict.fromkeys(one.metric for one in self.trials if one.metric is not None))

    @property
    def ranked(self) -> list[Trial]:
        """The trials, those with the best value of the metric first."""
        done = [one for one in self.trials if one.score is not None]
        others = [one for one in self.trials if one.score is None]
        return [*sorted(done, key=lambda one: -one.score), *others]

    @property
    def best(self) -> Trial | None:
        """The trial with the best value of the metric, the first of equals; None without one."""
        first = next(iter(self.ranked), None)
        return None if first is None or first.score is None else first

    def grids(self) -> list[Grid]:
        """A row for each trial."""
        rows = [
            (
                *(shown(one.options[name]) for name in self.vary), one.value,
                BEST if one is self.best else one.error or "",
            )
            for one in self.ranked
        ]  # fmt: skip
        metric = next(iter(self.metrics), "metric")
        return [Grid(None, (*self.vary, f"validation {words(metric)}", ""), rows)]

    def to_json(self) -> dict[str, Any]:
        """Returns the values as a JSON-serializable object."""
        return {
            "run": dict(self.run), "vary": list(self.vary),
            "best": None if self.best is None else self.best.name,
            "trials": [one.to_json() for one in self.trials],
        }  # fmt: skip
