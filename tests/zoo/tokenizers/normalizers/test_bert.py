"""The words that BERT's own tokenizer finds, by the rules of the `tokenizers` library."""

import pytest

from keras_transformer.zoo.tokenizers.normalizers.bert import split_bert_words, word_splitter
from keras_transformer.zoo.tokenizers.normalizers.normalize import split_words
from keras_transformer.zoo.tokenizers.piece_list import SPECIAL_TOKENS, Vocabulary
from keras_transformer.zoo.tokenizers.special import SpecialTokens
from keras_transformer.zoo.tokenizers.tokenizer import Tokenizer, TokenizerConfig
from keras_transformer.zoo.vocabularies.learn import learn_vocabulary
from tests.hard_strings import HARD
from tests.tensorflow_text_pieces import matched_pieces

FOLDED = {"lowercase": True, "strip_accents": True}


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("Straße ẞ ﬁn", ["straße", "ß", "ﬁn"]),
        ("Ärger ΣΟΦΟΣ İ", ["arger", "σοφοσ", "i"]),
        ("foo\u200bbar a\x07b \ue000c \ufffdd e\x0bf", ["foobar", "ab", "c", "d", "ef"]),
        ("a\tb\nc\rd\u3000e\u2028f", ["a", "b", "c", "d", "e", "f"]),
        ("don't 我爱b", ["don", "'", "t", "我", "爱", "b"]),
        # The library's block E of ideographs begins at U+2B920.
        ("\U0002b820a \U0002b91fb", ["\U0002b820a", "\U0002b91fb"]),
        ("\U0002b81da \U0002b920b", ["\U0002b81d", "a", "\U0002b920", "b"]),
        ("कि [SEP]", ["कि", "[", "sep", "]"]),
        ("\ud800 ", []),
    ],
)
def test_words(text, words):
    assert split_bert_words(text, **FOLDED) == words


def test_case_and_accents_can_stay():
    split = word_splitter("bert", lowercase=False, strip_accents=False)
    assert split("Ärger ß\u200b") == ["Ärger", "ß"]
    assert word_splitter("bert", **FOLDED)("Ä\u200bß") == ["aß"]
    ours = word_splitter("nfkc", **FOLDED)
    assert ours("Ä\u200bß") == split_words("Ä\u200bß", **FOLDED) == ["a", "ss"]


def test_tensorflow_text_matches_the_same_pieces():
    config = TokenizerConfig(normalization="bert")
    vocabulary = learn_vocabulary([text for text in HARD if len(text) < 200], 700, config)
    assert "ß" in "".join(vocabulary) and "ss" not in vocabulary
    tokenizer = Tokenizer(config, vocabulary)
    assert tokenizer.pieces(HARD) == matched_pieces(tokenizer, HARD)
    copy = Tokenizer.from_files(Tokenizer(config, vocabulary).to_files())
    assert copy.config == config and copy.pieces(HARD) == Tokenizer(config, vocabulary).pieces(HARD)


def test_an_unknown_word_has_the_id_of_its_role():
    special = SpecialTokens(
        pad="<pad>", unk="<unk>", begin="<s>", end="</s>", mask=None,
        single=("<s>", "$A", "</s>"), pair=("<s>", "$A", "</s>", "</s>", "$B", "</s>"),
        segments=False,
    )  # fmt: skip
    vocabulary = Vocabulary(("<pad>", "<s>", "</s>", "<unk>", "a", "##b"))
    config = TokenizerConfig(normalization="bert", special=special)
    tokenizer = Tokenizer(config, vocabulary)
    assert tokenizer.pieces(["a ab c", "<s>"]) == [[4, 4, 5, 3], [3, 3, 3]]
    encoded = tokenizer.encode(["a"], ["ab"], max_length=8)
    assert [row.tolist() for row in encoded.ids] == [[1, 4, 2, 2, 4, 5, 2]]
    assert not encoded.segment_ids[0].any()
    assert [row.tolist() for row in tokenizer.encode(["a a a"], max_length=4).ids] == [
        [1, 4, 4, 2]
    ]
    assert tokenizer.decode([1, 4, 5, 2, 0]) == "ab"
    assert not set(SPECIAL_TOKENS) & set(tokenizer.vocabulary)
