"""Published tokenizers that cannot be reproduced, each with what stands in the way."""

import json
import re
import struct

import pytest

from keras_transformer.zoo.errors import InputError
from keras_transformer.zoo.pretrained.vocabularies.tokenizer import read_tokenizer
from keras_transformer.zoo.tokenizers.piece_list import Vocabulary
from keras_transformer.zoo.tokenizers.special import SpecialTokens
from keras_transformer.zoo.tokenizers.tokenizer import Tokenizer
from keras_transformer.zoo.tokenizers.tokenizer_config import TokenizerConfig
from tests.zoo.pretrained import tokenizer_files
from tests.zoo.pretrained.tokenizer_files import write

LEVEL = {"type": "ByteLevel", "add_prefix_space": False}
TOKEN = {"id": 0, "content": "<s>", "special": True}
BYTES = {
    "added_tokens": [TOKEN], "pre_tokenizer": LEVEL,
    "model": {"type": "BPE", "vocab": {"<s>": 0, "a": 1}, "merges": []},
}  # fmt: skip
WORDS = {
    "normalizer": {
        "type": "BertNormalizer", "clean_text": True, "handle_chinese_chars": True,
        "lowercase": True,
    },
    "pre_tokenizer": {"type": "BertPreTokenizer"},
    "model": {
        "type": "WordPiece", "vocab": {"[CLS]": 0}, "continuing_subword_prefix": "##",
    },
}  # fmt: skip


def changed(values, path, value):
    """A copy of a tokenizer.json with another value at a path of keys."""
    copied = json.loads(json.dumps(values))
    *outer, last = path.split(".")
    target = copied
    for key in outer:
        target = target[key]
    target[last] = value
    return copied


@pytest.mark.parametrize(
    "values, path, value, message",
    [
        (BYTES, "model.end_of_word_suffix", "</w>", "no end_of_word_suffix in {}, got '</w>'"),
        (BYTES, "model.merges", ["a b"], "merges of pieces in {}, got 'a b'"),
        (BYTES, "normalizer", {"type": "Lowercase"}, "no normalizer but NFC in {}, got Lowercase"),
        (BYTES, "pre_tokenizer", {"type": "Digits"}, "a pre_tokenizer in {} that splits as GPT-2"),
        (
            BYTES, "added_tokens",
            [TOKEN, {"id": 1, "content": "a", "special": False, "lstrip": True}],
            "without lstrip, rstrip and single_word in {}, got 'a'",
        ),
        (BYTES, "post_processor", {"type": "Guess"}, "a post_processor of known templates in {}"),
        (WORDS, "normalizer.clean_text", False, "clean_text to be True in {}, got False"),
        (WORDS, "model.continuing_subword_prefix", "@@", "prefix to be '##' in {}, got '@@'"),
        (BYTES, "model.dropout", 0.5, "no dropout of merges in {}, got 0.5"),
        (BYTES, "model.vocab", {"<s>": 0, "a": 1, "b": 1}, "one piece of each id in {}, got 'a' a"),
        (
            WORDS, "added_tokens", [{"id": 1, "content": "c++", "special": False}],
            "only special tokens to be added in {}, got 'c\\+\\+'",
        ),
        (WORDS, "model.vocab", {"[CLS]": 0, "[UNK]": 0}, "one piece of each id in {}, got"),
        (WORDS, "model.vocab", {"a": 0}, "a published tokenizer with a token sep, eos, cls or bos"),
    ],
)  # fmt: skip
def test_a_tokenizer_json(tmp_path, values, path, value, message):
    write(tmp_path, tokenizer=changed(values, path, value))
    place = re.escape(str(tmp_path / "tokenizer.json"))
    with pytest.raises(InputError, match=message.replace("{}", place)):
        read_tokenizer(tmp_path)


@pytest.mark.parametrize(
    "normalizer, splitter, message",
    [
        ({"type": "Prepend", "prepend": "_"}, None, "normalizers of .* to mark spaces, got .*'_'"),
        (None, {"type": "Whitespace"}, "a pre_tokenizer of .* to mark spaces, got .*'Whitespace'"),
        (None, None, "a normalizer or pre_tokenizer of .* to mark spaces"),
    ],
)
def test_bytes_beside_pieces_need_marked_spaces(tmp_path, normalizer, splitter, message):
    values = {**BYTES, "normalizer": normalizer, "pre_tokenizer": splitter}
    write(tmp_path, tokenizer=changed(values, "model.byte_fallback", True))
    with pytest.raises(InputError, match=message):
        read_tokenizer(tmp_path)


@pytest.mark.parametrize(
    "data, message",
    [
        ("{", "tokenizer.json to hold JSON, got an error: "),
        ("[]", "tokenizer.json to hold an object, got list"),
        ('{"model": {"type": "BPE"}}', "as `transformers` writes it in .*KeyError: 'vocab'"),
        ('{"model": {"type": "Unigram", "vocab": [["a"]]}}', "writes it in .*ValueError"),
    ],
)
def test_other_json(tmp_path, data, message):
    (tmp_path / "tokenizer.json").write_text(data)
    with pytest.raises(InputError, match=message):
        read_tokenizer(tmp_path)


