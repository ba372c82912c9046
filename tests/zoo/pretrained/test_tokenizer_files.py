"""Each form of a published tokenizer's files has the ids of the library that wrote it."""


import pytest
import sentencepiece
from sentencepiece import sentencepiece_model_pb2

from keras_transformer.zoo.errors import InputError
from keras_transformer.zoo.pretrained.vocabularies.tokenizer import read_tokenizer
from keras_transformer.zoo.tokenizers.piece_list import BYTE_PIECES
from keras_transformer.zoo.tokenizers.tokenizer import Tokenizer
from tests.hard_strings import UTF8
from tests.zoo.pretrained.tokenizer_files import (
    TEXTS,
    byte_fallback_json,
    old_files,
    trained,
    write,
)

SAMPLE = [*TEXTS[:100], *UTF8]


def published_ids(published, texts=SAMPLE):
    return [published.rows[ids].tolist() for ids in published.tokenizer.pieces(texts)]


def framed(published, *texts):
    pairs = None if len(texts) == 1 else [texts[1]]
    [row] = published.tokenizer.encode([texts[0]], pairs, max_length=50).ids
    return published.rows[row].tolist()


def test_a_model_of_t5_has_sentinels_and_an_end(tmp_path):
    theirs = trained(
        tmp_path / "spiece.model", model_type="unigram", pad_id=0, eos_id=1, unk_id=2, bos_id=-1
    )
    config = {"model_type": "t5", "decoder_start_token_id": 0, "pad_token_id": 0}
    write(tmp_path, config=config, tokenizer_config={"extra_ids": 3})
    published = read_tokenizer(tmp_path)
    assert published_ids(published) == theirs.encode(SAMPLE)
    a, b = theirs.encode(["the tower", "lower"])
    assert framed(published, "the tower") == [*a, 1]
    assert framed(published, "the tower", "lower") == [*a, 1, *b, 1]
    pieces = dict(zip(published.rows.tolist(), published.tokenizer.vocabulary.pieces, strict=True))
    count = theirs.vocab_size()
    assert [pieces[count + i] for i in range(3)] == [f"<extra_id_{i}>" for i in (2, 1, 0)]
    # The decoder starts with the padding, which is masked, by another name.
    assert published.rows[published.tokenizer.cls_id] == 0 != published.tokenizer.cls_id


def test_a_model_of_xlm_r_has_fairseqs_order(tmp_path):
    theirs = trained(tmp_path / "sentencepiece.bpe.model", model_type="unigram")
    write(tmp_path, tokenizer_config={"tokenizer_class": "XLMRobertaTokenizer"})
    published = read_tokenizer(tmp_path)
    # <unk>, <s>, </s> of the model are 3, 0, 2; its others are moved by one.
    expected = [[i + 1 if i else 3 for i in ids] for ids in theirs.encode(SAMPLE)]
    assert published_ids(published) == expected
    a, b = ([i + 1 for i in theirs.encode(text)] for text in ("the tower", "lower"))
    assert framed(published, "the tower") == [0, *a, 2]
    assert framed(published, "the tower", "lower") == [0, *a, 2, 2, *b, 2]
    assert published.rows[0] == 1 and published.rows[-1] == theirs.vocab_size() + 1
    assert published.tokenizer.vocabulary[-1] == "<mask>"


def test_pieces_of_the_user_are_scored_as_sentencepiece_scores_them(tmp_path):
    theirs = trained(
        tmp_path / "spiece.model", model_type="unigram", user_defined_symbols=["owe", "raße", "st"]
    )
    texts = [*TEXTS, "towest ostowe Straßest stst owerowe"]
    assert published_ids(read_tokenizer(tmp_path), texts) == theirs.encode(texts)


def test_pieces_of_the_user_that_the_table_would_change(tmp_path):
    trained(tmp_path / "spiece.model", model_type="unigram", user_defined_symbols=["ﬁx"])
    with pytest.raises(InputError, match=r"pieces that the table of characters keeps, got 'ﬁx'\."):
        read_tokenizer(tmp_path)


