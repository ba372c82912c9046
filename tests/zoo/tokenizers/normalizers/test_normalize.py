import pathlib
import unicodedata

import pytest

from keras_transformer.zoo.tokenizers.normalizers.normalize import (
    fold_text,
    is_white,
    split_words,
    stands_alone,
)

# Planes 0 to 2 and the tags of plane 14; the rest is unassigned or private.
EVERY_CHARACTER = "".join(map(chr, [*range(0x30000), *range(0xE0000, 0xE0200)]))


@pytest.mark.parametrize(
    "text, words",
    [
        ("", []),
        (" \t\r\n\u3000\u2028", []),
        ("Hello, World!", ["hello", ",", "world", "!"]),
        ("don't $5.00 a_b", ["don", "'", "t", "$", "5", ".", "00", "a", "_", "b"]),
        ("Crème Brûlée", ["creme", "brulee"]),
        ("cre\u0300me", ["creme"]),
        ("\u0300", []),
        ("Straße STRASSE", ["strasse", "strasse"]),
        ("İstanbul I ı", ["istanbul", "i", "ı"]),
        ("ﬁne ﬀ", ["fine", "ff"]),
        ("Σίσυφος", ["σισυφοσ"]),
        ("我爱ML，2024", ["我", "爱", "ml", "，", "2024"]),
        ("カタカナ", ["カタカナ"]),
        ("한국", ["\u1112\u1161\u11ab\u1100\u116e\u11a8"]),
        ("a\x00b\x1fc\x7fd\x85e", ["a", "b", "c", "d", "e"]),
        ("a\u200db\u00adc\ufeffd", ["a", "b", "c", "d"]),
        ("👩\u200d👧 ok", ["👩", "👧", "ok"]),
        ("a\ud800b \udfff", ["a\ufffdb", "\ufffd"]),
        ("\U00020000\U0002f800", ["\U00020000", "\u4e3d"]),
    ],
)
def test_split_words(text, words):
    assert split_words(text, lowercase=True, strip_accents=True) == words


@pytest.mark.parametrize(
    "lowercase, strip_accents, words",
    [
        (False, False, ["Über", "Ça", "ß", "İ"]),
        (True, False, ["über", "ça", "ss", "i\u0307"]),
        (False, True, ["Uber", "Ca", "ß", "I"]),
        (True, True, ["uber", "ca", "ss", "i"]),
    ],
)
def test_settings_are_independent(lowercase, strip_accents, words):
    text = "Über Ça ß İ"
    assert split_words(text, lowercase=lowercase, strip_accents=strip_accents) == words


def test_splitting_words_again_changes_nothing():
    for settings in ({"strip_accents": True}, {"strip_accents": False}):
        words = split_words(EVERY_CHARACTER, lowercase=True, **settings)
        assert split_words(" ".join(words), lowercase=True, **settings) == words


def test_words_of_every_character_have_a_utf8_form():
    words = split_words(EVERY_CHARACTER, lowercase=False, strip_accents=False)
    assert "".join(words).encode().decode() == "".join(words)
    assert not any(character.isspace() for word in words for character in word)


def test_fold_text_keeps_spaces_and_control_characters():
    text = "É\tß\n\x00 ,a\u200db\ud83d"
    assert fold_text(text, lowercase=True, strip_accents=True) == "e\tss\n\x00 ,a\u200db\ufffd"
    assert fold_text("É\tß\n", lowercase=False, strip_accents=False) == "É\tß\n"


@pytest.mark.parametrize("character", "!$^_~。、一豈")
def test_stands_alone(character):
    assert stands_alone(character)


@pytest.mark.parametrize("character", ["a", "7", " ", "\x7f", "é", "あ", "€"])
def test_does_not_stand_alone(character):
    assert not stands_alone(character)


# Words that are told apart by a mark, with their languages.
TOLD_APART = {
    "Thai": ["ขาว", "ข่าว", "ข้าว", "เขา", "เข่า", "เข้า"],
    "Lao": ["ໃກ", "ໃກ້", "ໃກ່"],
    "Khmer": ["កប", "កុប", "កូប", "កិប"],
    "Burmese": ["က", "ကိ", "ကု", "ကေ", "က့", "က်"],
    "Hindi": ["की", "के", "कि", "कु", "क", "क़", "कं"],
    "Bengali": ["ক", "কি", "কু", "কঁ"],
    "Tamil": ["க", "கீ", "க்"],
    "Telugu": ["క", "కి", "కె"],
    "Sinhala": ["ක", "කි", "කු"],
    "Tibetan": ["བད", "བོད", "བུད"],
    "Japanese": ["ハンダ", "パンダ", "バンダ", "か", "が"],
    "Hebrew": ["ספר", "סֵפֶר", "סַפָּר", "שׁ", "שׂ"],
    "Arabic": ["علم", "عِلْم", "عَلَم", "ا", "آ", "أ", "إ"],
    "Divehi": ["ކަ", "ކި", "ކު"],
    "N'Ko": ["ߞߊ", "ߞߊ߫", "ߞߊ߬"],
    "Korean": ["가", "각", "거"],
    "signs": ["=", "≠", "∈", "∉"],
}


@pytest.mark.parametrize("language", TOLD_APART)
def test_marks_that_tell_words_apart_stay(language):
    def fold(text):
        return fold_text(text, lowercase=True, strip_accents=True)

    words = TOLD_APART[language]
    assert len(set(map(fold, words))) == len(words)
    # Composed or not, a word is the same.
    for word in words:
        assert fold(unicodedata.normalize("NFD", word)) == fold(word)


@pytest.mark.parametrize(
    "text, stripped",
    [
        ("Crème Tiếng Việt Đặng Łódź", "Creme Tieng Viet Đang Łodz"),
        ("ἄνθρωπος άέήίϊ ᾧ", "ανθρωπος αεηιι ω"),
        ("ёлка й Ї слово\u0301 \u0460\u0483", "елка и І слово \u0460"),
        ("e\u0301 ❤\ufe0f", "e ❤"),
    ],
)
def test_latin_greek_and_cyrillic_accents_go(text, stripped):
    assert fold_text(text, lowercase=False, strip_accents=True) == stripped
    decomposed = unicodedata.normalize("NFD", text)
    assert fold_text(decomposed, lowercase=False, strip_accents=True) == stripped


def test_the_docs_tell_an_app_the_same():
    page = pathlib.Path(__file__).parents[4] / "docs" / "targets" / "normalization.md"
    [_, code] = page.read_text(encoding="utf-8").split("```python\n")
    told: dict = {}
    exec(code.partition("```")[0], told)
    for character in EVERY_CHARACTER:
        if unicodedata.category(character) != "Cs":
            folded = fold_text(character, lowercase=True, strip_accents=True)
            expected = "".join(" " if is_white(one) else one for one in folded)
            assert told["normalized"](character) == expected, ascii(character)


def test_all_marks_go_as_for_bert():
    settings = {"lowercase": True, "strip_accents": True, "accents": "all"}
    assert split_words("パンダ ข้าว के é ≠", **settings) == ["ハンタ", "ขาว", "क", "e", "="]


def test_no_letter_loses_a_mark_outside_latin_greek_and_cyrillic():
    for character in EVERY_CHARACTER:
        decomposed = unicodedata.normalize("NFD", character)
        if fold_text(character, lowercase=False, strip_accents=True) not in ("\ufffd", decomposed):
            name = unicodedata.name(decomposed[0])
            known = ("LATIN", "GREEK", "CYRILLIC", "COMBINING", "VARIATION SELECTOR", "DIAERESIS")
            assert name.startswith(known), (character, name)
