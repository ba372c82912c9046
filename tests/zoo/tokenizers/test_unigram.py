"""The unigram model: the most probable cut, SentencePiece's own ids, and text that comes back."""

import itertools
import math
import random

import pytest
import tensorflow as tf
import tensorflow_text

from keras_transformer.zoo.tokenizers.piece_list import BYTE_PIECES, SPECIAL_TOKENS, Vocabulary
from keras_transformer.zoo.tokenizers.tokenizer_config import TokenizerConfig
from keras_transformer.zoo.tokenizers.unigram import Unigram, best_path
from keras_transformer.zoo.vocabularies.learn_unigram import model_proto

FIXED = (*SPECIAL_TOKENS, *BYTE_PIECES)
EXACT = TokenizerConfig(kind="sentencepiece")
FOLDED = TokenizerConfig(kind="sentencepiece", lowercase=True, strip_accents=True)
HARD = [
    "",
    " \t\n\u2028\u3000",
    "abba\u00a0\u200bab\x00a\x1b",
    "▁a▁▁b ▁",
    "<0x41> <s> [CLS] [UNK] </s>",
    "ﬁne Ⅷ ½ e\u0301 ＡＢ",
    "我爱ab 한국어 हिन्दी",
    "🙂🙂 👩‍👧 \U000e0001 \U0010ffff \ufffd",
    "\ud800a \udfff",
    "a" * 3000,
]


def vocabulary(pieces, scores):
    return Vocabulary(FIXED + tuple(pieces), (0.0,) * len(FIXED) + tuple(scores))


def random_vocabulary(generator, scores):
    """All characters but "c" and "▁" by themselves, and many longer pieces."""
    longer = ("".join(p) for n in (2, 3, 4) for p in itertools.product("▁abc🙂", repeat=n))
    pieces = ["a", "b", "🙂", *(p for p in longer if generator.random() < 0.3 and "▁" not in p[1:])]
    return vocabulary(pieces, [scores(generator) for _ in pieces])


def random_words(generator, count):
    lengths = [generator.randrange(1, 12) for _ in range(count)]
    weights = (9, 9, 2, 2, 1)
    return ["▁" + "".join(generator.choices("abc🙂é", weights, k=length)) for length in lengths]


def sentencepiece_ids(pieces, words):
    tokenizer = tensorflow_text.SentencepieceTokenizer(model_proto(pieces), out_type=tf.int32)
    return tokenizer.tokenize(tf.constant(words, tf.string)).to_list()


def every_cut(edges, start=0):
    if start == len(edges):
        yield []
        return
    for edge in edges[start]:
        for rest in every_cut(edges, edge.end):
            yield [edge, *rest]


def total(cut):
    return math.fsum(edge.score for edge in cut)


def check_best(found, cuts):
    """The same pieces in another order are as probable, so it is the sums that are compared."""
    assert found in cuts
    # Each of at most nine sums is rounded to float32.
    assert total(found) == pytest.approx(max(map(total, cuts)), rel=9 * 2**-24)


def test_the_best_cut_of_all():
    generator = random.Random(0)
    unigram = Unigram(random_vocabulary(generator, lambda g: -10 * g.random()), EXACT)
    for word in random_words(generator, 200):
        edges = unigram.edges(word[:9])
        check_best(best_path(edges), list(every_cut(edges)))


def test_the_best_cut_without_some_pieces():
    generator = random.Random(1)
    unigram = Unigram(random_vocabulary(generator, lambda g: -10 * g.random()), EXACT)
    for word in random_words(generator, 200):
        edges = unigram.edges(word[:9])
        longer = [edge for row in edges for edge in row if edge.end > edge.start + 1]
        dropped = frozenset(edge for edge in longer if generator.random() < 0.5)
        cuts = [cut for cut in every_cut(edges) if dropped.isdisjoint(cut)]
        check_best(best_path(edges, dropped), cuts)


