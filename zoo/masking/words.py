"""Words among the pieces of a text, which are masked together."""

import numpy as np

from keras_transformer.zoo.tokenizers.piece_list import (
    BYTE_ALPHABET,
    CONTINUATION,
    SPECIAL_TOKENS,
)
from keras_transformer.zoo.tokenizers.tokenizer import Tokenizer

# A longer run of pieces is no word, but a text in a script without spaces.
MOST_PIECES = 16
_WHITE = b" \t\n\r"
_MARK = "▁"


class WordRules:
    """Where words begin and end among a tokenizer's pieces.

    Word pieces that continue a word begin with "##"; those of SentencePiece and BPE begin one where
    they begin with a space; characters and bytes where one follows it.

    Args:
        tokenizer: tokenizer of the pieces.

    Attributes:
        is_special: (V,) bool, whether a piece is a special token, which no word has.
    """

    def __init__(self, tokenizer: Tokenizer):
        kind, pieces = tokenizer.config.kind, tokenizer.vocabulary.pieces
        size = tokenizer.vocab_size
        begins, ends = np.zeros(size, bool), np.zeros(size, bool)
        if kind == "bytes":
            begins[[len(SPECIAL_TOKENS) + byte for byte in _WHITE]] = True
            ends |= begins
        elif kind == "characters":
            begins[:] = [piece.isspace() for piece in pieces]
            ends |= begins
        elif kind == "wordpiece":
            begins[:] = [
                not piece.startswith(CONTINUATION) or piece == CONTINUATION for piece in pieces
            ]
        else:
            white = _MARK if kind != "bpe" else tuple(BYTE_ALPHABET[byte] for byte in _WHITE)
            begins[:] = [piece.startswith(white) for piece in pieces]
        self.is_special = np.zeros(size, bool)
        self.is_special[sorted(tokenizer.special_ids)] = True
        self._begins, self._ends = begins | self.is_special, ends | self.is_special

    def numbers(self, ids: np.ndarray, starts: np.ndarray | None = None) -> np.ndarray:
        """Returns the number (N,) of each piece's word, ascending from 0.

        Each special token, and each piece of a run of more than `MOST_PIECES`, has its own.

        Args:
            ids: (N,) pieces.
            starts: places among them where a word begins whatever precedes it, such as those of
                rows.
        """
        is_first = self._begins[ids]
        is_first[1:] |= self._ends[ids[:-1]]
        is_first[:1] = True
        if starts is not None:
            is_first[starts] = True
        numbers = np.cumsum(is_first) - 1
        is_first |= np.bincount(numbers)[numbers] > MOST_PIECES
        return np.cumsum(is_first) - 1
