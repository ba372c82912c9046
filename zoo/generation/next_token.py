"""Repetition control and sampling: from the logits of a step to the next token."""

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from keras_transformer.zoo.generation.decoding import Decoding


def log_normalizer(logits: np.ndarray) -> np.ndarray:
    """Returns the log-sum-exp of each row in float64, with exponentials in the type of the logits.

    Args:
        logits: logits (R, V), with a finite number in each row.

    Returns:
        (R,); the logits minus it are log probabilities, none of them above 0.
    """
    highest = logits.max(axis=1, keepdims=True)
    shifted = logits - highest
    return highest[:, 0] + np.log(np.exp(shifted, out=shifted).sum(axis=1, dtype=np.float64))


def penalize_seen(
    logits: np.ndarray, history: np.ndarray, penalty: float, stops: np.ndarray
) -> np.ndarray:
    """Lowers the logits of tokens that occurred in each row (Keskar et al. 2019, section 4.1).

    Stop tokens are exempt: one in the prompt does not make it a repetition of the text.

    Args:
        logits: logits (R, V); not modified.
        history: ids of each row so far, (R, L); -1 before the first.
        penalty: divisor of positive logits and factor of negative ones.
        stops: bool (V,), true where a token is exempt.
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
    """Bans tokens that would complete an n-gram of `length` tokens that the row already contains.

    Args:
        scores: logits or log probabilities (R, V); not modified.
        history: ids of each row so far, (R, L); -1 before the first.
        length: length of the n-grams; 0 for no rule.
        stops: bool (V,), true where a token is exempt.
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
    """Returns the indices of the `count` highest of (V,), best first; ties by the lower index."""
    if count >= len(scores):
        return np.argsort(-scores, kind="stable")
    # The order of equal scores in a partition is undefined, so only the bound is taken from it.
    bound = np.partition(scores, len(scores) - count)[len(scores) - count]
    above, equal = np.flatnonzero(scores > bound), np.flatnonzero(scores == bound)
    ids = np.concatenate([above, equal[: count - len(above)]])
    return ids[np.argsort(-scores[ids], kind="stable")]


def candidates(logits: np.ndarray, decoding: Decoding) -> tuple[np.ndarray, np.ndarray]:
    """Returns the candidate tokens of sampling and their weights.

    Of equally probable tokens at the limit of `top_k` or `top_p`, the lower ids are included.

    Args:
        logits: logits (V,), at least one of them finite.
        decoding: temperature, top_k and top_p.

    Returns:
        Ids and weights, both (N,); the weights are proportional to the probabilities.
    """
    ids = best_ids(logits, decoding.top_k) if decoding.top_k else np.arange(len(logits))
    # With a temperature near 0 a quotient may overflow to minus infinity, its limit.
    with np.errstate(over="ignore"):
        weights = np.exp((logits[ids] - logits.max().astype(np.float64)) / decoding.temperature)
    if decoding.top_p < 1:
        total = weights.sum()
        # Tokens below this weight sum to less than 1 - top_p: none of them is in the nucleus.
        heavy = np.flatnonzero(weights >= (1 - decoding.top_p) * total / len(weights))
        heavy = heavy[np.argsort(-weights[heavy], kind="stable")]
        inside = np.searchsorted(np.cumsum(weights[heavy]), decoding.top_p * total) + 1
        ids, weights = ids[heavy[:inside]], weights[heavy[:inside]]
    return ids, weights


def draw(logits: np.ndarray, decoding: Decoding, generator: np.random.Generator) -> int:
    """Samples a token from the candidates, with one draw of the generator."""
    ids, weights = candidates(logits, decoding)
    cumulative = np.cumsum(weights)
    # In (0, total], so that the first candidate to reach it has a weight above 0.
    point = (1 - generator.random()) * cumulative[-1]
    return int(ids[np.searchsorted(cumulative, point)])
