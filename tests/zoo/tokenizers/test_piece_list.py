"""Lists of pieces: each kind's file holds what it was given, and what cannot work is refused."""

import json

import pytest

from keras_transformer.zoo.errors import InputError
from keras_transformer.zoo.tokenizers.piece_list import BYTE_PIECES, SPECIAL_TOKENS, Vocabulary

FIXED = (*SPECIAL_TOKENS, *BYTE_PIECES)


def scored(*pieces, scores=None):
    return Vocabulary(FIXED + pieces, scores or (0.0,) * len(FIXED) + (-1.5,) * len(pieces))


def test_a_vocabulary_is_the_sequence_of_its_pieces():
    vocabulary = Vocabulary(("[PAD]", "a", "b"))
    assert len(vocabulary) == 3
    assert list(vocabulary) == ["[PAD]", "a", "b"]
    assert (vocabulary[1], vocabulary[1:], vocabulary.index("b")) == ("a", ("a", "b"), 2)


def test_bytes_are_pieces_of_hexadecimal_digits():
    assert len(set(BYTE_PIECES)) == 256
    assert [BYTE_PIECES[byte] for byte in b"\x00A\xff"] == ["<0x00>", "<0x41>", "<0xFF>"]


@pytest.mark.parametrize(
    "kind, vocabulary",
    [
        ("wordpiece", Vocabulary((*SPECIAL_TOKENS, "a", "##a", "\t", "\u2028"))),
        ("characters", Vocabulary((*SPECIAL_TOKENS, *map(chr, range(0x300)), '"', "\u2028", "🙂"))),
        ("sentencepiece", scored("▁a", "b", "\u200b", scores=(0.0,) * 261 + (-1.1, -1e-7, -300.5))),
    ],
)
def test_files_hold_what_they_were_given(kind, vocabulary):
    data = vocabulary.to_bytes(kind)
    if kind == "characters":
        vocabulary = Vocabulary(tuple(dict.fromkeys(vocabulary)))
        data = vocabulary.to_bytes(kind)
    assert Vocabulary.from_bytes(data, kind, "file") == vocabulary
    assert list(vocabulary.check(kind)) == list(vocabulary)


def test_files_are_plain_text_with_a_piece_on_each_line():
    pieces = (*SPECIAL_TOKENS, "\n", "é")
    text = Vocabulary(pieces).to_bytes("characters").decode()
    assert text.split("\n")[0] == '["[PAD]",'
    assert text.split("\n")[5:] == ['"\\n",', '"é"]', ""]
    assert json.loads(text) == list(pieces)
    text = scored("▁a").to_bytes("sentencepiece").decode()
    assert text.split("\n")[4:6] == ["[MASK]\t0.0", "<0x00>\t0.0"]
    assert text.split("\n")[261:] == ["▁a\t-1.5", ""]


@pytest.mark.parametrize(
    "data, kind, message",
    [
        (b"\xff", "wordpiece", "Expected file to be UTF-8, got an error: 'utf-8' codec "),
        (b"[", "characters", "Expected file to hold JSON, got an error: Expecting value"),
        (b'{"a": 1}', "characters", r"Expected file to hold a list of characters\.$"),
        (b'["a", 1]', "characters", r"Expected file to hold a list of characters\.$"),
        (
            b"[PAD]\t0.0\na -1\n",
            "sentencepiece",
            "Expected a piece, a tab and its score on every line of file, got 'a -1' on line 2.",
        ),
        (b"a\tnan\n", "sentencepiece", "Expected a piece, .*, got 'a.tnan' on line 1."),
        (b"", "sentencepiece", "Expected a piece, .*, got '' on line 1."),
    ],
)
def test_other_files_are_refused(data, kind, message):
    with pytest.raises(InputError, match=f"^{message}"):
        Vocabulary.from_bytes(data, kind, "file")


@pytest.mark.parametrize(
    "vocabulary, kind, message",
    [
        (
            Vocabulary((*SPECIAL_TOKENS, "ab")),
            "characters",
            "Expected every piece of the vocabulary to be one character, got 'ab'.",
        ),
        (
            Vocabulary((*SPECIAL_TOKENS, "\udfff")),
            "characters",
            r"Expected one piece on every line of the vocabulary, got '\\udfff' on line 6\.",
        ),
        (
            scored("▁a\tb"),
            "sentencepiece",
            r"Expected one piece on every line of the vocabulary, got '▁a\\tb' on line 262\.",
        ),
        (
            Vocabulary(FIXED[:-1], (0.0,) * 260),
            "sentencepiece",
            "Expected the vocabulary to hold <0xFF>; add it on a line of its own.",
        ),
        (Vocabulary(FIXED), "sentencepiece", "Expected 261 scores in the vocabulary, got 0."),
        (
            Vocabulary(SPECIAL_TOKENS, (0.0,) * 5),
            "wordpiece",
            "Expected 0 scores in the vocabulary, got 5.",
        ),
    ],
)
def test_unusable_vocabularies(vocabulary, kind, message):
    with pytest.raises(InputError, match=f"^{message}$"):
        vocabulary.check(kind)