@pytest.mark.parametrize(
    "scores",
    [
        lambda g: -10 * g.random(),
        # Sums of these tie, exactly or once they are rounded to float32.
        lambda g: -g.choice((1.0, 2.0, 3.0)),
        lambda g: -g.choice((0.1, 0.2, 0.3, 0.4, 0.7)),
        lambda g: -g.choice((1e7, 1e7 + 1, 0.3, 2e7)),
    ],
    ids=["distinct", "exact ties", "rounded ties", "large and small"],
)
@pytest.mark.parametrize("seed", range(3))
def test_ids_are_those_of_sentencepiece(scores, seed):
    generator = random.Random(seed)
    pieces = random_vocabulary(generator, scores)
    unigram = Unigram(pieces, EXACT)
    words = random_words(generator, 2000)
    words += [word for text in HARD for word in unigram.split(text)]
    assert [list(unigram.match(word)) for word in words] == sentencepiece_ids(pieces, words)


def test_words_are_cut_as_the_best_path_of_their_edges():
    generator = random.Random(5)
    for scores in (lambda g: -10 * g.random(), lambda g: -g.choice((0.1, 0.2, 0.3))):
        unigram = Unigram(random_vocabulary(generator, scores), EXACT)
        for word in random_words(generator, 500):
            path = best_path(unigram.edges(word))
            assert unigram.match(word) == tuple(i for edge in path for i in edge.ids)


def test_characters_outside_the_vocabulary_become_bytes():
    unigram = Unigram(vocabulary(["▁", "a", "▁a"], [-3.0, -2.0, -1.0]), EXACT)
    assert unigram.ids("a aé") == [263, 263, 5 + 0xC3, 5 + 0xA9]
    assert unigram.ids("🙂") == [261, *(5 + byte for byte in b"\xf0\x9f\x99\x82")]


def test_of_equal_cuts_the_one_with_the_longest_last_piece():
    unigram = Unigram(vocabulary(["▁", "a", "b", "ab", "▁a"], [-1.0] * 5), EXACT)
    assert unigram.ids("ab") == [261, 264]


@pytest.mark.parametrize("settings", [EXACT, FOLDED])
def test_text_comes_back_normalized(settings):
    generator = random.Random(2)
    unigram = Unigram(random_vocabulary(generator, lambda g: -g.random()), settings)
    ranges = (0x80, 0x3000, 0x110000)
    texts = HARD + [
        "".join(chr(generator.randrange(end)) for end in generator.choices(ranges, k=20))
        for _ in range(300)
    ]
    assert [unigram.text(unigram.ids(text)) for text in texts] == list(
        map(unigram.normalize, texts)
    )


IDENTICAL = [
    "，？！；", "m² m2 ½ ﬁ ™ ① Ⅷ", "ＡＢ ｶﾞ ﾊﾟ", "e\u0301 é Å \u212b", " two  spaces  ", "", " ",
    "Bonjour\u00a0! 1\u202f000\u3000。", "tab\tline\nreturn\r\n", "\u2028\x85", "ﬀ",
]  # fmt: skip


def test_text_comes_back_as_it_was():
    generator = random.Random(2)
    pieces = random_vocabulary(generator, lambda g: -g.random())
    unigram = Unigram(pieces, TokenizerConfig(kind="sentencepiece", normalization="identity"))
    assert [unigram.text(unigram.ids(text)) for text in IDENTICAL] == IDENTICAL
    words = [word for text in [*HARD, *IDENTICAL] for word in unigram.split(text)]
    assert [list(unigram.match(word)) for word in words] == sentencepiece_ids(pieces, words)
    # The mark of a space cannot be told from one, nor half of a surrogate pair be written.
    assert unigram.normalize("▁a▁ b\ud800") == " a  b\ufffd"


@pytest.mark.parametrize(
    "text, exact, folded",
    [
        ("  Ein\tMann\n", "Ein Mann", "ein mann"),
        ("ﬁ Ⅷ e\u0301", "fi VIII é", "fi viii e"),
        ("▁a▁ b", "a b", "a b"),
        ("Straße\ud800", "Straße\ufffd", "strasse\ufffd"),
        ("\u200b \x1f", "\u200b", "\u200b"),
    ],
)
def test_normalization(text, exact, folded):
    pieces = vocabulary(["a"], [-1.0])
    assert Unigram(pieces, EXACT).normalize(text) == exact
    assert Unigram(pieces, FOLDED).normalize(text) == folded


def test_text_of_any_ids():
    unigram = Unigram(vocabulary(["▁", "a", "▁a"], [-1.0] * 3), EXACT)
    broken = [262, 5 + 0xC3, 263, 5 + 0xA9, 261, 261]
    assert unigram.text(broken) == "a\ufffd a\ufffd  "
