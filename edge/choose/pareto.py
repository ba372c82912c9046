"""The Pareto front of measured files, and the recommendation among them."""

import dataclasses
from collections.abc import Sequence

# Medians that differ by less count as equal: two runs of the same file differ by as much.
TIE = 0.05


@dataclasses.dataclass(frozen=True, kw_only=True)
class Point:
    """The costs of a file; lower is better in each.

    Attributes:
        name: name of the file.
        drop: points by which its metric is below that of the reference; negative where above.
        latency: latency in milliseconds.
        size: size in bytes.
        gzip_size: size in bytes when compressed by gzip.
    """

    name: str
    drop: float
    latency: float
    size: int
    gzip_size: int

    @property
    def costs(self) -> tuple[float, ...]:
        """The values that are compared."""
        return self.drop, self.latency, self.size, self.gzip_size


@dataclasses.dataclass(frozen=True, kw_only=True)
class Choice:
    """The recommended file.

    Attributes:
        name: name of the file.
        nearest: the other file with the smallest drop, where only the reference is within the
            budget and there are others; else None.
    """

    name: str
    nearest: Point | None = None


def dominates(first: Point, second: Point) -> bool:
    """Whether the first is nowhere worse than the second, and somewhere better."""
    pairs = list(zip(first.costs, second.costs, strict=True))
    return all(a <= b for a, b in pairs) and any(a < b for a, b in pairs)


def pareto_front(points: Sequence[Point]) -> list[Point]:
    """Returns the points that none of the others dominates, in their order."""
    return [one for one in points if not any(dominates(other, one) for other in points)]


def recommend(points: Sequence[Point], reference: str, max_drop: float) -> Choice:
    """Recommends the fastest file within a budget, and the smallest among ties (see `TIE`).

    Args:
        points: the files.
        reference: name of the file that the drops are measured against; always within the budget.
        max_drop: the budget, in points.
    """
    fitting = [one for one in points if one.name == reference or one.drop <= max_drop]
    others = [one for one in points if one.name != reference]
    if len(fitting) == 1 and others:
        return Choice(name=reference, nearest=min(others, key=lambda one: one.drop))
    fastest = min(one.latency for one in fitting)
    as_fast = [one for one in fitting if one.latency <= fastest * (1 + TIE)]
    return Choice(name=min(as_fast, key=lambda one: (one.size, one.latency)).name)