def test_runs_of_unknown_characters_go_on_over_words(tmp_path):
    """Where "▁" is unknown too, a whole text may be one unknown token."""
    model = sentencepiece_model_pb2.ModelProto()
    model.trainer_spec.model_type = model.trainer_spec.UNIGRAM
    for piece, score, kind in (("<unk>", 0, 2), ("<s>", 0, 3), ("</s>", 0, 3), ("a", -1, 1)):
        model.pieces.add(piece=piece, score=score, type=kind)
    (tmp_path / "spiece.model").write_bytes(model.SerializeToString())
    theirs = sentencepiece.SentencePieceProcessor(model_proto=model.SerializeToString())
    texts = ["x y", "a x y a", "aa ax xa", "a a"]
    found = published_ids(read_tokenizer(tmp_path), texts)
    assert found == theirs.encode(texts)
    assert found[0] == [0]


def test_sums_go_on_over_words_and_are_rounded(tmp_path):
    """Cuts that tie in one word do not tie behind others, or the other way round."""
    model = sentencepiece_model_pb2.ModelProto()
    model.trainer_spec.model_type = model.trainer_spec.UNIGRAM
    pieces = [("▁", -0.7), ("a", -0.1), ("b", -0.3), ("aa", -0.2), ("ab", -0.4), ("▁a", -0.8)]
    pieces += [("ba", -0.4), ("aab", -0.5), ("▁ab", -1.1), ("c", -9.7)]
    for piece, score, kind in (("<unk>", 0, 2), ("<s>", 0, 3), ("</s>", 0, 3)):
        model.pieces.add(piece=piece, score=score, type=kind)
    for piece, score in pieces:
        model.pieces.add(piece=piece, score=score, type=1)
    (tmp_path / "spiece.model").write_bytes(model.SerializeToString())
    theirs = sentencepiece.SentencePieceProcessor(model_proto=model.SerializeToString())
    words = ["aab", "abaab", "baa", "aaaa", "cab", "bbaab"]
    texts = [" ".join(words[(n * k) % 6] for k in range(1 + n % 30)) for n in range(1, 300)]
    published = read_tokenizer(tmp_path)
    assert published_ids(published, texts) == theirs.encode(texts)
    alone = [
        [int(published.rows[i]) for word in published.tokenizer.model.split(text)
         for i in published.tokenizer.model.match(word)]
        for text in texts
    ]  # fmt: skip
    assert alone != theirs.encode(texts)


def test_a_tokenizer_json_with_bytes(tmp_path):
    theirs = byte_fallback_json(tmp_path)
    published = read_tokenizer(tmp_path)
    expected = theirs.encode(SAMPLE)
    assert published_ids(published) == expected
    byte_ids = set(theirs.piece_to_id(list(BYTE_PIECES)))
    assert sum(not byte_ids.isdisjoint(ids) for ids in expected) > 20
    again = Tokenizer.from_files(published.tokenizer.to_files())
    assert again.pieces(SAMPLE) == published.tokenizer.pieces(SAMPLE)


def test_vocab_json_and_merges(tmp_path):
    vocab = old_files(tmp_path)
    published = read_tokenizer(tmp_path)
    [found] = published_ids(published, ["low lows tow"])
    assert found == [vocab[piece] for piece in ("low", "Ġlow", "s", "Ġt", "o", "w")]
    assert framed(published, "low") == [0, vocab["low"], 2]
    assert framed(published, "low", "low") == [0, vocab["low"], 2, 2, vocab["low"], 2]
    assert published.rows[:2].tolist() == [1, 0]
    # With the space of RoBERTa's `add_prefix_space`.
    write(tmp_path, tokenizer_config={"add_prefix_space": True})
    assert published_ids(read_tokenizer(tmp_path), ["low"]) == [[vocab["Ġlow"]]]
    texts = [text for text in UTF8 if "\ufffd" not in text]
    tokenizer = read_tokenizer(tmp_path).tokenizer
    for text in texts:
        assert tokenizer.decode(tokenizer.pieces([text])[0]).removeprefix(" ") == text.removeprefix(
            " "
        )


def test_vocab_json_and_merges_as_the_library_reads_them(tmp_path):
    tokenizers = pytest.importorskip("tokenizers")
    old_files(tmp_path)
    theirs = tokenizers.ByteLevelBPETokenizer(
        str(tmp_path / "vocab.json"), str(tmp_path / "merges.txt")
    )
    ours = read_tokenizer(tmp_path)
    texts = [text for text in UTF8 if "<s>" not in text and not any(c > "\u0860" for c in text)]
    assert len(texts) > 15
    assert published_ids(ours, texts) == [one.ids for one in theirs.encode_batch(texts)]
