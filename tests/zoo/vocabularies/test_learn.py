import itertools
import random
import sys

import pytest

from keras_transformer.zoo.errors import InputError
from keras_transformer.zoo.tokenizers.piece_list import CLS, MASK, PAD, SEP, UNK
from keras_transformer.zoo.tokenizers.tokenizer import Tokenizer, TokenizerConfig
from keras_transformer.zoo.tokenizers.tokenizer_config import KINDS
from keras_transformer.zoo.vocabularies.learn import learn_vocabulary, read_vocabulary
from tests.tensorflow_text_pieces import matched_pieces

SPECIAL = [PAD, UNK, CLS, SEP, MASK]
SENTENCES = [
    "The lowest towers of the lower town are lower than the newest tower, newer ones aside.",
    "Où sont les élèves ? Straße, İstanbul, ﬁne ligatures — 100 % naïve!",
    "我爱自然语言处理。한국어 처리, カタカナ ひらがな; русский язык, ελληνικά, हिन्दी भाषा",
    "don't e-mail me@example.org #tag $5.00 👩‍👧 🙂",
]
HARD = {
    "empty": "",
    "white space": " \t\r\n\u00a0\u2003\u3000\u2028",
    "accents": "élève naïve Ångström Đặng crème bru\u0302le\u0301e \u0301 \u0301\u0302",
    "case": "LOWEST Straße ẞ İstanbul ı Σίσυφος ǅ ŉ",
    "ligatures": "ﬁne ﬀ ﬃ Ĳ ﬆ ﷺ",
    "ideographs": "我爱ML自然语言𠀀𫠝豈 々〆〇",
    "Hangul": "한국어 \u1112\u1161\u11ab ㅎㅏㄴ 〮",
    "scripts": "हिन्दी ไทย العربية עברית தமிழ் ქართული አማርኛ",
    "emoji": "👩‍👧 🙂🙂 🏳️‍🌈 👍🏽 ❤️ 5️⃣",
    "control characters": "low\x00er\x01 \x1b[0m\x7f \x85low\x9f\u200bst\u200der\u2060\ufeff\u00ad",
    "lone surrogates": "\ud800 low\udfffer \udc00\ud800",
    "replacement and unassigned": "\ufffd low\ufffd \U000e0001 \uffff \U0010ffff \u0378 \ue000",
    "special tokens": "[CLS] [UNK][PAD] ##er ## ### #low [mask]",
    "punctuation": "!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~ «¿—…»",
    "10,000 characters": "the newest tower, " * 600,
    "10,000 characters of one word": "lower" * 2000,
    "100 bytes": "low" * 33 + "e",
    "101 bytes": "low" * 33 + "er",
    "102 bytes of two each": "я" * 51,
    "unknown": "low☃er ☃",
}
# The first two planes; the others hold ideographs, tags and private characters.
EVERY_CHARACTER = "".join(map(chr, range(0x20000)))


@pytest.fixture(scope="module")
def vocabularies():
    learned = learn_vocabulary(SENTENCES, 300, TokenizerConfig())
    cased = learn_vocabulary(SENTENCES, 300, TokenizerConfig(lowercase=False, strip_accents=False))
    awkward = [
        *SPECIAL,
        "##",
        "#",
        "###",
        "##er",
        "e",
        "##r",
        "low",
        "##low",
        "##lowe",
        "l",
        "\ufffd",
    ]
    long = [*learned, "lower" * 51, "##" + "lower" * 51, "##low" + "lower" * 50]
    return [learned, cased, awkward, long]


def random_texts(count):
    """Makes strings that mix every part of Unicode with the words of SENTENCES."""
    generator = random.Random(7)
    ranges = [(0, 0x80), (0x80, 0x250), (0x250, 0x3000), (0x3000, 0x11000), (0x11000, 0x110000)]
    words = " ".join(SENTENCES).split()
    texts = []
    for _ in range(count):
        parts = []
        for _ in range(generator.randrange(12)):
            if generator.random() < 0.4:
                parts.append(generator.choice(words))
            first, end = generator.choice(ranges)
            parts += [chr(generator.randrange(first, end)) for _ in range(generator.randrange(6))]
            parts.append(generator.choice(["", " "]))
        texts.append("".join(parts))
    return texts


