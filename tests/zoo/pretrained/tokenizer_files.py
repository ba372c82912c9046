"""Small files of published tokenizers."""

import base64
import json

import numpy as np
import sentencepiece
from sentencepiece import sentencepiece_model_pb2

from keras_transformer.zoo.tokenizers.piece_list import BYTE_ALPHABET

SAMPLED = (
    "the", "lower", "tower", "Straße", "naïve", "ﬁne", "Ｆｕｌｌ", "東京", "12", "3.5", "m²", "«so»"
)  # fmt: skip
TEXTS = [" ".join(np.random.default_rng(n).permutation(SAMPLED)[: 3 + n % 7]) for n in range(400)]
STRIP = {"type": "Strip", "strip_left": False, "strip_right": True}
JOIN = {"type": "Replace", "pattern": {"Regex": " {2,}"}, "content": "▁"}
METASPACE = {"type": "Metaspace", "replacement": "▁", "prepend_scheme": "always", "split": True}
WORDS = {"type": "Sequence", "pretokenizers": [{"type": "WhitespaceSplit"}, METASPACE]}


def trained(path, **settings):
    """A SentencePiece model of the package's own trainer."""
    with open(path, "wb") as file:
        sentencepiece.SentencePieceTrainer.train(
            sentence_iterator=iter(TEXTS), model_writer=file, vocab_size=350,
            hard_vocab_limit=False, minloglevel=2, num_threads=1, **{"pad_id": -1, **settings},
        )  # fmt: skip
    return sentencepiece.SentencePieceProcessor(model_file=str(path))


def write(folder, **files):
    for name, value in files.items():
        (folder / f"{name}.json").write_text(json.dumps(value), encoding="utf-8")


def _merges(pieces):
    """All merges of two pieces into a third, the most probable third first."""
    scores = {one.piece: one.score for one in pieces if one.type == one.NORMAL}
    merges = [
        (-score, piece[:cut], piece[cut:]) for piece, score in scores.items()
        for cut in range(1, len(piece)) if piece[:cut] in scores and piece[cut:] in scores
    ]  # fmt: skip
    return [f"{left} {right}" for _, left, right in sorted(merges, key=lambda merge: merge[0])]


def byte_fallback_json(folder):
    """A tokenizer.json of BPE with bytes; returns the SentencePiece model that it is made of."""
    theirs = trained(
        folder / "m", model_type="bpe", byte_fallback=True, remove_extra_whitespaces=False,
        normalization_rule_name="identity",
    )  # fmt: skip
    model = sentencepiece_model_pb2.ModelProto.FromString(theirs.serialized_model_proto())
    vocab = {one.piece: i for i, one in enumerate(model.pieces)}
    special = ("<unk>", "<s>", "</s>")
    values = {
        "added_tokens": [
            {"id": vocab[name], "content": name, "special": True} for name in special
        ],
        "normalizer": {"type": "Sequence", "normalizers": [
            {"type": "Prepend", "prepend": "▁"},
            {"type": "Replace", "pattern": {"String": " "}, "content": "▁"},
        ]},
        "pre_tokenizer": None,
        "model": {
            "type": "BPE", "vocab": vocab, "merges": _merges(model.pieces), "fuse_unk": True,
            "byte_fallback": True, "unk_token": "<unk>",
        },
    }  # fmt: skip
    write(folder, tokenizer=values)
    return theirs


def unigram_json(tmp_path, normalizers, splitter, **model):
    """The tokenizer.json of a small model, and the table of SentencePiece's NMT rules."""
    theirs = trained(tmp_path / "m", model_type="unigram", normalization_rule_name="nmt_nfkc")
    proto = sentencepiece_model_pb2.ModelProto.FromString(theirs.serialized_model_proto())
    table = base64.b64encode(proto.normalizer_spec.precompiled_charsmap).decode()
    normalizers = [
        {"type": "Precompiled", "precompiled_charsmap": table} if one == "table" else one
        for one in normalizers
    ]
    # Scores that float32 does not have.
    vocab = [[one.piece, one.score / 3 if one.type == 1 else 0.0] for one in proto.pieces]
    values = {
        "version": "1.0", "truncation": None, "padding": None, "decoder": None,
        "post_processor": None, "pre_tokenizer": splitter,
        "added_tokens": [
            {"id": i, "content": name, "single_word": False, "lstrip": False, "rstrip": False,
             "normalized": False, "special": True}
            for i, name in enumerate(("<unk>", "<s>", "</s>"))
        ],
        "normalizer": {"type": "Sequence", "normalizers": normalizers} if normalizers else None,
        "model": {
            "type": "Unigram", "unk_id": 0, "vocab": vocab, "byte_fallback": False, **model,
        },
    }  # fmt: skip
    write(tmp_path, tokenizer=values)
    return values


def old_files(folder, merges="#version: 0.2\nl o\nlo w\nĠ low\nĠ t\n"):
    names = ["<s>", "<pad>", "</s>", "<unk>", *BYTE_ALPHABET, "lo", "low", "Ġlow", "Ġt", "<mask>"]
    vocab = {name: i for i, name in enumerate(names)}
    write(folder, vocab=vocab, config={"model_type": "roberta"})
    if merges is not None:
        (folder / "merges.txt").write_text(merges, encoding="utf-8")
    return vocab
