"""Metrics of tags: entities, of which type and range have to be right, or words.

Entities count as in conlleval (Tjong Kim Sang and De Meulder 2003, section 3) and seqeval: one is
right if its type, its first and its last word are. A metric that rows leave undefined is None, and
`undefined` says why, see `metrics`.
"""

from collections import Counter
from collections.abc import Callable, Hashable, Sequence
from operator import eq
from typing import Any

import numpy as np

from keras_transformer.zoo.tagging.schemes import entities_of

NO_ENTITY = "no row has an entity"


def entity_metrics(
    expected: Sequence[Sequence[str]], found: Sequence[Sequence[str]]
) -> dict[str, Any]:
    """Precision, recall and F1 of entities, over all types (micro) and by type; word accuracy.

    Args:
        expected, found: tags of each row's words, by BIO or BIOES.
    """
    right, wanted, given = (Counter[str]() for _ in range(3))
    for one, other in zip(expected, found, strict=True):
        ours, theirs = set(entities_of(one)), set(entities_of(other))
        wanted.update(entity.type for entity in ours)
        given.update(entity.type for entity in theirs)
        right.update(entity.type for entity in ours & theirs)
    overall = _shares(right.total(), wanted.total(), given.total())
    result: dict[str, Any] = {
        "f1": overall["f1"], "precision": overall["precision"], "recall": overall["recall"],
        "accuracy": _accuracy(expected, found), "entities": wanted.total(),
    }  # fmt: skip
    result["per_class"] = _by_name(right, wanted, given)
    undefined = undefined_by_entities(wanted.total())
    if not given.total():
        undefined["precision"] = "no entity is predicted"
    return {**result, "undefined": undefined} if undefined else result


def f1_of_rows(
    expected: Sequence[Sequence[str]], found: Sequence[Sequence[str]]
) -> Callable[[np.ndarray], float | None]:
    """Returns a function from places of rows (R,) to the F1 of their entities, over all types.

    Args:
        expected, found: see `entity_metrics`.
    """
    counts = []
    for one, other in zip(expected, found, strict=True):
        ours, theirs = set(entities_of(one)), set(entities_of(other))
        counts.append([len(ours & theirs), len(ours), len(theirs)])
    table = np.array(counts)
    return lambda rows: _shares(*table[rows].sum(axis=0).tolist())["f1"]


def accuracy_of_rows(
    expected: Sequence[Sequence[str]], found: Sequence[Sequence[str | None]]
) -> Callable[[np.ndarray], float]:
    """Returns a function from places of rows (R,) to the accuracy of their words.

    Args:
        expected, found: see `word_metrics`.
    """
    hits = np.array([
        sum(map(eq, one, other)) for one, other in zip(expected, found, strict=True)
    ])  # fmt: skip
    words = np.array([len(one) for one in expected])
    return lambda rows: float(hits[rows].sum() / words[rows].sum())


def word_metrics(
    expected: Sequence[Sequence[str]], found: Sequence[Sequence[str | None]]
) -> dict[str, Any]:
    """Accuracy of words, and precision, recall and F1 of each tag.

    Args:
        expected: tags of each row's words.
        found: likewise; None for a word without a prediction, which is wrong.
    """
    pairs = [
        (one, other) for row in zip(expected, found, strict=True)
        for one, other in zip(*row, strict=True)
    ]  # fmt: skip
    right = Counter(one for one, other in pairs if one == other)
    wanted = Counter(one for one, _ in pairs)
    given = Counter(other for _, other in pairs if other is not None)
    return {
        "accuracy": _accuracy(expected, found), "words": len(pairs),
        "per_class": _by_name(right, wanted, given),
    }  # fmt: skip


def undefined_by_entities(count: int) -> dict[str, str]:
    """Returns the metrics that a number of expected entities leaves undefined, with the reason."""
    return {} if count else dict.fromkeys(("f1", "recall"), NO_ENTITY)


def _accuracy(
    expected: Sequence[Sequence[Hashable]], found: Sequence[Sequence[Hashable]]
) -> float:
    hits = [
        one == other for row in zip(expected, found, strict=True)
        for one, other in zip(*row, strict=True)
    ]  # fmt: skip
    return sum(hits) / len(hits)


def _by_name(right: Counter, wanted: Counter, given: Counter) -> dict[str, dict[str, Any]]:
    return {
        name: {**_shares(right[name], wanted[name], given[name]), "rows": wanted[name]}
        for name in sorted({*wanted, *given})
    }


def _shares(right: int, wanted: int, given: int) -> dict[str, float | None]:
    return {
        "precision": right / given if given else None,
        "recall": right / wanted if wanted else None,
        "f1": 2 * right / (wanted + given) if wanted else None,
    }
