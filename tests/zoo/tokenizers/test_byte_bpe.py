"""Byte-level BPE and its splitters, by what the `tokenizers` library gives."""

import pytest

from keras_transformer.zoo.errors import InputError
from keras_transformer.zoo.tokenizers.merges import merge
from keras_transformer.zoo.tokenizers.normalizers.splitters import SPLITTERS
from keras_transformer.zoo.tokenizers.piece_list import BYTE_ALPHABET, Vocabulary
from keras_transformer.zoo.tokenizers.special import SpecialTokens
from keras_transformer.zoo.tokenizers.tokenizer import Tokenizer, TokenizerConfig
from tests.hard_strings import HARD

SPECIAL = SpecialTokens(
    pad="<pad>", unk=None, begin="<s>", end="<s>", mask=None, single=("<s>", "$A"),
    pair=("<s>", "$A", "$B"), segments=False,
)  # fmt: skip
PIECES = ("<pad>", "<s>", *BYTE_ALPHABET, "lo", "low", "Ġlow", "<call>")
MERGES = (("l", "o"), ("lo", "w"), ("Ġ", "low"))


def vocabulary(pieces=PIECES):
    ids = {piece: i for i, piece in enumerate(pieces)}
    return Vocabulary(pieces, merges=tuple((ids[a], ids[b]) for a, b in MERGES))


def tokenizer_of(**settings):
    return Tokenizer(TokenizerConfig(kind="bpe", special=SPECIAL, **settings), vocabulary())


@pytest.mark.parametrize("name", SPLITTERS)
def test_every_splitter_keeps_the_whole_text(name):
    for text in HARD:
        assert "".join(SPLITTERS[name](text)) == text


def test_contractions_and_digits_by_model():
    assert SPLITTERS["gpt2"]("we'LL 1234 we'll") == ["we", "'", "LL", " 1234", " we", "'ll"]
    assert SPLITTERS["llama3"]("we'LL 1234") == ["we", "'LL", " ", "123", "4"]
    assert SPLITTERS["qwen2"]("a'\u017fx 12") == ["a", "'\u017f", "x", " ", "1", "2"]
    assert SPLITTERS["smollm2"]("a 12b") == ["a", " ", "1", "2", "b"]
    assert SPLITTERS["tekken"]("camelCase/\n") == ["camel", "Case", "/\n"]


def test_the_least_rank_is_merged_first_and_the_leftmost_of_equals():
    ranks = {("a", "b"): 1, ("b", "c"): 0, ("a", "bc"): 2, ("a", "a"): 3}
    assert merge([*"abc"], lambda *pair: ranks.get(pair)) == ["abc"]
    assert merge([*"aaa"], lambda *pair: ranks.get(pair)) == ["aa", "a"]
    assert merge([], lambda *pair: 0) == []


def test_ids_and_text():
    tokenizer = tokenizer_of()
    assert tokenizer.pieces(["low low"]) == [[259, 260]]
    assert tokenizer.encode(["low"], max_length=4).ids[0].tolist() == [1, 259]
    whole = [text for text in HARD if "\ud800" not in text]
    assert [tokenizer.decode(ids) for ids in tokenizer.pieces(whole)] == whole
    [ids] = tokenizer.pieces(["é🙂"])
    assert tokenizer.decode(ids[:1]) == "\ufffd" and tokenizer.decode(ids) == "é🙂"
    # A special token in a text is text.
    assert 1 not in tokenizer.pieces(["<s>"])[0]


def test_normalization_spaces_added_and_whole_pieces():
    assert tokenizer_of(normalization="nfc").pieces(["e\u0301"]) == tokenizer_of().pieces(["é"])
    assert tokenizer_of(prefix_space=True).pieces(["low"]) == [[260]]
    added = tokenizer_of(added=("<call>",))
    assert added.pieces(["low<call>low"]) == [[259, 261, 259]]
    assert Tokenizer.from_files(added.to_files()).pieces(HARD) == added.pieces(HARD)
    pieces = (*PIECES, "wolw")
    for whole, count in ((True, 1), (False, 4)):
        config = TokenizerConfig(kind="bpe", special=SPECIAL, whole_words=whole)
        [ids] = Tokenizer(config, vocabulary(pieces)).pieces(["wolw"])
        assert len(ids) == count


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"[]", "an object of the lists"),
        (b"{", "hold JSON"),
        (b'{"pieces":[1]}', "pieces of text"),
        (b'{"pieces":["a"],"scores":[0.5],"merges":[[0,0]]}', "either scores or merges"),
        (b'{"pieces":["a"],"merges":[[0,1]]}', r"two ids from 0 to 0 .*got \[0, 1\]"),
        (b'{"pieces":["a"],"scores":["x"]}', "numbers as scores"),
    ],
)
def test_damaged_files(data, message):
    with pytest.raises(InputError, match=message):
        Vocabulary.from_bytes(data, "bpe", "bpe.json")


def test_a_merge_makes_a_piece():
    with pytest.raises(InputError, match="merges of the vocabulary to make pieces, got 'a' and"):
        Vocabulary(("<pad>", "a"), merges=((1, 1),)).check("bpe", special=("<pad>",))
