"""Learning of word pieces from counted words."""

import collections
from collections.abc import Iterator, Mapping, Sequence

from keras_transformer.zoo.tokenizers.piece_list import CONTINUATION

# The first finds the ends of words that are frequent wherever they begin, the second those that are
# where pieces of the first begin.
_ROUNDS = 2


def learn_pieces(
    words: Sequence[tuple[str, int]], threshold: int, num_characters: int
) -> list[str]:
    """Learns the pieces of more than one character that end words at least so many times.

    They are those of tensorflow-text's learner (`wordpiece_tokenizer_learner_lib`, top down): it
    counts every part of a word, and takes from the count of a part those of all that it begins, so
    that what is left is how often the part ends a word.

    Args:
        words: words with their counts.
        threshold: smallest count of a piece.
        num_characters: words with other characters than so many of the most frequent are left out.

    Returns:
        Pieces from frequent to rare, equally frequent ones by their code points; those that do not
        begin a word begin with `CONTINUATION`.
    """
    seen: collections.Counter[str] = collections.Counter()
    for word, count in words:
        for character in word:
            seen[character] += count
    known = sorted(seen, key=lambda character: (-seen[character], character))[:num_characters]
    kept = [(word, count) for word, count in words if set(known).issuperset(word)]
    pieces: dict[str, int] = {}
    for number in range(_ROUNDS):
        ends: collections.Counter[str] = collections.Counter()
        for word, count in kept:
            for start in _starts(word, pieces) if number else range(len(word)):
                ends[_piece(word, start, len(word))] += count
        pieces = {piece: count for piece, count in ends.items() if count >= threshold}
    several = [piece for piece in pieces if len(piece.removeprefix(CONTINUATION)) > 1]
    return sorted(several, key=lambda piece: (-pieces[piece], piece))


def _starts(word: str, pieces: Mapping[str, int]) -> Iterator[int]:
    """Where the longest pieces begin that a word is read in; each character is one too."""
    start = 0
    while start < len(word):
        yield start
        end = len(word)
        while end > start + 1 and _piece(word, start, end) not in pieces:
            end -= 1
        start = end


def _piece(word: str, start: int, end: int) -> str:
    return CONTINUATION + word[start:end] if start else word[start:end]
