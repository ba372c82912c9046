"""Vocabulary learning."""

import collections
import os
import pathlib
from collections.abc import Sequence

from keras_transformer.zoo.errors import InputError
from keras_transformer.zoo.tokenizers.normalizers.bert import word_splitter
from keras_transformer.zoo.tokenizers.normalizers.normalize import fold_text, stands_alone
from keras_transformer.zoo.tokenizers.piece_list import (
    CONTINUATION,
    SPECIAL_TOKENS,
    Vocabulary,
)
from keras_transformer.zoo.tokenizers.tokenizer import TokenizerConfig
from keras_transformer.zoo.vocabularies.learn_pieces import learn_pieces
from keras_transformer.zoo.vocabularies.learn_unigram import learn_unigram

# Beyond the 50,000 most frequent ones, words are too rare to contribute a piece.
_MAX_WORDS = 50_000
_MAX_WORD_LENGTH = 50
_MAX_ROUNDS = 5
# Fraction by which a vocabulary may be too large before its rarest pieces are removed.
_SLACK = 0.1


def learn_vocabulary(texts: Sequence[str], size: int, config: TokenizerConfig) -> Vocabulary:
    """Learns the vocabulary of texts; the same texts in any order result in the same pieces.

    Word pieces come from `learn_pieces`, which selects those that occur at least `threshold` times;
    the threshold is searched for, and the rarest pieces of a vocabulary that is still too large are
    removed. Characters are counted. SentencePiece's come from `learn_unigram`.

    Args:
        texts: training texts.
        size: maximum number of entries of the vocabulary.
        config: settings of the tokenizer.

    Returns:
        The special tokens, then the rest from frequent to rare: for word pieces first the
        characters (the more frequent ones, if they would fill over half of `size`), for
        SentencePiece first the 256 bytes. Fewer than `size` if the texts have fewer pieces.

    Raises:
        InputError: if the texts have no words, the size has no room for characters, or the
            tokenizer is of bytes.
    """
    if config.kind == "bytes":
        raise InputError("Expected a tokenizer with a vocabulary to learn, got kind='bytes'.")
    smallest = 2 * len(SPECIAL_TOKENS) + (256 if config.kind == "sentencepiece" else 0)
    if size < smallest:
        raise InputError(f"Expected a vocabulary size of at least {smallest}, got size={size}.")
    if config.kind == "sentencepiece":
        return learn_unigram(texts, size, config)
    if config.kind == "characters":
        return _count_characters(texts, size, config)
    counts = _count_words(texts, config)
    if not counts:
        raise InputError(
            f"Expected texts with words to learn from, got none in {len(texts)} texts."
        )
    characters = _character_pieces(counts, size // 2)
    entries = dict.fromkeys([*SPECIAL_TOKENS, *characters])
    entries.update(dict.fromkeys(_search(counts, size, entries)))
    return Vocabulary(tuple(entries)[:size])


def _count_characters(texts: Sequence[str], size: int, config: TokenizerConfig) -> Vocabulary:
    """Returns the characters from frequent to rare, equally frequent ones by their code points."""
    counts = collections.Counter()
    for text in texts:
        counts.update(fold_text(text, **config.fold))
    if not counts:
        raise InputError(
            f"Expected texts with characters to learn from, got none in {len(texts)} texts."
        )
    characters = sorted(counts, key=lambda character: (-counts[character], character))
    return Vocabulary((*SPECIAL_TOKENS, *characters)[:size])


def _count_words(texts: Sequence[str], config: TokenizerConfig) -> list[tuple[str, int]]:
    """Counts the words that the tokenizer can match, from frequent to rare."""
    counts = collections.Counter()
    split = word_splitter(config.normalization, **config.fold)
    for text in texts:
        counts.update(split(text))
    words = [item for item in counts.items() if not config.is_too_long(item[0])]
    return sorted(words, key=lambda item: (-item[1], item[0]))


def _character_pieces(counts: list[tuple[str, int]], room: int) -> list[str]:
    """Returns each character, and its continuation form unless it is always a separate word."""
    seen = collections.Counter()
    for word, count in counts:
        for character in word:
            seen[character] += count
    pieces = []
    for character, _ in sorted(seen.items(), key=lambda item: (-item[1], item[0])):
        forms = [character]
        if not stands_alone(character):
            forms.append(CONTINUATION + character)
        if len(pieces) + len(forms) > room:
            break
        pieces += forms
    return pieces


def _search(counts: list[tuple[str, int]], size: int, entries: dict[str, None]) -> list[str]:
    """Returns the learned pieces for the threshold that, with `entries`, just reaches `size`.

    The vocabulary for a threshold consists mostly of the words that reach it. So the first
    threshold is the count of the word at rank `size`, and the next ones come from ranks scaled by
    the relative error of the last vocabulary's size (pieces grow more slowly than ranks, hence the
    power of 1.5): this takes a few rounds, where bisection takes fifteen.
    """
    words = [item for item in counts if len(item[0]) <= _MAX_WORD_LENGTH][:_MAX_WORDS]
    if not words:
        return []
    found: dict[int, list[str]] = {}
    rank, tried = size, set()
    for _ in range(_MAX_ROUNDS):
        threshold = words[min(max(rank, 1), len(words)) - 1][1]
        if threshold in tried:
            break
        tried.add(threshold)
        pieces = learn_pieces(words, threshold, size)
        total = len(entries) + len(pieces)
        if size <= total <= size * (1 + _SLACK):
            return pieces
        found[total] = pieces
        rank = int(rank * (size * (1 + _SLACK / 2) / total) ** 1.5)
    return found[min(found, key=lambda total: abs(total - size))]


def read_vocabulary(path: str | os.PathLike) -> list[str]:
    """Reads a `vocab.txt` of word pieces: one per line, with the line number from 0 as its id.

    Raises:
        FileNotFoundError: if there is no such file.
        InputError: if the text is not UTF-8, a piece is empty or repeated, a special token is
            missing, or [PAD] is not on the first line; the message names the line.
    """
    vocabulary = []
    for number, line in enumerate(pathlib.Path(path).read_bytes().split(b"\n"), start=1):
        try:
            vocabulary.append(line.removesuffix(b"\r").decode())
        except UnicodeDecodeError:
            raise InputError(f"Expected {path} to be UTF-8, line {number} is not.") from None
    if vocabulary[-1] == "":
        vocabulary.pop()
    Vocabulary(tuple(vocabulary)).check("wordpiece", str(path))
    return vocabulary
