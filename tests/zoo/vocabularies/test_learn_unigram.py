"""Learned unigram pieces: what they are made of, that they fit, and that nothing is said aloud."""

import pytest

from keras_transformer.zoo.tokenizers.piece_list import BYTE_PIECES, SPECIAL_TOKENS
from keras_transformer.zoo.tokenizers.tokenizer import Tokenizer, TokenizerConfig
from keras_transformer.zoo.vocabularies.learn import learn_vocabulary

CONFIG = TokenizerConfig(kind="sentencepiece")
FIXED = (*SPECIAL_TOKENS, *BYTE_PIECES)
# Sentences of words that share their beginnings and ends.
TEXTS = [
    f"The {color}est {thing} is {color}er than the {color} {thing}s, {count} of them."
    for color in ("green", "great", "dark", "light")
    for thing in ("tower", "town", "flower", "house")
    for count in ("two", "12", "twenty")
]


def test_learned_pieces():
    vocabulary = learn_vocabulary(TEXTS, 340, CONFIG)
    assert vocabulary[:261] == FIXED
    assert set(vocabulary.scores[:261]) == {0.0}
    scores = vocabulary.scores[261:]
    assert list(scores) == sorted(scores, reverse=True) and max(scores) < 0
    assert set("".join(TEXTS)) - {" "} | {"▁"} <= set(vocabulary)
    # The text has nothing but spaces after these.
    assert {"▁The", "▁the", "▁than", "▁is"} <= set(vocabulary)
    assert not any("▁" in piece[1:] or " " in piece for piece in vocabulary)


def test_frequent_words_are_one_piece():
    tokenizer = Tokenizer(CONFIG, learn_vocabulary(TEXTS, 340, CONFIG))
    [ids] = tokenizer.pieces(["The tower is green."])
    assert [tokenizer.vocabulary[i] for i in ids][:3] == ["▁The", "▁tower", "▁is"]
    assert tokenizer.decode(ids) == "The tower is green."


@pytest.mark.parametrize("size", [266, 267, 280, 300, 340, 5000])
def test_learned_pieces_are_never_too_many(size):
    vocabulary = learn_vocabulary(TEXTS, size, CONFIG)
    assert len(vocabulary) <= size
    assert Tokenizer(CONFIG, vocabulary).vocab_size == len(vocabulary)


@pytest.mark.parametrize("texts", [["a"], ["ab ab"], ["我爱自然语言处理"], ["a" * 10_000]])
def test_little_text(texts):
    tokenizer = Tokenizer(CONFIG, learn_vocabulary(texts, 400, CONFIG))
    assert [tokenizer.decode(row) for row in tokenizer.pieces(texts)] == texts


def test_the_order_of_texts_makes_no_difference():
    vocabulary = learn_vocabulary(TEXTS, 340, CONFIG)
    assert learn_vocabulary(TEXTS[::-1], 340, CONFIG) == vocabulary
    assert learn_vocabulary(TEXTS[5:] + TEXTS[:5], 340, CONFIG) == vocabulary


def test_identity_learns_characters_as_they_are():
    texts = [*TEXTS, "，？ m² ﬁ\tx\ny\r \u3000z", "  two  spaces "]
    identity = TokenizerConfig(kind="sentencepiece", normalization="identity")
    vocabulary = learn_vocabulary(texts, 400, identity)
    assert {"，", "？", "²", "ﬁ", "\u3000"} <= set("".join(vocabulary))
    tokenizer = Tokenizer(identity, vocabulary)
    assert [tokenizer.decode(row) for row in tokenizer.pieces(texts)] == texts
    read = Tokenizer.from_files(tokenizer.to_files())
    assert read.vocabulary == vocabulary
    assert read.pieces(texts) == tokenizer.pieces(texts)
    assert {"，", "²", "ﬁ", "\u3000"}.isdisjoint("".join(learn_vocabulary(texts, 400, CONFIG)))


def test_text_is_folded_before_it_is_learned():
    folding = TokenizerConfig(kind="sentencepiece", lowercase=True, strip_accents=True)
    vocabulary = learn_vocabulary([*TEXTS, "ÉÀ ﬁ Ⅷ"], 340, folding)
    characters = set("".join(vocabulary[261:]))
    assert characters == set("".join(TEXTS).lower()) - {" "} | set("▁fivea")


def test_rare_characters_give_way_to_pieces():
    texts = [*TEXTS, *map(chr, range(0x4E00, 0x4F00)), "\0", "▅", "x\0 y▅"]
    vocabulary = learn_vocabulary(texts, 340, CONFIG)
    singles = [piece for piece in vocabulary[261:] if len(piece) == 1]
    assert len(singles) == (340 - 261) // 2
    assert set("".join(TEXTS)) - {" "} | {"▁"} <= set(singles)
    assert {"▁the", "▁than"} <= set(vocabulary)
    tokenizer = Tokenizer(CONFIG, vocabulary)
    assert [tokenizer.decode(row) for row in tokenizer.pieces(texts)] == texts


def test_names_of_special_tokens_in_a_text():
    texts = [f"{token} {byte}" for token in SPECIAL_TOKENS for byte in BYTE_PIECES[60:70]]
    vocabulary = learn_vocabulary(texts, 400, CONFIG)
    assert len(set(vocabulary)) == len(vocabulary)
    tokenizer = Tokenizer(CONFIG, vocabulary)
    assert [tokenizer.decode(row) for row in tokenizer.pieces(texts)] == texts


def test_learning_and_cutting_say_nothing(capfd):
    vocabulary = learn_vocabulary(TEXTS, 340, CONFIG)
    Tokenizer(CONFIG, vocabulary).pieces(TEXTS)
    assert capfd.readouterr() == ("", "")