SETTINGS = [
    {"lowercase": lowercase, "strip_accents": strip_accents, "max_bytes_per_word": most}
    for lowercase, strip_accents, most in itertools.product(
        (True, False), (True, False), (100, 20_000)
    )
]


@pytest.mark.parametrize("settings", SETTINGS, ids=str)
def test_tensorflow_text_matches_the_same_word_pieces(vocabularies, settings):
    texts = [*HARD.values(), *random_texts(500), EVERY_CHARACTER]
    config = TokenizerConfig(**settings)
    for vocabulary in vocabularies:
        tokenizer = Tokenizer(config, vocabulary)
        assert tokenizer.pieces(texts) == matched_pieces(tokenizer, texts)


@pytest.mark.parametrize("settings", SETTINGS[::2], ids=str)
def test_tensorflow_text_splits_the_same_bytes(settings):
    texts = [*HARD.values(), *random_texts(500), EVERY_CHARACTER]
    config = TokenizerConfig(kind="bytes", **settings)
    tokenizer = Tokenizer(config)
    assert tokenizer.pieces(texts) == matched_pieces(tokenizer, texts)


@pytest.mark.parametrize("settings", SETTINGS[::2], ids=str)
def test_tensorflow_text_matches_the_same_sentencepieces(settings):
    texts = [*HARD.values(), *random_texts(500), EVERY_CHARACTER]
    config = TokenizerConfig(kind="sentencepiece", **settings)
    tokenizer = Tokenizer(config, learn_vocabulary([*SENTENCES, *random_texts(20)], 500, config))
    assert tokenizer.pieces(texts) == matched_pieces(tokenizer, texts)


@pytest.mark.parametrize("kind", KINDS)
def test_no_texts_and_no_words(kind):
    config = TokenizerConfig(kind=kind)
    vocabulary = () if kind == "bytes" else learn_vocabulary(SENTENCES, 400, config)
    training = Tokenizer(config, vocabulary)
    assert training.pieces([]) == []
    assert training.pieces(["", ""]) == [[], []]
    assert training.encode([], max_length=8).pad()[0].shape == (0, 0)


def test_learned_vocabulary_of_a_small_text():
    texts = ["low lower lowest", "new newer newest, low"]
    learned = list(learn_vocabulary(texts, 100, TokenizerConfig()))
    assert learned[:5] == SPECIAL
    assert learned[5:22] == [
        *("e", "##e", "w", "##w", "l", "##l", "o", "##o", "n", "##n", "r", "##r", "s", "##s"),
        *("t", "##t", ","),
    ]
    assert {"low", "lower", "lowest", "new", "newer", "newest"} <= set(learned[22:])
    assert len(set(learned)) == len(learned) <= 100


@pytest.mark.parametrize("size", [10, 11, 50, 150, 300, 1000])
def test_learned_vocabulary_is_never_too_large(size):
    learned = list(learn_vocabulary(SENTENCES, size, TokenizerConfig()))
    assert len(learned) <= size
    assert learned[:5] == SPECIAL
    assert len(set(learned)) == len(learned)


def test_learning_does_not_depend_on_the_order_of_texts():
    forward = learn_vocabulary(SENTENCES, 250, TokenizerConfig())
    assert learn_vocabulary(SENTENCES[::-1], 250, TokenizerConfig()) == forward


def test_every_character_is_known_when_there_is_room():
    learned = learn_vocabulary(SENTENCES, 600, TokenizerConfig())
    for sentence_pieces in Tokenizer(TokenizerConfig(), learned).pieces(SENTENCES):
        assert 1 not in sentence_pieces


def test_frequent_characters_are_kept_when_room_is_short():
    texts = ["a" * count + " " for count in range(1, 9)] + ["b b b c c d e f g"]
    assert learn_vocabulary(texts, 10, TokenizerConfig())[5:9] == ("a", "##a", "b", "##b")


def test_learned_characters_are_the_frequent_ones():
    config = TokenizerConfig(kind="characters")
    texts = ["bbB\n", "é \u2028a", "c  "]
    learned = learn_vocabulary(texts, 100, config)
    assert learned[:5] == tuple(SPECIAL)
    assert learned[5:] == (" ", "b", "\n", "B", "a", "c", "é", "\u2028")
    assert learn_vocabulary(texts[::-1], 10, config)[5:] == (" ", "b", "\n", "B", "a")
    folded = TokenizerConfig(kind="characters", lowercase=True, strip_accents=True)
    assert learn_vocabulary(texts, 10, folded)[5:] == (" ", "b", "\n", "a", "c")


