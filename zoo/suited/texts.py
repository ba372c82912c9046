"""Options of a run from scratch that follow from its training texts."""

import itertools
import re
from collections.abc import Sequence
from typing import Any

import numpy as np

# Tokens that a run reads in all its epochs, and the epochs that this may be.
_TOKENS_READ = 4_000_000
_EPOCHS = (3, 50)
# Number of texts from which on a model is less regularized.
_MANY = 100_000
# Number of texts that are read for it at most.
_MOST_READ = 500_000
# Share of the distinct words, and the pieces that a vocabulary of it may have.
_SHARE_OF_WORDS, _PIECES = 0.5, (1000, 16_000)
# Pieces of a word, special tokens, and the longest length that words are given.
_PIECES_OF_A_WORD, _SPECIAL, _LONGEST = 1.4, 3, 128
# Percentage of the texts that are not cut, the divisor of a length, and the shortest one.
_UNCUT, _LENGTH_STEP, _SHORTEST = 99, 8, 16
_WORD = re.compile(r"\w+|[^\w\s]")


def suited_to(texts: Sequence[str], pairs: Sequence[str] | None) -> dict[str, Any]:
    """Returns options of an encoder's run by name, and `settings` of its model.

    Few texts are read more often and with more noise, so that a model learns what they have in
    common rather than each by heart. The numbers were chosen on validation rows of CLINC150 and AG
    News, see docs/train.md.

    Args:
        texts: training texts.
        pairs: the second texts of pairs.
    """
    distinct: set[str] = set()
    lengths = []
    # Of many rows some, evenly spaced.
    step = -(-len(texts) // _MOST_READ)
    seconds = itertools.repeat("") if pairs is None else pairs[::step]
    for text, second in zip(texts[::step], seconds, strict=False):
        words = _WORD.findall(text.lower()) + _WORD.findall(second.lower())
        distinct.update(words)
        lengths.append(len(words) * _PIECES_OF_A_WORD + _SPECIAL)
    pieces = _SHARE_OF_WORDS * len(distinct)
    few = len(texts) < _MANY
    return {
        "model": "bert_tiny" if few else "bert_mini",
        "optimizer": "adamw",
        "weight_decay": 0.05,
        "epochs": bounded(_TOKENS_READ / sum(lengths) / step, _EPOCHS),
        "learning_rate": 2e-3 if few else 1e-3,
        "token_dropout": 0.1 if few else 0.0,
        "label_smoothing": 0.1 if few else 0.0,
        "vocab_size": 100 * bounded(pieces / 100, [bound // 100 for bound in _PIECES]),
        "max_length": uncut_length(lengths, _LONGEST),
        "settings": {"pooling": "max", "dropout": 0.2 if few else 0.1},
    }


def uncut_length(lengths: Sequence[float], longest: int) -> int:
    """Returns a length in tokens that nearly all texts have at most.

    Args:
        lengths: tokens of each text.
        longest: positions of the model, or of what is asked for at most.
    """
    found = np.percentile(lengths, _UNCUT)
    return min(max(_LENGTH_STEP * int(np.ceil(found / _LENGTH_STEP)), _SHORTEST), longest)


def bounded(value: float, bounds: Sequence[int]) -> int:
    """Returns the next integer from a value on that is within bounds."""
    return int(np.clip(np.ceil(value), *bounds))