def test_older_files(tmp_path):
    tokenizer_files.old_files(tmp_path, merges=None)
    with pytest.raises(InputError, match=r"merges.txt beside vocab.json in .*, got none\."):
        read_tokenizer(tmp_path)
    (tmp_path / "vocab.txt").write_text("[PAD]\n[UNK]\n[CLS]\n[SEP]\n")
    write(tmp_path, tokenizer_config={"do_basic_tokenize": False})
    with pytest.raises(InputError, match="do_basic_tokenize to be True in .*, got False"):
        read_tokenizer(tmp_path)


def test_marian_without_a_file_or_with_other_ids(tmp_path):
    for side in ("source", "target"):
        tokenizer_files.trained(tmp_path / f"{side}.spm", model_type="unigram")
    with pytest.raises(InputError, match="Expected vocab.json in .*, got none"):
        read_tokenizer(tmp_path)
    write(tmp_path, vocab={"</s>": "0"})
    with pytest.raises(InputError, match="Expected ids by piece in .*vocab.json"):
        read_tokenizer(tmp_path)


def test_settings_of_a_sentencepiece_model(tmp_path):
    path = tmp_path / "spiece.model"
    tokenizer_files.trained(path, model_type="unigram")
    whole = path.read_bytes()
    for value in (-1, 10**9, "3", True):
        write(tmp_path, config={"model_type": "t5"}, tokenizer_config={"extra_ids": value})
        with pytest.raises(InputError, match=f"extra_ids of .* from 0 to 10000, got {value!r}"):
            read_tokenizer(tmp_path)
    write(tmp_path, config={"model_type": "albert"}, tokenizer_config={})
    with pytest.raises(InputError, match="a tokenizer.json in .* for the model type albert"):
        read_tokenizer(tmp_path)
    write(tmp_path, config={})
    # A trainer's model type (field 2, in it field 3) of words, which is 3.
    path.write_bytes(whole + b"\x12\x02\x18\x03")
    with pytest.raises(InputError, match="SentencePiece model of a known model_type in"):
        read_tokenizer(tmp_path)
    # A normalizer (field 3) that does not remove spaces (field 4).
    path.write_bytes(whole + b"\x1a\x02\x20\x00")
    with pytest.raises(InputError, match="a unigram model that joins spaces, got one that does"):
        read_tokenizer(tmp_path)


@pytest.mark.parametrize(
    "data, message",
    [
        (b"", "got no pieces"),
        (b"\x0a\x7f", "a field of 127 bytes at byte 2 of 2"),
        (b"\x0b", "a field of None bytes at byte 1 of 1"),
        (b"\xff" * 11, "a number of more than ten bytes at byte 10"),
        (b"\x08\x01", "a number in place of a message"),
        (b"\x0a\x03\x15" + struct.pack("<h", 1), "got "),
    ],
)
def test_a_damaged_sentencepiece_model(tmp_path, data, message):
    (tmp_path / "tokenizer.model").write_bytes(data)
    with pytest.raises(InputError, match=f"to be a SentencePiece model, .*{message}"):
        read_tokenizer(tmp_path)


def test_special_tokens_have_ids():
    pieces = ["<pad>", "<unk>", "</s>"]
    special = SpecialTokens(
        pad="<pad>", unk="<unk>", begin="</s>", end="</s>", mask=None, single=("$A", "</s>"),
        pair=("$A", "$B"),
    )  # fmt: skip
    config = TokenizerConfig(
        kind="sentencepiece", special=special, byte_fallback=False, unknown_pieces=1
    )
    with pytest.raises(InputError, match="special tokens with ids, got unknown_pieces=1 of 3"):
        Tokenizer(config, Vocabulary(tuple(pieces), (0.0,) * 3))


def test_the_unknown_token_is_the_models(tmp_path):
    vocab = {"[PAD]": 0, "[UNK]": 1, "[CLS]": 2, "[SEP]": 3, "<none>": 4, "a": 5}
    write(
        tmp_path,
        tokenizer=changed(
            changed(WORDS, "model.vocab", vocab), "model.unk_token", "<none>"
        ),
    )
    tokenizer = read_tokenizer(tmp_path).tokenizer
    assert tokenizer.config.special.unk == "<none>"


def test_added_tokens_beside_a_vocab_txt(tmp_path):
    (tmp_path / "vocab.txt").write_text("[PAD]\n[UNK]\n[CLS]\n[SEP]\na\n")
    read_tokenizer(tmp_path)
    (tmp_path / "added_tokens.json").write_text('{"catdog": 5}')
    with pytest.raises(InputError, match="to be added in .*/added_tokens.json, got 'catdog'"):
        read_tokenizer(tmp_path)
    (tmp_path / "added_tokens.json").unlink()
    (tmp_path / "tokenizer_config.json").write_text(
        '{"added_tokens_decoder": {"5": {"content": "catdog", "special": false}}}'
    )
    with pytest.raises(InputError, match="to be added in .*/tokenizer_config.json, got 'catdog'"):
        read_tokenizer(tmp_path)
