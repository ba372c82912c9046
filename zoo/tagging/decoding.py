"""Tags and entities from a model's outputs for words."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from keras_transformer.zoo.errors import InputError
from keras_transformer.zoo.tagging.schemes import Rules, entities_of, rules_of, scheme_of
from keras_transformer.zoo.tagging.windows import TagOutputs


class TaggedSpan(NamedTuple):
    """An entity, or a word where tags are plain.

    Attributes:
        label: type of the entity, or tag of the word.
        text: its text, as it stands in the row's.
        start, end: range of its characters in the row's text; of given words, in their text with
            a space between each two.
        score: mean probability of its words' tags.
    """

    label: str
    text: str
    start: int
    end: int
    score: float


class Tagged(NamedTuple):
    """The prediction for one row.

    Attributes:
        spans: entities, or words where tags are plain, in the order of the text.
        truncated: whether a word is longer than the model and was cut. Long texts are not: they
            are read in several windows.
    """

    spans: list[TaggedSpan]
    truncated: bool


def log_probabilities(scores: np.ndarray) -> np.ndarray:
    """Returns the logarithm of the softmax of logits (words, tags), in float64."""
    scores = scores.astype("float64")
    scores = scores - scores.max(axis=1, keepdims=True, initial=-np.inf)
    return scores - np.log(np.exp(scores).sum(axis=1, keepdims=True))


def best_tags(scores: np.ndarray, rules: Rules | None) -> np.ndarray:
    """Returns the most probable tags (words,) of a row among those that the rules allow.

    Words are independent given the text, so that the probability of a row is the product of its
    words'; the best row is found by dynamic programming (Viterbi 1967).

    Args:
        scores: logits (words, tags).
        rules: rules of the tags; None if any tag may follow any.
    """
    if rules is None or not len(scores):
        return scores.argmax(axis=1)
    scores = log_probabilities(scores)
    forbidden = np.where(rules.next, 0.0, -np.inf)
    best = scores[0] + np.where(rules.first, 0.0, -np.inf)
    came_from = np.zeros(scores.shape, np.intp)
    for place in range(1, len(scores)):
        reached = best[:, None] + forbidden
        came_from[place] = reached.argmax(axis=0)
        best = reached.max(axis=0) + scores[place]
    path = [int((best + np.where(rules.last, 0.0, -np.inf)).argmax())]
    for place in range(len(scores) - 1, 0, -1):
        path.append(int(came_from[place, path[-1]]))
    return np.array(path[::-1])


def check_constrained(value: Any, count: int = 0) -> None:
    """Raises InputError if what says whether decoding keeps to the rules is not true or false."""
    if type(value) is not bool:
        raise InputError(f"Expected constrained to be true or false, got constrained={value!r}.")


def row_tags(
    labels: Sequence[str], outputs: TagOutputs, constrained: bool = True
) -> list[np.ndarray]:
    """Returns the indices of the tags (words,) of each row; -1 for a word that was not read.

    Args:
        labels: the tags.
        outputs: logits.
        constrained: whether rows keep to the rules of the tags' scheme.
    """
    rules = rules_of(labels) if constrained else None
    found = []
    for scores, is_read in zip(outputs.scores, outputs.is_read, strict=True):
        tags = np.full(len(scores), -1)
        tags[is_read] = best_tags(scores[is_read], rules)
        found.append(tags)
    return found


def tag_predictions(
    labels: Sequence[str], outputs: TagOutputs, constrained: bool = True
) -> list[Tagged]:
    """Converts logits to the entities of each row, or to each word's tag, see `row_tags`."""
    has_entities = scheme_of(labels) is not None
    found = []
    rows = row_tags(labels, outputs, constrained)
    for tags, scores, is_read, row, cut in zip(rows, *outputs, strict=True):
        probability = np.exp(np.take_along_axis(log_probabilities(scores), tags[:, None], axis=1))
        spans = []
        for label, words in _spans(labels, tags, np.flatnonzero(is_read), has_entities):
            start, end = row.places[words[0]][0], row.places[words[-1]][1]
            score = float(probability[words].mean())
            spans.append(TaggedSpan(label, row.text[start:end], start, end, score))
        found.append(Tagged(spans, cut))
    return found


def _spans(labels, tags, read, has_entities):
    """Labels, and the numbers of the words that they are of."""
    if not has_entities:
        return [(labels[tags[place]], [place]) for place in read]
    named = [labels[tag] for tag in tags[read]]
    return [(one.type, read[one.first : one.end]) for one in entities_of(named)]

