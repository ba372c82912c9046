"""Options of a run from scratch that follow from its training texts."""

import re
from collections.abc import Sequence
from typing import Any

import numpy as np

# Texts that a run reads in all its epochs, and the epochs that this may be.
_TEXTS_READ = 150_000
_EPOCHS = (3, 30)
# Number of texts from which on a model is less regularized.
_MANY = 100_000
# Share of the distinct words, and the pieces that a vocabulary of it may have.
_SHARE_OF_WORDS, _PIECES = 0.5, (1000, 16_000)
# Percentage of the texts that are not cut, pieces of a word, and the lengths that this may be.
_UNCUT, _PIECES_OF_A_WORD, _LENGTHS = 99, 1.4, (16, 128)
_LENGTH_STEP = 8
_WORD = re.compile(r"\w+|[^\w\s]")


def suited_to(texts: Sequence[str], pairs: Sequence[str] | None) -> dict[str, Any]:
    """Returns options of an encoder's run by name, and `settings` of its model.

    Few texts are read more often, and with more noise, so that a model learns what they have in
    common rather than each by heart. The numbers were chosen on validation rows of CLINC150 and AG
    News, see docs/train.md.

    Args:
        texts: training texts.
        pairs: the second texts of pairs.
    """
    words = [_WORD.findall(text.lower()) for text in texts]
    if pairs is not None:
        words = [[*one, *_WORD.findall(two.lower())] for one, two in zip(words, pairs, strict=True)]
    pieces = _SHARE_OF_WORDS * len(set().union(*words))
    longest = np.percentile([len(one) for one in words], _UNCUT) * _PIECES_OF_A_WORD + 3
    few = len(texts) < _MANY
    return {
        "epochs": _bounded(_TEXTS_READ / len(texts), _EPOCHS),
        "learning_rate": 1e-3,
        "token_dropout": 0.2 if few else 0.0,
        "label_smoothing": 0.1 if few else 0.0,
        "vocab_size": 100 * _bounded(pieces / 100, [bound // 100 for bound in _PIECES]),
        "max_length": _LENGTH_STEP
        * _bounded(longest / _LENGTH_STEP, [bound // _LENGTH_STEP for bound in _LENGTHS]),
        "settings": {"pooling": "max", "dropout": 0.3 if few else 0.1},
    }


def _bounded(value: float, bounds: Sequence[int]) -> int:
    """The next integer from a value on that is within bounds."""
    return int(np.clip(np.ceil(value), *bounds))
