"""Which pieces of a text are one word."""

import numpy as np

from keras_transformer.zoo.masking.words import MOST_PIECES, WordRules
from keras_transformer.zoo.tokenizers.piece_list import (
    BYTE_ALPHABET,
    BYTE_PIECES,
    SPECIAL_TOKENS,
    Vocabulary,
)
from keras_transformer.zoo.tokenizers.tokenizer import Tokenizer, TokenizerConfig

WORDS = Tokenizer(TokenizerConfig(), (*SPECIAL_TOKENS, "ab", "##c", "##d", ",", "x"))
CHARACTERS = Tokenizer(TokenizerConfig(kind="characters"), (*SPECIAL_TOKENS, *"\n abc"))
BYTES = Tokenizer(TokenizerConfig(kind="bytes", lowercase=False, strip_accents=False))
PIECES = Vocabulary(
    (*SPECIAL_TOKENS, *BYTE_PIECES, "▁a", "b", "▁c", "▁"),
    (-np.inf,) * 5 + (-9.0,) * 256 + (-1.0, -2.0, -3.0, -4.0),
)
SENTENCES = Tokenizer(TokenizerConfig(kind="sentencepiece"), PIECES)


def words(tokenizer, ids):
    return WordRules(tokenizer).numbers(np.array(ids)).tolist()


def test_word_pieces_continue_a_word():
    [ids] = WORDS.pieces(["abcd, ab xyz"])
    assert ids == [5, 6, 7, 8, 5, 1]
    assert words(WORDS, [2, *ids, 3, 7]) == [0, 1, 1, 1, 2, 3, 4, 5, 6]


def test_characters_and_bytes_of_a_word_are_between_white_space():
    [ids] = CHARACTERS.pieces(["ab c\nab"])
    assert words(CHARACTERS, ids) == [0, 0, 1, 2, 3, 4, 4]
    [ids] = BYTES.pieces(["é b"])
    assert words(BYTES, ids) == [0, 0, 1, 2]


def test_a_marked_piece_begins_a_word():
    first = len(SPECIAL_TOKENS) + 256
    assert words(SENTENCES, [first, first + 1, first + 2, first + 3, first + 1]) == [0, 0, 1, 2, 2]
    space = BYTE_ALPHABET[32]
    vocabulary = Vocabulary(
        (*SPECIAL_TOKENS, *BYTE_ALPHABET, "ab", f"{space}a"),
        merges=((5 + 97, 5 + 98),),
    )
    bpe = WordRules(Tokenizer(TokenizerConfig(kind="bpe"), vocabulary))
    assert bpe.numbers(np.array([5 + 256, 5 + 99, 5 + 257, 5 + 98])).tolist() == [0, 0, 1, 1]


def test_a_long_run_is_no_word_and_rows_begin_one():
    ids = np.array([5, *[6] * (MOST_PIECES - 1), 5, *[6] * MOST_PIECES])
    numbers = WordRules(WORDS).numbers(ids)
    assert (numbers[:MOST_PIECES] == 0).all()
    assert numbers[MOST_PIECES:].tolist() == list(range(1, MOST_PIECES + 2))
    numbers = WordRules(WORDS).numbers(np.array([5, 6, 6, 6]), np.array([0, 2]))
    assert numbers.tolist() == [0, 0, 1, 1]
