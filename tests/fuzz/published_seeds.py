"""Whole published folders, which the fuzzer damages."""

import json
import shutil
from pathlib import Path

import safetensors.numpy

from keras_transformer.zoo.pretrained.vocabularies.tokenizer import read_tokenizer
from tests.fuzz.published import FAMILIES, FORMS, KEPT, MODELS, TOKENIZERS
from tests.zoo.pretrained import tokenizer_files
from tests.zoo.pretrained.tiny import REFERENCES

_SENTENCES = {
    "modules.json": [
        {"idx": 0, "path": "", "type": "sentence_transformers.models.Transformer"},
        {"idx": 1, "path": "1_Pooling", "type": "sentence_transformers.models.Pooling"},
    ],
    "1_Pooling/config.json": {"word_embedding_dimension": 16, "pooling_mode_mean_tokens": True},
    "sentence_bert_config.json": {"max_seq_length": 12, "do_lower_case": False},
}


def write_seeds(folder: Path) -> None:
    """Writes whole tokenizers of each form, and models with their weights in two shards."""
    for name in FORMS:
        path = folder / TOKENIZERS / name
        path.mkdir(parents=True)
        write_form(name, path)
        kept = folder / KEPT / name
        kept.mkdir(parents=True)
        read_tokenizer(path).tokenizer.save(kept)
    for family in FAMILIES:
        path = folder / MODELS / family
        shutil.copytree(REFERENCES / family, path)
        (path / "expected.safetensors").unlink()
        _write_shards(path)
    for name, value in _SENTENCES.items():
        path = folder / MODELS / "bert" / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(json.dumps(value))


def write_form(name: str, folder: Path) -> None:
    """Writes a whole tokenizer of a form into a folder."""
    _WRITERS[name](folder)
    # The SentencePiece model that a tokenizer.json was made of.
    (folder / "m").unlink(missing_ok=True)


def _write_shards(folder):
    path = folder / "model.safetensors"
    tensors = safetensors.numpy.load_file(path)
    path.unlink()
    names = sorted(tensors)
    halves = names[: len(names) // 2], names[len(names) // 2 :]
    shards = {f"model-0000{i}-of-00002.safetensors": half for i, half in enumerate(halves, 1)}
    for shard, half in shards.items():
        safetensors.numpy.save_file({name: tensors[name] for name in half}, folder / shard)
    places = {name: shard for shard, half in shards.items() for name in half}
    index = json.dumps({"metadata": {}, "weight_map": places})
    (folder / "model.safetensors.index.json").write_text(index)


def _t5(folder):
    tokenizer_files.trained(
        folder / "spiece.model", model_type="unigram", pad_id=0, eos_id=1, unk_id=2, bos_id=-1,
        normalization_rule_name="nmt_nfkc",
    )  # fmt: skip
    tokenizer_files.write(folder, config={"model_type": "t5"}, tokenizer_config={"extra_ids": 3})


def _xlm_r(folder):
    tokenizer_files.trained(folder / "sentencepiece.bpe.model", model_type="unigram")
    settings = {"tokenizer_class": "XLMRobertaTokenizer", "pad_token": "<pad>"}
    tokenizer_files.write(folder, tokenizer_config=settings)


def _llama(folder):
    tokenizer_files.trained(
        folder / "tokenizer.model", model_type="bpe", byte_fallback=True,
        user_defined_symbols=["<b>"],
    )  # fmt: skip
    tokenizer_files.write(folder, tokenizer_config={"add_bos_token": True, "eos_token": "</s>"})


def _marian(folder):
    models = [
        tokenizer_files.trained(folder / f"{side}.spm", model_type="unigram")
        for side in ("source", "target")
    ]
    pieces = sorted({one.id_to_piece(i) for one in models for i in range(3, one.vocab_size())})
    ids = {name: i for i, name in enumerate(["</s>", "<unk>", *pieces, "<pad>"])}
    tokenizer_files.write(folder, vocab=ids, config={"model_type": "marian", "pad_token_id": 9})


def _word_pieces(folder):
    pieces = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "w", "##1", "##2", "ü", "##3"]
    (folder / "vocab.txt").write_text("\n".join(pieces) + "\n", encoding="utf-8")
    tokenizer_files.write(folder, tokenizer_config={"do_lower_case": True})


_WRITERS = {
    "bytes": tokenizer_files.byte_fallback_json,
    "llama": _llama,
    "marian": _marian,
    "merges": tokenizer_files.old_files,
    "t5": _t5,
    "unigram": lambda folder: tokenizer_files.unigram_json(
        folder, ["table", tokenizer_files.STRIP, tokenizer_files.JOIN], tokenizer_files.METASPACE
    ),
    "words": lambda folder: tokenizer_files.unigram_json(folder, ["table"], tokenizer_files.WORDS),
    "word_pieces": _word_pieces,
    "xlm_r": _xlm_r,
}
