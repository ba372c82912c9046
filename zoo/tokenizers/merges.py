"""Byte-pair encoding: symbols of a word are merged in the order of a table."""

import heapq
from collections.abc import Callable

# The rank of two neighbouring symbols, of which the least is merged first; None for no merge.
Rank = Callable[[str, str], float | None]


def merge(symbols: list[str], rank: Rank, made: set[str] | None = None) -> list[str]:
    """Merges neighbouring symbols, the least rank first, until none has a rank.

    Of equal ranks the leftmost is merged first (Sennrich et al. 2016, arXiv:1508.07909).

    Args:
        symbols: symbols of a word.
        rank: function of two neighbouring symbols.
        made: receives every symbol that a merge makes, merged further or not.

    Returns:
        The merged symbols, which are those given when joined.
    """
    parts: list[str] = list(symbols)
    count = len(parts)
    following = [*range(1, count), -1] if count else []
    preceding = [*range(-1, count - 1)]
    waiting: list[tuple[float, int, str]] = []

    def offer(left: int) -> None:
        right = following[left]
        if right >= 0 and (value := rank(parts[left], parts[right])) is not None:
            heapq.heappush(waiting, (value, left, parts[left] + parts[right]))

    for place in range(count - 1):
        offer(place)
    while waiting:
        value, left, joined = heapq.heappop(waiting)
        right = following[left]
        # A symbol that was merged since is empty, or another pair is there.
        if not parts[left] or right < 0 or parts[left] + parts[right] != joined:
            continue
        if rank(parts[left], parts[right]) != value:
            continue
        parts[left], parts[right] = joined, ""
        if made is not None:
            made.add(joined)
        following[left] = following[right]
        if following[right] >= 0:
            preceding[following[right]] = left
        if preceding[left] >= 0:
            offer(preceding[left])
        offer(left)
    return [part for part in parts if part]
