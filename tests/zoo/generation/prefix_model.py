"""A model for generation whose logits are any function of the ids so far, and slow references."""

import itertools
import math

import numpy as np
import pytest

from keras_transformer.zoo.generation.loop import generate

START, END = 0, 1


class PrefixModel:
    """Steps whose cache is the list of each row's ids.

    Args:
        vocab_size: V.
        logits: from a tuple of ids to V numbers; by default random ones, of the seed and every id.
        seed: of the default.

    Attributes:
        batches: the rows of each step so far.
    """

    def __init__(self, vocab_size, logits=None, seed=0):
        self.vocab_size = vocab_size
        self.batches = []
        self._known = {}
        self._logits = logits or (lambda prefix: self._random(seed, prefix))

    def _random(self, seed, prefix):
        # A generator takes trailing zeros of its seed for nothing.
        generator = np.random.default_rng((seed, *(token + 1 for token in prefix)))
        return generator.normal(scale=2.0, size=self.vocab_size)

    def logits(self, prefix):
        if prefix not in self._known:
            self._known[prefix] = np.asarray(self._logits(prefix), np.float32)
        return self._known[prefix]

    def step(self, tokens, cache):
        assert tokens.dtype == np.int32
        assert tokens.shape == (len(cache),)
        self.batches.append(len(tokens))
        cache = [(*prefix, int(token)) for prefix, token in zip(cache, tokens, strict=True)]
        logits = np.stack([self.logits(prefix) for prefix in cache])
        # As the memory of an interpreter may be.
        logits.flags.writeable = False
        return logits, cache

    def select(self, cache, rows):
        assert rows.dtype == np.int64
        return [cache[row] for row in rows]


def run(model, decoding, *, rows=(0,), stop_ids=(END,), forbidden_ids=(START,), **options):
    """Generates; rows differ by a number before the start token, which the model alone sees."""
    cache = [(100 + row,) for row in rows]
    tokens = np.full(len(rows), START, np.int32)
    return generate(
        model, cache, tokens, decoding, stop_ids=stop_ids, forbidden_ids=forbidden_ids, **options
    )


def values(generated):
    return [(g.ids.tolist(), pytest.approx(g.log_probability), g.finished) for g in generated]


def log_softmax(logits):
    """From a dict of numbers to a dict of log probabilities, one number after the other."""
    highest = max(logits.values())
    total = math.fsum(math.exp(value - highest) for value in logits.values())
    return {token: value - highest - math.log(total) for token, value in logits.items()}


def permitted(model, prefix, forbidden=()):
    """The logits of one step as a dict of the tokens that are not forbidden."""
    logits = model.logits(tuple(prefix))
    return {i: float(logits[i]) for i in range(model.vocab_size) if i not in forbidden}


def penalized(logits, seen, penalty):
    """Keskar et al. 2019, section 4.1, with negative logits multiplied."""
    return {
        token: (value / penalty if value > 0 else value * penalty) if token in seen else value
        for token, value in logits.items()
    }


def repeats(ids, length):
    """Whether a run of some length occurs twice."""
    runs = [tuple(ids[i : i + length]) for i in range(len(ids) - length + 1)]
    return len(set(runs)) < len(runs)


def exhaustive(model, prefix, stops, forbidden, max_tokens, length_penalty, no_repeat=0):
    """The best of all sequences: ids, log probability and whether a stop token ends it."""
    living = [i for i in range(model.vocab_size) if i not in {*stops, *forbidden}]
    found = []
    for length in range(max_tokens + 1):
        for ids in itertools.product(living, repeat=length):
            if no_repeat and repeats([*prefix[1:], *ids], no_repeat):
                continue
            score = own = 0.0
            for i in range(length):
                before = (*prefix, *ids[:i])
                own += log_softmax(permitted(model, before, forbidden))[ids[i]]
                score += log_softmax(permitted(model, before))[ids[i]]
            if length == max_tokens:
                found.append((score / length**length_penalty, own, list(ids), False))
                continue
            ends = log_softmax(permitted(model, (*prefix, *ids), forbidden))
            scores = log_softmax(permitted(model, (*prefix, *ids)))
            for stop in stops:
                whole = (score + scores[stop]) / (length + 1) ** length_penalty
                found.append((whole, own + ends[stop], list(ids), True))
    _, own, ids, finished = max(found)
    return ids, own, finished


def slow_beam_search(model, prefix, stops, forbidden, decoding):
    """Beam search over lists: ids, log probability, finished."""
    # Score, own log probability, ids.
    alive, complete = [(0.0, 0.0, [])], []
    for length in range(1, decoding.max_tokens + 1):
        extensions = []
        for score, own, ids in alive:
            so_far = [*prefix[1:], *ids]
            plain = log_softmax(permitted(model, (*prefix, *ids), forbidden))
            seen = set(so_far) - set(stops)
            guide = log_softmax(permitted(model, (*prefix, *ids)))
            guide = penalized(guide, seen, decoding.repetition_penalty)
            for token in plain:
                n = decoding.no_repeat_ngram
                if token in stops or not n or not repeats([*so_far, token], n):
                    extensions.append((score + guide[token], own + plain[token], [*ids, token]))
        extensions.sort(key=lambda extension: -extension[0])
        extensions = extensions[: decoding.beams * (1 + len(stops))]
        for place, (score, own, ids) in enumerate(extensions):
            ends = ids[-1] in stops
            if place < decoding.beams and (ends or length == decoding.max_tokens):
                ids = ids[:-1] if ends else ids
                complete.append((score / length**decoding.length_penalty, own, ids, ends))
        complete = sorted(complete, key=lambda one: -one[0])[: decoding.beams]
        alive = [extension for extension in extensions if extension[2][-1] not in stops]
        alive = alive[: decoding.beams]
        if len(complete) == decoding.beams and (
            not alive or alive[0][0] / length**decoding.length_penalty <= complete[-1][0]
        ):
            break
    if not complete:
        return alive[0][2], alive[0][1], False
    _, own, ids, finished = complete[0]
    return ids, own, finished
