"""Beam search over the continuations of a batch."""

from collections.abc import Callable
from typing import Any

import numpy as np

from keras_transformer.zoo.generation.decoding import Decoding, Generated, Steps
from keras_transformer.zoo.generation.next_token import (
    ban_repeats,
    best_ids,
    log_normalizer,
    penalize_seen,
)


def beam_search(
    steps: Steps,
    cache: Any,
    history: np.ndarray,
    decoding: Decoding,
    *,
    stops: np.ndarray,
    spared: np.ndarray,
    ends: Callable[[int, np.ndarray], bool] | None,
    max_tokens: int,
) -> list[Generated]:
    """Searches for the best continuation of each row (Sutskever et al. 2014; Wu et al. 2016).

    A row keeps its `beams` best unfinished hypotheses. Of all their extensions the
    beams x (1 + stop tokens) best are looked at, and twice as many until at least `beams` go on;
    one that ends in a stop token or a stop text is finished, with the score
    log probability / length ** length_penalty. A row ends when no unfinished hypothesis can reach
    the score of its best finished one.

    Unfinished hypotheses are a row's result only where none is finished after `max_tokens`: a
    shorter complete text is more useful than one that breaks off. They are equally long, so the
    most probable is the best for every length penalty.

    With repetition control the search follows the penalized distribution; a banned token is
    impossible but leaves the probability of the others unchanged, so that a ban does not increase a
    hypothesis's score.

    Args:
        steps: decoding steps of the model, with forbidden tokens impossible.
        cache: cache of B rows.
        history: ids of each row so far, int64 (B, L), ending with the one to feed; -1 before the
            first.
        decoding: beams, length penalty and repetition control.
        stops: bool (V,), true where a token ends a hypothesis.
        spared: bool (V,), true where repetition control spares a token.
        ends: called as ends(row, ids), whether new ids end a hypothesis.
        max_tokens: the most new tokens.
    """
    start, penalty = history.shape[1], decoding.length_penalty
    width = decoding.beams * (1 + int(stops.sum()))
    results = [Generated(ids=np.zeros(0, np.int32), log_probability=0.0, finished=False)]
    results *= len(history)
    finished_scores = np.full(len(history), -np.inf)
    # For each hypothesis: its row, the score of the search, and the model's own log probability.
    rows = np.arange(len(history))
    scores = log_probabilities = np.zeros(len(history))
    for length in range(1, max_tokens + 1):
        logits, cache = steps.step(history[:, -1].astype(np.int32), cache)
        normalizers = log_normalizer(logits)
        extended = _extend(scores, logits, normalizers, history, decoding, spared)
        looked_at = width
        parents, tokens = _best_extensions(extended, rows, looked_at)
        by_text = _ended(ends, rows, history[:, start:], parents, tokens, stops)
        while by_text.any() and _lacks(
            rows[parents], by_text | stops[tokens], decoding.beams, looked_at
        ):
            looked_at *= 2
            parents, tokens = _best_extensions(extended, rows, looked_at)
            by_text = _ended(ends, rows, history[:, start:], parents, tokens, stops)
        rows, scores = rows[parents], extended[parents, tokens]
        log_probabilities = log_probabilities[parents] + (
            logits[parents, tokens] - normalizers[parents]
        )
        history = np.concatenate([history[parents], tokens[:, None]], axis=1)

        done = by_text | stops[tokens]
        for i in np.flatnonzero(done):
            score = scores[i] / length**penalty
            if score > finished_scores[rows[i]]:
                finished_scores[rows[i]] = score
                ids = history[i, start:] if by_text[i] else history[i, start:-1]
                results[rows[i]] = _generated(ids, log_probabilities[i], True)
        going = np.flatnonzero(~done)
        going_rows, firsts, counts = np.unique(rows[going], return_index=True, return_counts=True)
        leaders = going[firsts]
        for i in leaders[finished_scores[going_rows] == -np.inf]:
            results[rows[i]] = _generated(history[i, start:], log_probabilities[i], False)
        # Extensions never raise the probability; for a given probability a nonnegative penalty
        # favours the longest hypothesis, a negative one the shortest.
        bounds = scores[leaders] / (max_tokens if penalty >= 0 else length + 1) ** penalty
        ranks = np.arange(len(going)) - np.repeat(firsts, counts)
        can_win = np.repeat(bounds > finished_scores[going_rows], counts)
        going = going[can_win & (ranks < decoding.beams)]
        if not len(going) or length == max_tokens:
            break
        cache = steps.select(cache, parents[going])
        rows, scores, log_probabilities = rows[going], scores[going], log_probabilities[going]
        history = history[going]
    return results


def _extend(
    scores: np.ndarray,
    logits: np.ndarray,
    normalizers: np.ndarray,
    history: np.ndarray,
    decoding: Decoding,
    spared: np.ndarray,
) -> np.ndarray:
    """Returns the score (R, V) of each hypothesis with each token."""
    if decoding.repetition_penalty != 1:
        logits = penalize_seen(logits, history, decoding.repetition_penalty, spared)
        normalizers = log_normalizer(logits)
    extended = logits + (scores - normalizers)[:, None]
    return ban_repeats(extended, history, decoding.no_repeat_ngram, spared)


def _ended(
    ends: Callable[[int, np.ndarray], bool] | None,
    rows: np.ndarray,
    ids: np.ndarray,
    parents: np.ndarray,
    tokens: np.ndarray,
    stops: np.ndarray,
) -> np.ndarray:
    """Returns which extensions (E,) end by what they say, of those without a stop token."""
    ended = np.zeros(len(tokens), bool)
    if ends is not None:
        for i in np.flatnonzero(~stops[tokens]):
            ended[i] = ends(int(rows[parents[i]]), np.append(ids[parents[i]], tokens[i]))
    return ended


def _lacks(rows: np.ndarray, done: np.ndarray, beams: int, looked_at: int) -> bool:
    """Whether a row has fewer than `beams` extensions that go on, and more to look at."""
    found, first, counts = np.unique(rows, return_index=True, return_counts=True)
    going = np.add.reduceat(~done, first, dtype=np.int64)
    return bool(((going < beams) & (counts == looked_at)).any())


def _best_extensions(
    extended: np.ndarray, rows: np.ndarray, width: int
) -> tuple[np.ndarray, np.ndarray]:
    """Returns the hypothesis and token of the `width` best extensions of each row, best first.

    Args:
        extended: score of each hypothesis with each token, (R, V).
        rows: row of each hypothesis, (R,), in ascending order.
        width: number of extensions of a row.
    """
    parents, tokens = [], []
    _, firsts, counts = np.unique(rows, return_index=True, return_counts=True)
    for first, count in zip(firsts, counts, strict=True):
        scores = extended[first : first + count].ravel()
        best = best_ids(scores, width)
        parent, token = np.divmod(best[scores[best] > -np.inf], extended.shape[1])
        parents.append(first + parent)
        tokens.append(token)
    return np.concatenate(parents), np.concatenate(tokens)


def _generated(ids: np.ndarray, log_probability: float, finished: bool) -> Generated:
    return Generated(
        ids=ids.astype(np.int32), log_probability=float(log_probability), finished=finished
    )
