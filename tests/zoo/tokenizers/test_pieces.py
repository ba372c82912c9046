"""Ids and text of word pieces, bytes and characters."""

import pytest

from keras_transformer.zoo.tokenizers.piece_list import SPECIAL_TOKENS, Vocabulary
from keras_transformer.zoo.tokenizers.pieces import Bytes, Characters, WordPieces
from keras_transformer.zoo.tokenizers.tokenizer_config import TokenizerConfig

EXACT = {"lowercase": False, "strip_accents": False}
TEXTS = ["", "a", " A é\t\r\n\u2028x\0 ", "我爱 🙂", "[CLS]"]


def word_pieces(*pieces, **settings):
    settings = TokenizerConfig(**{**EXACT, **settings})
    pieces = Vocabulary((*SPECIAL_TOKENS, *pieces))
    return WordPieces(pieces, is_too_long=settings.is_too_long, **settings.fold)


@pytest.mark.parametrize(
    "text",
    [
        "A man, a plan (Panama)!",
        "don't e-mail and/or [call]: it's 100%",
        "first; second? {third}.",
        "low lower # #",
    ],
)
def test_english_comes_back_as_it_was(text):
    words = word_pieces(*"AabcdefhijklmnoprstuwxPE", *(f"##{c}" for c in "abcdefghijklmnoprstu"),
                        *",.;:!?()[]{}%'-/#", "##w", "100", "low")  # fmt: skip
    assert words.text(words.ids(text)) == text


@pytest.mark.parametrize(
    "pieces, text",
    [
        (["low", "##er", "low"], "lower low"),
        (["##er", "low"], "er low"),
        (["##", "##er"], "##er"),
        (["a", "##", "b"], "a ## b"),
        (["a", "-", "b", "(", "c", ")", ",", "d"], "a-b (c), d"),
        (["a", "-", "-", "/", "b"], "a--/b"),
        (['"', "a", '"', "$", "5", ".", "0"], '" a " $ 5. 0'),
        ([], ""),
    ],
)
def test_words_are_joined_by_rule(pieces, text):
    vocabulary = dict.fromkeys(pieces)
    words = word_pieces(*vocabulary)
    assert words.text([words.piece_ids[piece] for piece in pieces]) == text


def test_word_pieces_are_matched_word_by_word():
    words = word_pieces("low", "##er", "lower", "##s", lowercase=True)
    assert words.split("LOWERS low") == ["lowers", "low"]
    assert words.match("lowers") == (7, 8)
    assert words.ids("LOWERS low x") == [7, 8, 5, 1]


@pytest.mark.parametrize("word", ["a" * 101, "я" * 101, "ไ" * 101, "🙂" * 101])
def test_the_limit_on_a_word_is_in_characters(word):
    words = word_pieces(word[0], f"##{word[0]}")
    assert words.ids(word[:-1]) == [5] + [6] * 99
    assert words.ids(word) == [1]


def test_a_limit_in_bytes_is_kept():
    words = word_pieces("я", "##я", max_bytes_per_word=100)
    assert words.ids("я" * 50 + " " + "я" * 51) == [5] + [6] * 49 + [1]


def test_bytes_come_back():
    exact = Bytes(**EXACT)
    assert [exact.text(exact.ids(text)) for text in TEXTS] == TEXTS
    folded = Bytes(lowercase=True, strip_accents=True)
    assert folded.text(folded.ids("É ß")) == "e ss"


def test_broken_bytes_are_replaced():
    assert Bytes(**EXACT).text([5 + byte for byte in b"a\xc3b\xe6\x88"]) == "a\ufffdb\ufffd"


def test_characters_come_back():
    vocabulary = Vocabulary((*SPECIAL_TOKENS, *dict.fromkeys("".join(TEXTS))))
    characters = Characters(vocabulary, **EXACT)
    assert [characters.text(characters.ids(text)) for text in TEXTS] == TEXTS
    assert characters.ids("[CLS]") == [vocabulary.index(character) for character in "[CLS]"]


def test_other_characters_are_unknown():
    characters = Characters(Vocabulary((*SPECIAL_TOKENS, "a", "\n")), lowercase=True,
                            strip_accents=True)  # fmt: skip
    assert characters.ids("Ab\nÁ\ud800") == [5, 1, 6, 5, 1]