@pytest.mark.parametrize(
    "texts, size, settings, message",
    [
        (["a"], 9, {}, "at least 10, got size=9"),
        (["", " \n"], 100, {}, "got none in 2 texts"),
        ([], 100, {}, "got none in 0 texts"),
        (["a"], 100, {"kind": "bytes"}, "got kind='bytes'"),
        (["a"], 9, {"kind": "characters"}, "at least 10, got size=9"),
        (
            ["", ""],
            10,
            {"kind": "characters"},
            "with characters to learn from, got none in 2 texts",
        ),
        (["a"], 265, {"kind": "sentencepiece"}, "at least 266, got size=265"),
        (["", " \n▁"], 300, {"kind": "sentencepiece"}, "with words to learn from, got none in 2"),
    ],
)
def test_learning_refuses(texts, size, settings, message):
    with pytest.raises(InputError, match=message):
        learn_vocabulary(texts, size, TokenizerConfig(**settings))


@pytest.mark.parametrize("end", ["\n", "\r\n"])
@pytest.mark.parametrize("last", [True, False])
def test_read_vocabulary(tmp_path, end, last):
    pieces = [PAD, "[unused0]", UNK, CLS, SEP, MASK, "é", "\u2028"]
    path = tmp_path / "vocab.txt"
    path.write_bytes((end.join(pieces) + end * last).encode())
    assert read_vocabulary(path) == pieces


@pytest.mark.parametrize(
    "content, message",
    [
        (b"", r"Expected {path} to hold \[PAD\]; add it on a line of its own\."),
        (b"[PAD]\n\n[UNK]\n", r"Expected one piece on every line of {path}, got '' on line 2\."),
        (b"[PAD]\n[UNK]\na\nb\na\n", r"every piece of {path} once, got 'a' on lines 3 and 5\."),
        (b"[PAD]\n[UNK]\n[CLS]\n[MASK]\n", r"Expected {path} to hold \[SEP\]; add it"),
        (b"[UNK]\n[PAD]\n[CLS]\n[SEP]\n[MASK]\n", r"\[PAD\] on line 1 of {path}, got it on line 2"),
        (b"[PAD]\n\xff\n", r"Expected {path} to be UTF-8, line 2 is not\."),
    ],
)
def test_read_vocabulary_refuses(tmp_path, content, message):
    path = tmp_path / "vocab.txt"
    path.write_bytes(content)
    with pytest.raises(InputError, match=message.format(path=path)):
        read_vocabulary(path)


def test_read_vocabulary_of_no_file(tmp_path):
    with pytest.raises(FileNotFoundError):
        read_vocabulary(tmp_path / "vocab.txt")


@pytest.fixture
def without_tensorflow_text(monkeypatch):
    """A function from whose call on tensorflow-text cannot be imported."""

    def hide():
        for name in ["tensorflow_text", *sys.modules]:
            if name.partition(".")[0] == "tensorflow_text":
                monkeypatch.setitem(sys.modules, name, None)

    return hide


@pytest.mark.parametrize("kind", KINDS)
def test_texts_are_encoded_without_tensorflow_text(without_tensorflow_text, kind):
    config = TokenizerConfig(kind=kind)
    vocabulary = () if kind == "bytes" else learn_vocabulary(SENTENCES, 300, config)
    tokenizer = Tokenizer(config, vocabulary)
    expected = matched_pieces(tokenizer, SENTENCES) if kind != "characters" else [
        [vocabulary.index(character) if character in vocabulary else 1 for character in text]
        for text in SENTENCES
    ]  # fmt: skip
    without_tensorflow_text()
    assert Tokenizer(config, vocabulary).pieces(SENTENCES) == expected


def test_word_pieces_are_learned_without_tensorflow_text(without_tensorflow_text):
    config = TokenizerConfig(kind="wordpiece")
    expected = learn_vocabulary(SENTENCES, 300, config)
    without_tensorflow_text()
    assert learn_vocabulary(SENTENCES, 300, config) == expected
