"""Beam search over the continuations of a batch."""

from collections.abc import Callable
from typing import Any, Protocol

import numpy as np

from keras_transformer.zoo.generation.decoding import Decoding, Generated
from keras_transformer.zoo.generation.next_token import (
    ban_repeats,
    best_ids,
    log_normalizer,
    penalize_seen,
)


class Scored(Protocol):
    """Steps whose logits exclude forbidden tokens, with normalizers that include them."""

    def scored(self, tokens: np.ndarray, cache: Any) -> tuple[np.ndarray, np.ndarray, Any]:
        """Returns logits (R, V), minus infinity where forbidden, normalizers (R,) and the cache."""

    def select(self, cache: Any, rows: np.ndarray) -> Any:
        """See `Steps`."""


def beam_search(
    steps: Scored,
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

    The rules are those of `transformers` with its defaults (`early_stopping=False`). A row keeps
    its `beams` best unfinished hypotheses and its `beams` best complete ones. Of all extensions the
    beams x (1 + stop tokens) best are looked at, and twice as many until at least `beams` go on.
    Those among the first `beams` that end in a stop token or a stop text are complete, with the
    score log probability / length ** length_penalty; after `max_tokens` the first `beams` are, as
    they are. A row ends when it has `beams` complete hypotheses and the best unfinished one, by its
    length so far, scores no better than the worst of them.

    A token's log probability is that among all tokens: a ban, of a forbidden token or a repeated
    n-gram, makes a token impossible and leaves the probability of the others unchanged. The
    repetition penalty multiplies the log probabilities of earlier tokens.

    Args:
        steps: decoding steps of the model.
        cache: cache of B rows.
        history: ids of each row so far, int64 (B, L), ending with the one to feed; -1 before the
            first.
        decoding: beams, length penalty and repetition control.
        stops: bool (V,), true where a token ends a hypothesis.
        spared: bool (V,), true where repetition control spares a token.
        ends: called as ends(row, ids), whether new ids end a hypothesis.
        max_tokens: the most new tokens.
    """
    start, penalty, beams = history.shape[1], decoding.length_penalty, decoding.beams
    width = beams * (1 + int(stops.sum()))
    complete: list[list[tuple[float, Generated]]] = [[] for _ in history]
    # The best of what goes on, for a row that a ban leaves no token before anything is complete.
    leading = [_generated(history[0, :0], 0.0, False)] * len(history)
    # For each hypothesis: its row, the score of the search, and the model's own log probability.
    rows = np.arange(len(history))
    scores = log_probabilities = np.zeros(len(history))
    for length in range(1, max_tokens + 1):
        logits, normalizers, cache = steps.scored(history[:, -1].astype(np.int32), cache)
        own_normalizers = log_normalizer(logits)
        extended = _extend(scores, logits, normalizers, history, decoding, spared)
        looked_at = width
        parents, tokens = _best_extensions(extended, rows, looked_at)
        by_text = _ended(ends, rows, history[:, start:], parents, tokens, stops)
        while by_text.any() and _lacks(rows[parents], by_text | stops[tokens], beams, looked_at):
            looked_at *= 2
            parents, tokens = _best_extensions(extended, rows, looked_at)
            by_text = _ended(ends, rows, history[:, start:], parents, tokens, stops)
        rows, scores = rows[parents], extended[parents, tokens]
        log_probabilities = log_probabilities[parents] + (
            logits[parents, tokens] - own_normalizers[parents]
        )
        history = np.concatenate([history[parents], tokens[:, None]], axis=1)

        ended = by_text | stops[tokens]
        first = _ranks(rows) < beams
        for i in np.flatnonzero(first & (ended | (length == max_tokens))):
            ids = history[i, start:-1] if stops[tokens[i]] else history[i, start:]
            one = _generated(ids, log_probabilities[i], bool(ended[i]))
            complete[rows[i]].append((scores[i] / length**penalty, one))
        for row in np.unique(rows[first & ended]):
            complete[row] = _best(complete[row], beams)
        if length == max_tokens:
            break
        going = np.flatnonzero(~ended)
        ranks = _ranks(rows[going])
        leaders = going[ranks == 0]
        can_win = np.zeros(len(complete), bool)
        for i, bound in zip(leaders, scores[leaders] / length**penalty, strict=True):
            found = complete[rows[i]]
            can_win[rows[i]] = len(found) < beams or bound > found[-1][0]
            if not found:
                leading[rows[i]] = _generated(history[i, start:], log_probabilities[i], False)
        going = going[can_win[rows[going]] & (ranks < beams)]
        if not len(going):
            break
        cache = steps.select(cache, parents[going])
        rows, scores, log_probabilities = rows[going], scores[going], log_probabilities[going]
        history = history[going]
    return [
        _best(found, 1)[0][1] if found else last
        for found, last in zip(complete, leading, strict=True)
    ]


def _best(found: list[tuple[float, Generated]], count: int) -> list[tuple[float, Generated]]:
    """Returns the hypotheses of the `count` highest scores, best first; of equals the earlier."""
    return sorted(found, key=lambda one: -one[0])[:count]


def _ranks(rows: np.ndarray) -> np.ndarray:
    """Returns the place of each element among those of its row; rows ascend."""
    _, firsts, counts = np.unique(rows, return_index=True, return_counts=True)
    return np.arange(len(rows)) - np.repeat(firsts, counts)


def _extend(
    scores: np.ndarray,
    logits: np.ndarray,
    normalizers: np.ndarray,
    history: np.ndarray,
    decoding: Decoding,
    spared: np.ndarray,
) -> np.ndarray:
    """Returns the score (R, V) of each hypothesis with each token."""
    if decoding.repetition_penalty == 1:
        extended = logits + (scores - normalizers)[:, None]
    else:
        # None is above 0, so that the penalty is a factor of all.
        likely = logits - normalizers[:, None]
        likely = penalize_seen(likely, history, decoding.repetition_penalty, spared)
        extended = likely + scores[:, None]
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
