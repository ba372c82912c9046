"""The unigram model of a tokenizer.json has the ids of the `tokenizers` library."""


import pytest

from keras_transformer.zoo.errors import InputError
from keras_transformer.zoo.pretrained.vocabularies.tokenizer import read_tokenizer
from keras_transformer.zoo.tokenizers.tokenizer import Tokenizer
from tests.zoo.pretrained.test_tokenizer_files import SAMPLE, published_ids
from tests.zoo.pretrained.tokenizer_files import JOIN, METASPACE, STRIP, WORDS, unigram_json, write

SPACED = [
    "", " ", "  ", " low  tower ", "low\u3000tower\n", "\ttower", "▁low ▁▁ low▁", "low\u200d",
    "a\x1c b",
]  # fmt: skip
# Sequences of the table: of single characters, of short clusters, and of long ones.
CLUSTERED = [
    "cafe\u0301 ﬁ\u0301n", "か\u3099 ক\u09c7\u09be", "\u1112\u1161\u11ab", "u\u0308\u0301",
    "²\u0301 ½",
]  # fmt: skip


FORMS = [
    ([], METASPACE), ([JOIN], METASPACE), (["table", STRIP, JOIN], METASPACE),
    (["table", {**JOIN, "content": " "}], {**METASPACE, "prepend_scheme": "first"}),
    (["table"], WORDS), ([], WORDS),
]  # fmt: skip


@pytest.mark.parametrize("normalizers, splitter", FORMS)
def test_unigrams_of_a_tokenizer_json(tmp_path, normalizers, splitter):
    tokenizers = pytest.importorskip("tokenizers")
    unigram_json(tmp_path, normalizers, splitter)
    theirs = tokenizers.Tokenizer.from_file(str(tmp_path / "tokenizer.json"))
    published = read_tokenizer(tmp_path)
    texts = [text for text in (*SAMPLE, *SPACED, *CLUSTERED) if "<s>" not in text]
    found = theirs.encode_batch(texts, add_special_tokens=False)
    assert published_ids(published, texts) == [one.ids for one in found]
    again = Tokenizer.from_files(published.tokenizer.to_files())
    assert again.pieces(texts) == published.tokenizer.pieces(texts)


# Worked by hand, for where the library is not installed.
@pytest.mark.parametrize(
    "normalizers, splitter, words",
    [
        ([], METASPACE, ["▁a", "▁", "▁b\u3000", "▁"]),
        ([JOIN], METASPACE, ["▁a", "▁b\u3000", "▁"]),
        ([STRIP, JOIN], METASPACE, ["▁a", "▁b"]),
        (["table"], METASPACE, ["▁a", "▁", "▁b", "▁", "▁"]),
        (["table", STRIP, JOIN], METASPACE, ["▁a", "▁b"]),
        ([], WORDS, ["▁a", "▁b"]),
    ],
)
def test_words_of_a_text(tmp_path, normalizers, splitter, words):
    unigram_json(tmp_path, normalizers, splitter)
    assert read_tokenizer(tmp_path).tokenizer.model.split(" a  b\u3000 ") == words


def test_a_table_is_read_cluster_by_cluster(tmp_path):
    unigram_json(tmp_path, ["table"], WORDS)
    model = read_tokenizer(tmp_path).tokenizer.model
    assert model.split("cafe\u0301 ½") == ["▁caf\u00e9", "▁1\u20442"]
    # One of six bytes is left as it is, and of a shorter one the rest is lost.
    assert model.split("か\u3099 ﬁ\u0301n") == ["▁か\u3099", "▁fin"]


@pytest.mark.parametrize(
    "normalizers, splitter, model, message",
    [
        ([{"type": "Lowercase"}], WORDS, {}, "SentencePiece's normalizer in .*Lowercase"),
        ([{**STRIP, "strip_left": True}], WORDS, {}, "SentencePiece's normalizer in .*'Strip'"),
        ([{**JOIN, "content": "_"}], WORDS, {}, "SentencePiece's normalizer in .*'_'"),
        ([JOIN, "table"], WORDS, {}, "in this order, got Replace, Precompiled"),
        ([], None, {}, "Metaspace as pre_tokenizer of .*got None"),
        ([], {**METASPACE, "split": False}, {}, "Metaspace as pre_tokenizer"),
        ([], {**METASPACE, "prepend_scheme": "never"}, {}, "Metaspace as pre_tokenizer"),
        ([], {**METASPACE, "replacement": "_"}, {}, "Metaspace as pre_tokenizer"),
        ([], METASPACE, {"vocab": [["a", "b"]]}, "numbers as scores in .*'b' of 'a'"),
        ([], METASPACE, {"vocab": [["a", float("nan")]]}, "numbers as scores in .*nan of 'a'"),
        ([], METASPACE, {"vocab": [["a▁b", -1.0]]}, "pieces of one word, got 'a▁b'"),
    ],
)
def test_unigrams_that_cannot_be_reproduced(tmp_path, normalizers, splitter, model, message):
    values = unigram_json(tmp_path, normalizers, splitter)
    if model:
        special = [[one["content"], 0.0] for one in values["added_tokens"]]
        values["model"]["vocab"] = [*special, *model["vocab"]]
        write(tmp_path, tokenizer=values)
    with pytest.raises(InputError, match=message):
        read_tokenizer(tmp_path)


def test_pieces_are_not_added_to_unigrams(tmp_path):
    values = unigram_json(tmp_path, [], METASPACE)
    values["added_tokens"].append({"id": 9, "content": "<b>", "special": False})
    write(tmp_path, tokenizer=values)
    with pytest.raises(InputError, match="only special tokens to be added in .*, got '<b>'"):
        read_tokenizer(tmp_path)
