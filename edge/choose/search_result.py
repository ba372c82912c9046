"""Result of a search: the measurements of every candidate, the front and the recommendation."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any, Self

from keras_transformer.edge.choose.candidates import REFERENCE, Candidate
from keras_transformer.edge.choose.pareto import Choice, Point, pareto_front, recommend
from keras_transformer.zoo.evaluation.metric import Metric
from keras_transformer.zoo.tabular import Grid, Tabular

# Ratio of 90th percentile to median from which on a latency counts as noisy.
NOISY = 2.0


@dataclasses.dataclass(frozen=True, kw_only=True)
class Measured:
    """Measurements of one candidate.

    Attributes:
        candidate: settings of the candidate.
        error: reason why there is no file; the values below are then None.
        value: the task's metric for its file.
        metric_signature: settings of the metric, where it has some: of BLEU its tokenizer, ...
        agreement: share of the checkpoint's probes for which the file has the same highest output
            as its Keras model; None for regression.
        size, gzip_size: size of the file in bytes, as it is and compressed by gzip.
        median_ms, p90_ms, peak_memory: latency and memory, see `benchmark.Measured`.
    """

    candidate: Candidate
    error: str | None = None
    value: float | None = None
    metric_signature: str | None = None
    agreement: float | None = None
    size: int | None = None
    gzip_size: int | None = None
    median_ms: float | None = None
    p90_ms: float | None = None
    peak_memory: int | None = None

    @property
    def name(self) -> str:
        """Name of the candidate."""
        return self.candidate.name

    @property
    def file(self) -> str:
        """Name of its file."""
        return f"{self.name}.tflite"

    def to_json(self) -> dict[str, Any]:
        """Returns the values as a JSON-serializable object."""
        return {"name": self.name, **dataclasses.asdict(self)}

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Self:
        """Builds it from the result of `to_json`."""
        fields = {name: value[name] for name in value if name != "name"}
        return cls(**{**fields, "candidate": Candidate(**fields["candidate"])})


@dataclasses.dataclass(frozen=True, kw_only=True, repr=False)
class Search(Tabular):
    """The result of a search.

    Attributes:
        run: identity of the search: hashes of the weights and the data, and the relevant options.
        data: path of the rows that the metric was measured on.
        metric: the task's metric.
        max_drop: the budget, in points.
        rows: the measurements, in the order of the ladder.
        device, threads, runs, signature: conditions of the latencies; None until they are measured.
    """

    run: Mapping[str, Any]
    data: str
    metric: Metric
    max_drop: float
    rows: Sequence[Measured] = ()
    device: str | None = None
    threads: int | None = None
    runs: int | None = None
    signature: str | None = None

    @property
    def files(self) -> list[Measured]:
        """The measurements of candidates that have a file."""
        return [row for row in self.rows if row.error is None]

    @property
    def reference(self) -> Measured:
        """The measurement that the others are compared with."""
        return next(row for row in self.files if row.name == REFERENCE)

    def drop(self, row: Measured) -> float:
        """Points by which the row's metric is worse than the reference's."""
        return self.metric.drop(self.reference.value, row.value)

    @property
    def points(self) -> list[Point]:
        """The files as points of `pareto`."""
        return [
            Point(
                name=row.name, drop=self.drop(row), latency=row.median_ms, size=row.size,
                gzip_size=row.gzip_size,
            )
            for row in self.files
        ]  # fmt: skip

    @property
    def front(self) -> list[str]:
        """Names of the files on the Pareto front."""
        return [point.name for point in pareto_front(self.points)]

    @property
    def choice(self) -> Choice:
        """The recommendation."""
        return recommend(self.points, REFERENCE, self.max_drop)

    @property
    def noise(self) -> str | None:
        """A warning that the latencies are too noisy, or None if they are not."""
        worst = max(self.files, key=lambda row: row.p90_ms / row.median_ms)
        ratio = worst.p90_ms / worst.median_ms
        if ratio < NOISY:
            return None
        return (
            f"The latencies vary much, the p90 of {worst.file} is {ratio:.1f} times its median: "
            "the machine was busy; --resume measures them again, and nothing else."
        )

    def recommendation(self) -> str:
        """Returns the recommendation as a sentence."""
        choice = self.choice
        chosen = next(row for row in self.files if row.name == choice.name)
        budget = f"{self.max_drop:g} points of {REFERENCE}'s {self.metric.name}"
        if choice.nearest is not None:
            return (
                f"Recommended: {chosen.file}, because no other file is within {budget}; the "
                f"nearest, {choice.nearest.name}.tflite, is {choice.nearest.drop:.2f} points below."
            )
        rival = self.reference
        if chosen is rival:
            return f"Recommended: {chosen.file}; no file within {budget} is faster."
        drop = self.drop(chosen)
        return (
            f"Recommended: {chosen.file}, as fast as any within {budget} and the smallest of "
            f"those: {abs(drop):.2f} points {'below' if drop > 0 else 'above'} it, at "
            f"{chosen.median_ms / rival.median_ms:.2f} of its latency and "
            f"{chosen.size / rival.size:.2f} of its size."
        )

    def grids(self) -> list[Grid]:
        """One row per candidate; the title states the conditions of measurement."""
        columns = (
            "candidate", self.metric.name, "drop, points", "same choice", "median ms", "ratio",
            "p90 ms", "MB", "gzip MB", "note",
        )  # fmt: skip
        used = "1 thread" if self.threads == 1 else f"{self.threads} threads"
        settings = self.reference.metric_signature
        metric = self.metric.name if settings is None else f"{self.metric.name} ({settings})"
        title = (
            f"{metric} on {self.data}; latency of `{self.signature}` on {self.device}, {used}, "
            f"{self.runs} interleaved runs"
        )
        return [Grid(title, columns, [self._cells(row) for row in self.rows])]

    def _cells(self, row: Measured) -> tuple[str | None, ...]:
        """Cells of a candidate; the note is its error, or `recommended` or `on the front`."""
        if row.error is not None:
            return (row.name, *[None] * 8, row.error)
        agreement = None if row.agreement is None else f"{row.agreement:.1%}"
        note = "on the front" if row.name in self.front else ""
        return (
            row.name, f"{row.value:.4f}", f"{self.drop(row):.2f}", agreement,
            f"{row.median_ms:.3f}", f"{row.median_ms / self.reference.median_ms:.2f}",
            f"{row.p90_ms:.3f}", f"{row.size / 1e6:.3f}", f"{row.gzip_size / 1e6:.3f}",
            "recommended" if row.name == self.choice.name else note,
        )  # fmt: skip

    def to_json(self) -> dict[str, Any]:
        """Returns the values as a JSON-serializable object."""
        value = {
            "run": self.run, "data": self.data, "metric": self.metric.name,
            "max_drop": self.max_drop, "device": self.device, "threads": self.threads,
            "runs": self.runs, "signature": self.signature,
        }  # fmt: skip
        if self.device is not None:
            value |= {"recommended": self.choice.name, "front": self.front}
        return {**value, "candidates": [row.to_json() for row in self.rows]}
