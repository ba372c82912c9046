"""Word error rate of transcripts, by jiwer."""

import re
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from keras_transformer.zoo.errors import InputError

_OTHER = re.compile(r"[^\w']+")


class WordErrors(NamedTuple):
    """Errors of each text.

    Attributes:
        errors: number (rows,) of words that were replaced, left out or inserted.
        words: number (rows,) of words of the references.
    """

    errors: np.ndarray
    words: np.ndarray

    def rate(self, rows: np.ndarray | slice = slice(None)) -> float | None:
        """Returns the errors for each word of the references; None where these have no word."""
        words = self.words[rows].sum()
        return float(self.errors[rows].sum() / words) if words else None


def check_jiwer() -> Any:
    """Returns the module jiwer, an extra; InputError if it is not installed."""
    try:
        import jiwer
    except ModuleNotFoundError:
        raise InputError(
            "Expected jiwer to measure the word error rate, which is not installed: pip install "
            "'keras-transformer-zoo[speech]'."
        ) from None
    return jiwer


def plain_words(text: str) -> str:
    """Returns the words of a text in lower case, without punctuation, with one space between."""
    return " ".join(_OTHER.sub(" ", text.casefold()).split())


def word_errors(texts: Sequence[str], references: Sequence[str]) -> WordErrors:
    """Returns the errors of texts, as the fewest edits of words (Levenshtein 1966).

    Case and punctuation do not count, see `plain_words`.

    Args:
        texts: transcripts.
        references: what was said, of each.

    Raises:
        InputError: if jiwer is not installed.
    """
    jiwer, errors, words = check_jiwer(), [], []
    for text, reference in zip(texts, references, strict=True):
        said, written = plain_words(reference), plain_words(text)
        words.append(len(said.split()))
        if not said:
            # jiwer knows no rate of errors of nothing.
            errors.append(len(written.split()))
            continue
        found = jiwer.process_words(said, written)
        errors.append(found.substitutions + found.deletions + found.insertions)
    return WordErrors(np.array(errors, int), np.array(words, int))


def transcript_metrics(texts: Sequence[str], references: Sequence[str]) -> dict[str, Any]:
    """Returns the word error rate, and the share of texts without an error.

    Raises:
        InputError: if jiwer is not installed.
    """
    found = word_errors(texts, references)
    return {"wer": found.rate(), "exact_match": float(np.mean(found.errors == 0))}
