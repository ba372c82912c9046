"""Soups: the mean of the weights of models of one shape."""

from collections.abc import Callable, Mapping, Sequence

import numpy as np

Weights = Mapping[str, np.ndarray]


def greedy_soup(
    members: Sequence[Weights], scores: Sequence[float], measure: Callable[[Weights], float]
) -> tuple[dict[str, np.ndarray], list[int]]:
    """Averages the weights of the members that help (Wortsman et al. 2022, arXiv:2203.05482).

    From the best member on, in the order of their scores, each is added if the mean with it scores
    at least as well as without (recipe 1).

    Args:
        members: weights by path of each member.
        scores: score of each on validation data, higher is better.
        measure: function that returns the score of weights on the same data.

    Returns:
        The mean weights, and the places of the members in it, in the order in which they were
        added.
    """
    first, *others = sorted(range(len(members)), key=lambda place: -scores[place])
    kept, best, mean = [first], scores[first], dict(members[first])
    for place in others:
        tried = _mean([members[one] for one in (*kept, place)])
        found = measure(tried)
        if found >= best:
            kept, best, mean = [*kept, place], found, tried
    return mean, kept


def _mean(members: Sequence[Weights]) -> dict[str, np.ndarray]:
    """The mean of weights, summed in float64."""
    return {
        path: np.mean([one[path] for one in members], axis=0, dtype="float64").astype(value.dtype)
        for path, value in members[0].items()
    }
