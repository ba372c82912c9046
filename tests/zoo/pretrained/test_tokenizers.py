"""Published SentencePiece tokenizers have the ids of the `sentencepiece` package."""

import json
import unicodedata

import pytest

from keras_transformer.zoo.errors import InputError
from keras_transformer.zoo.pretrained.vocabularies.tokenizer import read_tokenizer
from keras_transformer.zoo.tokenizers.tokenizer import Tokenizer
from tests.hard_strings import UTF8
from tests.zoo.pretrained.tokenizer_files import TEXTS, trained

KINDS = {
    "bpe of Llama 2": {
        "model_type": "bpe", "byte_fallback": True, "normalization_rule_name": "identity",
        "remove_extra_whitespaces": False,
    },
    "bpe of Gemma": {
        "model_type": "bpe", "byte_fallback": True, "normalization_rule_name": "identity",
        "remove_extra_whitespaces": False, "add_dummy_prefix": False,
        "user_defined_symbols": ["<b>", "\n", "  "],
    },
    "bpe with a table": {"model_type": "bpe", "normalization_rule_name": "nmt_nfkc"},
    "unigram of T5": {"model_type": "unigram", "normalization_rule_name": "nmt_nfkc"},
    "unigram that folds": {"model_type": "unigram", "normalization_rule_name": "nmt_nfkc_cf"},
}  # fmt: skip


@pytest.mark.parametrize("kind", KINDS)
def test_ids_of_a_model_file(tmp_path, kind):
    theirs = trained(tmp_path / "tokenizer.model", **KINDS[kind])
    published = read_tokenizer(tmp_path)
    ours = published.tokenizer
    texts = [*TEXTS[:100], *UTF8]
    found = ours.pieces(texts)
    assert [published.rows[ids].tolist() for ids in found] == theirs.encode(texts)
    written = [theirs.decode(theirs.encode(text)) for text in texts[:100]]
    assert [ours.decode(ids) for ids in found[:100]] == written
    # The same from the files of a checkpoint, and of a `.tflite`.
    again = Tokenizer.from_files(ours.to_files())
    assert again.pieces(texts) == found
    assert ours.pad_id == 0


def test_marians_two_models_share_a_vocabulary(tmp_path):
    theirs = {
        side: trained(tmp_path / f"{side}.spm", model_type="unigram")
        for side in ("source", "target")
    }  # fmt: skip
    pieces = sorted(
        {one.id_to_piece(i) for one in theirs.values() for i in range(3, one.vocab_size())}
    )
    names = ["</s>", "<unk>", *pieces, "<pad>"]
    ids = {name: i for i, name in enumerate(names)}
    (tmp_path / "vocab.json").write_text(json.dumps(ids), encoding="utf-8")
    last = len(names) - 1
    config = {"model_type": "marian", "decoder_start_token_id": last, "pad_token_id": last}
    (tmp_path / "config.json").write_text(json.dumps(config))
    published = read_tokenizer(tmp_path)
    for side, ours in (("source", published.tokenizer), ("target", published.target)):
        expected = [
            [ids.get(piece, 1) for piece in theirs[side].encode(text, out_type=str)]
            for text in TEXTS[:100]
        ]  # fmt: skip
        assert [published.rows[found].tolist() for found in ours.pieces(TEXTS[:100])] == expected


@pytest.mark.parametrize("name", ["gpt2", "qwen2"])
def test_byte_level_bpe_of_a_tokenizer_json(tmp_path, name):
    tokenizers = pytest.importorskip("tokenizers")
    theirs = tokenizers.Tokenizer(tokenizers.models.BPE())
    split = tokenizers.pre_tokenizers.ByteLevel(add_prefix_space=False)
    if name == "qwen2":
        theirs.normalizer = tokenizers.normalizers.NFC()
        pattern = tokenizers.Regex(
            r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*"
            r"|\s*[\r\n]+|\s+(?!\S)|\s+"
        )
        split = tokenizers.pre_tokenizers.Sequence([
            tokenizers.pre_tokenizers.Split(pattern, "isolated"),
            tokenizers.pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ])  # fmt: skip
    theirs.pre_tokenizer, theirs.decoder = split, tokenizers.decoders.ByteLevel()
    trainer = tokenizers.trainers.BpeTrainer(
        vocab_size=400, show_progress=False, special_tokens=["<|endoftext|>"],
        initial_alphabet=tokenizers.pre_tokenizers.ByteLevel.alphabet(),
    )  # fmt: skip
    theirs.train_from_iterator(TEXTS, trainer)
    theirs.save(str(tmp_path / "tokenizer.json"))
    settings = {"eos_token": "<|endoftext|>", "bos_token": "<|endoftext|>"}
    (tmp_path / "tokenizer_config.json").write_text(json.dumps(settings))
    published = read_tokenizer(tmp_path)
    # The library's tables of characters are newer than Python's.
    assigned = [text for text in UTF8 if "Cn" not in map(unicodedata.category, text)]
    texts = [*TEXTS[:100], *assigned]
    assert len(assigned) > 40
    found = [published.rows[ids].tolist() for ids in published.tokenizer.pieces(texts)]
    assert found == [one.ids for one in theirs.encode_batch(texts, add_special_tokens=False)]


def test_files_that_are_none(tmp_path):
    with pytest.raises(InputError, match="^Expected tokenizer.json, vocab.txt, vocab.json or "):
        read_tokenizer(tmp_path)
    (tmp_path / "tokenizer.json").write_text('{"model": {"type": "Guess"}}')
    with pytest.raises(InputError, match="^Expected a tokenizer.json of WordPiece, BPE, Unigram "):
        read_tokenizer(tmp_path)
    (tmp_path / "tokenizer.json").write_text('{"model": {"type": "BPE", "vocab": 3}}')
    with pytest.raises(InputError):
        read_tokenizer(tmp_path)
    (tmp_path / "tokenizer.json").unlink()
    (tmp_path / "tokenizer.model").write_bytes(b"\x0a\xff\xff")
    with pytest.raises(InputError):
        read_tokenizer(tmp_path)
