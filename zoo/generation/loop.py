"""The generation loop of Keras models and `.tflite` files, in NumPy over decoding steps."""

from collections.abc import Callable, Collection, Sequence
from typing import Any, Protocol, runtime_checkable

import numpy as np

from keras_transformer.zoo.errors import InputError, RunError
from keras_transformer.zoo.generation.beam_search import beam_search
from keras_transformer.zoo.generation.decoding import Decoding, Generated, Steps, check_integer
from keras_transformer.zoo.generation.next_token import (
    ban_repeats,
    draw,
    log_normalizer,
    penalize_seen,
)


@runtime_checkable
class WholeLoop(Steps, Protocol):
    """A model's steps together with a whole loop of greedy decoding, see `CompiledSteps`."""

    def greedy(
        self, tokens: np.ndarray, cache: Any, max_tokens: int, stops: np.ndarray, bias: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Returns tokens, log probabilities and highest logits of each row."""


def generate(
    steps: Steps,
    cache: Any,
    tokens: np.ndarray,
    decoding: Decoding,
    *,
    stop_ids: Collection[int],
    forbidden_ids: Collection[int] = (),
    prompts: Sequence[np.ndarray] | None = None,
    numbers: Sequence[int] | None = None,
    max_tokens: int | None = None,
    on_token: Callable[[int, int], None] | None = None,
    ends: Callable[[int, np.ndarray], bool] | None = None,
    spared_ids: Collection[int] = (),
    not_first_ids: Collection[int] = (),
    uncounted_ids: Collection[int] = (),
) -> list[Generated]:
    """Generates the continuation of each row with greedy decoding, sampling or beam search.

    A finished row leaves the batch, so that no step is computed for it. Each row samples with its
    own random generator, seeded by (seed, its number), so that its tokens depend neither on other
    rows nor on the batch.

    Args:
        steps: the model's side.
        cache: of B rows, without `tokens`.
        tokens: integers (B,), the first token to feed of each row: the start token, or the
            prompt's last.
        decoding: how the next token is chosen.
        stop_ids: tokens that end a row. Repetition control spares them.
        forbidden_ids: tokens that are never generated: their logits are minus infinity before
            anything else, and the others share their probability.
        prompts: the earlier ids of each row, which repetition control counts together with
            `tokens` and what is generated.
        numbers: of the rows, for their seeds; their places 0, 1, ... by default.
        max_tokens: a second limit beside the one of `decoding`, such as the room in the cache;
            the smaller holds.
        on_token: called as on_token(row, token) as soon as a token is chosen, without the one that
            ends the row; not with beams.
        ends: called as ends(row, ids) with all new ids of a row, whether they end it.
        spared_ids: tokens that repetition control spares beside the stop tokens.
        not_first_ids: tokens that are forbidden in the first step alone.
        uncounted_ids: forbidden tokens that no text holds, such as the first one of a decoder:
            beam search takes the probability of the others among all tokens but these.

    Returns:
        The new tokens of each row. A row is unfinished if it reached its limit, or if the rule
        against repeated n-grams left it no token.

    Raises:
        InputError: if arguments do not fit each other or the vocabulary.
        RunError: if the model returns logits that are not finite numbers.
    """
    stop_ids = _ids("stop_ids", sorted(set(stop_ids)), steps.vocab_size)
    forbidden = _ids("forbidden_ids", sorted(set(forbidden_ids)), steps.vocab_size)
    both = np.intersect1d(stop_ids, forbidden)
    if len(both):
        raise InputError(
            f"Expected stop_ids and forbidden_ids to share no token, got {both[0]} in both."
        )
    if len(forbidden) == steps.vocab_size:
        raise InputError(
            "Expected forbidden_ids to leave a token of the vocabulary, "
            f"got all {steps.vocab_size}."
        )
    if decoding.beams > steps.vocab_size:
        raise InputError(
            f"Expected beams to be at most the vocabulary's {steps.vocab_size}, "
            f"got beams={decoding.beams}."
        )
    if on_token is not None and decoding.beams > 1:
        raise InputError(
            f"Expected beams to be 1 where tokens are streamed, got beams={decoding.beams}."
        )
    if max_tokens is not None:
        check_integer("max_tokens", max_tokens, least=1)
    limit = min(decoding.max_tokens, max_tokens or decoding.max_tokens)
    history = _history(tokens, prompts, steps.vocab_size)
    if not len(history):
        return []
    not_first = _ids("not_first_ids", list(not_first_ids), steps.vocab_size)
    uncounted = _ids("uncounted_ids", list(uncounted_ids), steps.vocab_size)
    permitted = _Permitted(steps, forbidden, not_first, uncounted)
    stops = np.zeros(steps.vocab_size, bool)
    stops[stop_ids] = True
    spared = stops.copy()
    spared[_ids("spared_ids", list(spared_ids), steps.vocab_size)] = True
    is_heard = on_token is not None or ends is not None
    in_steps = is_heard or len(not_first) > 0
    if decoding.is_plain_greedy and not in_steps and isinstance(steps, WholeLoop):
        return _all_at_once(steps, cache, history[:, -1], limit, stops, permitted.bias)
    if decoding.beams > 1:
        return beam_search(
            permitted, cache, history, decoding,
            stops=stops, spared=spared, ends=ends, max_tokens=limit,
        )  # fmt: skip
    numbers = range(len(history)) if numbers is None else numbers
    generators = [np.random.default_rng((decoding.seed, number)) for number in numbers]
    return _one_by_one(
        permitted, cache, history, decoding, generators, stops, spared, limit, on_token, ends
    )


def _all_at_once(
    steps: WholeLoop,
    cache: Any,
    tokens: np.ndarray,
    max_tokens: int,
    stops: np.ndarray,
    bias: np.ndarray,
) -> list[Generated]:
    """Greedy decoding with the model's own loop."""
    ids, log_probabilities, highest = steps.greedy(tokens, cache, max_tokens, stops, bias)
    _check_finite(highest)
    results = []
    for row, log_probability in zip(ids, log_probabilities, strict=True):
        ends = np.flatnonzero(stops[row])
        own = row[: ends[0]] if len(ends) else row
        results.append(
            Generated(
                ids=own.astype(np.int32), log_probability=float(log_probability),
                finished=len(ends) > 0,
            )  # fmt: skip
        )
    return results


def _one_by_one(
    steps: Steps,
    cache: Any,
    history: np.ndarray,
    decoding: Decoding,
    generators: Sequence[np.random.Generator],
    stops: np.ndarray,
    spared: np.ndarray,
    max_tokens: int,
    on_token: Callable[[int, int], None] | None,
    ends: Callable[[int, np.ndarray], bool] | None,
) -> list[Generated]:
    """Greedy decoding or sampling, one step at a time."""
    num_rows, start = history.shape
    results: dict[int, Generated] = {}
    # For each unfinished row: its index in the original batch.
    rows, log_probabilities = np.arange(num_rows), np.zeros(num_rows)
    for length in range(1, max_tokens + 1):
        logits, cache = steps.step(history[:, -1].astype(np.int32), cache)
        allowed = penalize_seen(logits, history, decoding.repetition_penalty, spared)
        allowed = ban_repeats(allowed, history, decoding.no_repeat_ngram, spared)
        chosen = allowed.argmax(axis=1)
        places = np.arange(len(rows))
        possible = allowed[places, chosen] > -np.inf
        if decoding.temperature > 0:
            for i in np.flatnonzero(possible):
                chosen[i] = draw(allowed[i], decoding, generators[rows[i]])
        log_probabilities = log_probabilities + np.where(
            possible, logits[places, chosen] - log_normalizer(logits), 0.0
        )
        history = np.concatenate([history, chosen[:, None]], axis=1)
        kept = possible & ~stops[chosen]
        stopped = possible & ~kept
        if ends is not None:
            for i in np.flatnonzero(kept):
                stopped[i] = ends(int(rows[i]), history[i, start:])
        going = possible & ~stopped
        if on_token is not None:
            for i in np.flatnonzero(going):
                on_token(int(rows[i]), int(chosen[i]))
        for place, row in enumerate(rows):
            if length == max_tokens or not going[place]:
                ids = history[place, start : start + length - (not kept[place])]
                results[int(row)] = Generated(
                    ids=ids.astype(np.int32),
                    log_probability=float(log_probabilities[place]),
                    finished=bool(stopped[place]),
                )
        if length == max_tokens or not going.any():
            break
        if not going.all():
            left = np.flatnonzero(going)
            cache = steps.select(cache, left)
            rows, log_probabilities, history = rows[left], log_probabilities[left], history[left]
    return [results[row] for row in range(num_rows)]


class _Permitted:
    """The model's steps with forbidden tokens impossible and logits checked to be finite."""

    def __init__(
        self, steps: Steps, forbidden: np.ndarray, not_first: np.ndarray, uncounted: np.ndarray
    ):
        self.vocab_size = steps.vocab_size
        self.select = steps.select
        self._step = steps.step
        self.bias = np.zeros(steps.vocab_size, np.float32)
        self.bias[forbidden] = -np.inf
        self._next_bias = self.bias.copy()
        self._next_bias[not_first] = -np.inf
        self._uncounted = uncounted

    def step(self, tokens: np.ndarray, cache: Any) -> tuple[np.ndarray, Any]:
        logits, cache = self._step(tokens, cache)
        return self._permitted(logits), cache

    def scored(self, tokens: np.ndarray, cache: Any) -> tuple[np.ndarray, np.ndarray, Any]:
        """Returns what `step` does, and the normalizers (B,) of the tokens that are counted."""
        logits, cache = self._step(tokens, cache)
        permitted = self._permitted(logits)
        if len(self._uncounted):
            logits = logits.copy()
            logits[:, self._uncounted] = -np.inf
        normalizers = log_normalizer(logits)
        _check_finite(normalizers)
        return permitted, normalizers, cache

    def _permitted(self, logits: np.ndarray) -> np.ndarray:
        logits, self._next_bias = logits + self._next_bias, self.bias
        _check_finite(logits.max(axis=1))
        return logits


def _check_finite(highest: np.ndarray) -> None:
    wrong = np.flatnonzero(~np.isfinite(highest))
    if len(wrong):
        raise RunError(
            f"Expected a finite number as the model's highest logit, got {highest[wrong[0]]}."
        )


def _history(
    tokens: np.ndarray, prompts: Sequence[np.ndarray] | None, vocab_size: int
) -> np.ndarray:
    """Returns the ids of each row up to the one to feed, int64 (B, L), with -1 before the first."""
    tokens = np.asarray(tokens)
    if tokens.ndim != 1:
        raise InputError(f"Expected tokens of shape (B,), got shape {tokens.shape}.")
    prompts = [np.zeros(0, np.int64)] * len(tokens) if prompts is None else prompts
    if len(prompts) != len(tokens):
        raise InputError(
            f"Expected a prompt for each of {len(tokens)} tokens, got {len(prompts)} prompts."
        )
    history = np.full((len(tokens), 1 + max(map(len, prompts), default=0)), -1)
    history[:, -1] = _ids("tokens", tokens, vocab_size)
    for row, prompt in zip(history, prompts, strict=True):
        row[len(row) - 1 - len(prompt) : -1] = _ids("prompts", prompt, vocab_size)
    return history


def _ids(name: str, values: Sequence[int] | np.ndarray, vocab_size: int) -> np.ndarray:
    """Returns ids as int64 (N,), checked to be below the vocabulary's size."""
    ids = np.asarray(values, np.int64)
    wrong = ids[(ids < 0) | (ids >= vocab_size)]
    if len(wrong):
        raise InputError(
            f"Expected {name} to be ids of a vocabulary of {vocab_size}, got {wrong[0]}."
        )
    return ids
