"""Vectors, and labels that are texts: a part of what predictors do."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from keras_transformer.zoo.chatting import Chatting
from keras_transformer.zoo.errors import InputError
from keras_transformer.zoo.outputs import (
    Outputs,
    Prediction,
    class_predictions,
    unit_vectors,
    vectors_as,
)

# Argument of `embed` -> the kind of its rows, which is the name of a head.
KINDS = {"images": "image", "sounds": "audio", "texts": "text"}
TEXT = "text"


class Matching(Chatting):
    """Embeds rows, and compares those of two kinds, see `Predictor`, which has the attributes."""

    decision: Mapping[str, Any]
    embeds: bool
    head_names: tuple[str, ...]
    _called: str

    @property
    def matches_kinds(self) -> bool:
        """Whether it has an encoder for each of two kinds of rows, whose vectors are compared."""
        return "scale" in self.decision

    def embed(
        self, rows: Iterable[Any] | None = None, *, width: int | None = None,
        dtype: str = "float32", **kinds: Iterable[Any],
    ) -> np.ndarray:  # fmt: skip
        """Returns the vectors (rows, D) of raw rows.

        Args:
            rows: raw rows; None where a model of two kinds embeds one of them.
            width: number of the first values to return, see `shortened`; None for all.
            dtype: float32, or int8 for a quarter of the bytes, see `int8_vectors`.
            **kinds: `images`, `sounds` or `texts`: the rows of a model of two kinds.

        Raises:
            InputError, TypeError: as `predict`, or if the model's outputs are no vectors.
        """
        if kinds or self.matches_kinds:
            name, rows = self._one_kind(rows, kinds)
            return self.head(name).embed(rows, width=width, dtype=dtype)
        if not self.embeds:
            raise InputError(f"Expected a model of embeddings, got one of {self.task_name}.")
        return vectors_as(self.scores(rows), width, dtype)

    def classify(
        self, rows: Iterable[Any], labels: Sequence[str] | Mapping[str, str | Sequence[str]]
    ) -> list[Prediction]:
        """Returns the label of each row whose text is the nearest to it: zero-shot classification.

        Radford et al. 2021, arXiv:2103.00020, section 3.1.2. The scores are a softmax of the
        cosines, times the factor that training learned.

        Args:
            rows: raw rows of the kind that is no text, such as images.
            labels: texts such as "a photo of a cat"; or texts by the name of the label, or several
                of each, whose mean vector stands for it (section 3.1.4).

        Raises:
            InputError: if the model has no encoders of texts and of another kind, there are fewer
                than two labels, or a row does not fit.
            TypeError: if rows or labels are no lists.
        """
        names, texts = _texts_of(labels)
        if not self.matches_kinds or TEXT not in self.head_names:
            raise InputError(
                "Expected a model of texts and of another kind of rows, such as images, got one of "
                f"{self.task_name}."
            )
        [other] = [name for name in self.head_names if name != TEXT]
        flat = unit_vectors(self.head(TEXT).embed([one for some in texts for one in some]))
        ends = np.cumsum([len(some) for some in texts])[:-1]
        means = np.stack([part.mean(axis=0) for part in np.split(flat, ends)])
        found = self.head(other).outputs(rows)
        cosines = unit_vectors(found.scores) @ unit_vectors(means).T
        logits = (self.decision["scale"] * cosines).astype("float32")
        return class_predictions(names, Outputs(logits, found.truncated))

    def _one_kind(self, rows, kinds):
        """The head and the rows of the one kind that is given."""
        known = [name for name, kind in KINDS.items() if kind in self.head_names]
        if not self.matches_kinds:
            raise InputError(
                f"Expected rows without a name, which a model of {self.task_name} reads, got "
                f"{', '.join(kinds)}."
            )
        [*given] = kinds
        if rows is not None or len(given) != 1 or given[0] not in known:
            got = ", ".join((*(["rows without a name"] if rows is not None else []), *given))
            raise InputError(f"Expected rows as one of {', '.join(known)}, got {got or 'none'}.")
        return KINDS[given[0]], kinds[given[0]]


def _texts_of(labels):
    """The names of labels, and the texts of each."""
    if isinstance(labels, str) or not isinstance(labels, Iterable):
        raise TypeError(f"Expected a list of labels, got {labels!r}.")
    given = list(labels)
    if twice := [text for text, count in Counter(given).items() if count > 1]:
        raise InputError(f"Expected labels that differ, got {twice[0]!r} more than once.")
    if len(given) < 2:
        got = repr(given[0]) if given else "none"
        raise InputError(f"Expected at least two labels, got {got}.")
    named = dict(labels) if isinstance(labels, Mapping) else dict(zip(given, given, strict=True))
    texts = [[one] if isinstance(one, str) else list(one) for one in named.values()]
    for name, some in zip(named, texts, strict=True):
        if not some or not all(isinstance(one, str) and one.strip() for one in some):
            raise InputError(f"Expected texts of the label {name!r}, got {some!r}.")
    return list(named), texts
