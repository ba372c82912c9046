"""From the logits of one step to the tokens that may follow: repetition control and sampling."""

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from keras_transformer.zoo.generation.decoding import Decoding


def log_normalizer(logits: np.ndarray) -> np.ndarray:
    """Returns log sum exp of each row, float64 of exponentials in the type of the logits.

    Args:
        logits: (R, V), with a finite number in each row.

    Returns:
        (R,); logits minus it are log probabilities, none of them above 0.
    """
    highest = logits.max(axis=1, keepdims=True)
    shifted = logits - highest
    return highest[:, 0] + np.log(np.exp(shifted, out=shifted).sum(axis=1, dtype=np.float64))


def penalize_seen(
    logits: np.ndarray, history: np.ndarray, penalty: float, stops: np.ndarray
) -> np.ndarray:
    """Lowers the logits of tokens that each row has seen (Keskar et al. 2019, section 4.1).

    Stop tokens are spared: that one stood in the prompt is no repetition of the text.

    Args:
        logits: (R, V); not changed.
        history: (R, L), the ids of each row so far; -1 before the first.
        penalty: divides positive logits and multiplies negative ones.
        stops: bool (V,), true where a token is spared.
    """
    if penalty == 1:
        return logits
    rows, places = np.nonzero((history >= 0) & ~stops[history])
    seen = history[rows, places]
    values = logits[rows, seen]
    logits = logits.copy()
    logits[rows, seen] = np.where(values > 0, values / penalty, values * penalty)
    return logits


def ban_repeats(
    scores: np.ndarray, history: np.ndarray, length: int, stops: np.ndarray
) -> np.ndarray:
    """Makes impossible what would complete a run of `length` tokens that the row has already had.

    Args:
        scores: (R, V), logits or log probabilities; not changed.
        history: (R, L), the ids of each row so far; -1 before the first.
        length: of the runs; 0 for no rule.
        stops: bool (V,), true where a token is spared.
    """
    if not 0 < length <= history.shape[1]:
        return scores
    runs = sliding_window_view(history, length, axis=1)
    last = history[:, None, history.shape[1] - length + 1 :]
    again = (runs[:, :, :-1] == last).all(axis=2) & (runs[:, :, 0] >= 0)
    rows, places = np.nonzero(again & ~stops[runs[:, :, -1]])
    scores = scores.copy()
    scores[rows, runs[rows, places, -1]] = -np.inf
    return scores


def best_ids(scores: np.ndarray, count: int) -> np.ndarray:
    """Returns the indices of the `count` highest of (V,), best first; of equals the lower first."""
    if count >= len(scores):
        return np.argsort(-scores, kind="stable")
    # What partitioning does with equal scores is not defined, so only the bound is taken from it.
    bound = np.partition(scores, len(scores) - count)[len(scores) - count]
    above, equal = np.flatnonzero(scores > bound), np.flatnonzero(scores == bound)
    ids = np.concatenate([above, equal[: count - len(above)]])
    return ids[np.argsort(-scores[ids], kind="stable")]


def candidates(logits: np.ndarray, decoding: Decoding) -> tuple[np.ndarray, np.ndarray]:
    """Returns the tokens that sampling may choose, and their weights.

    Of equally probable tokens at an edge of `top_k` or `top_p` the lower ids are in.

    Args:
        logits: (V,), with a finite number among them.
        decoding: its temperature, top_k and top_p.

    Returns:
        Ids and weights, both (N,); the weights are proportional to the probabilities.
    """
    ids = best_ids(logits, decoding.top_k) if decoding.top_k else np.arange(len(logits))
    # A temperature near 0 may send a quotient to minus infinity, which is its limit.
    with np.errstate(over="ignore"):
        weights = np.exp((logits[ids] - logits.max().astype(np.float64)) / decoding.temperature)
    if decoding.top_p < 1:
        total = weights.sum()
        # Tokens below this weight hold less than 1 - top_p together: none is in the nucleus.
        heavy = np.flatnonzero(weights >= (1 - decoding.top_p) * total / len(weights))
        heavy = heavy[np.argsort(-weights[heavy], kind="stable")]
        inside = np.searchsorted(np.cumsum(weights[heavy]), decoding.top_p * total) + 1
        ids, weights = ids[heavy[:inside]], weights[heavy[:inside]]
    return ids, weights


def draw(logits: np.ndarray, decoding: Decoding, generator: np.random.Generator) -> int:
    """Returns a token sampled from the candidates, with one number of the generator."""
    ids, weights = candidates(logits, decoding)
    cumulative = np.cumsum(weights)
    # In (0, total], so that the first place to reach it has a weight above 0.
    point = (1 - generator.random()) * cumulative[-1]
    return int(ids[np.searchsorted(cumulative, point)])
