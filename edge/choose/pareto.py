"""Which of several measured files are worth having, and which one to take."""

import dataclasses
from collections.abc import Sequence

# Medians that differ by less are called equal: two runs of the same file differ by as much.
TIE = 0.05


@dataclasses.dataclass(frozen=True, kw_only=True)
class Point:
    """A file as the choice sees it; lower is better everywhere.

    Attributes:
        name: of the file.
        drop: points by which its metric is below that of the reference; negative where above.
        latency: milliseconds.
        size: bytes.
        gzip_size: bytes, compressed.
    """

    name: str
    drop: float
    latency: float
    size: int
    gzip_size: int

    @property
    def costs(self) -> tuple[float, ...]:
        """What is compared."""
        return self.drop, self.latency, self.size, self.gzip_size


@dataclasses.dataclass(frozen=True, kw_only=True)
class Choice:
    """The file to take.

    Attributes:
        name: of the file.
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
    """Chooses the fastest file within a budget; of those as fast, within `TIE`, the smallest.

    Args:
        points: the files.
        reference: name of the file that the drops are measured against; always in the budget.
        max_drop: the budget, in points.
    """
    fitting = [one for one in points if one.name == reference or one.drop <= max_drop]
    others = [one for one in points if one.name != reference]
    if len(fitting) == 1 and others:
        return Choice(name=reference, nearest=min(others, key=lambda one: one.drop))
    fastest = min(one.latency for one in fitting)
    as_fast = [one for one in fitting if one.latency <= fastest * (1 + TIE)]
    return Choice(name=min(as_fast, key=lambda one: (one.size, one.latency)).name)
