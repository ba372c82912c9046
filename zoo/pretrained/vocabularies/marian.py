"""Marian's tokenizers: two SentencePiece models, one a language, over the ids of vocab.json."""

from pathlib import Path

from keras_transformer.zoo.errors import InputError
from keras_transformer.zoo.pretrained.vocabularies.files import named_tokens, read_json
from keras_transformer.zoo.pretrained.vocabularies.roles import Arranged, arrange, starts_with_pad
from keras_transformer.zoo.pretrained.vocabularies.sentence_pieces import (
    NORMAL,
    USER_DEFINED,
    read_sentence_pieces,
)
from keras_transformer.zoo.pretrained.vocabularies.unigrams import model_tokenizer
from keras_transformer.zoo.tokenizers.special import FIRST, SECOND
from keras_transformer.zoo.tokenizers.tokenizer import Tokenizer


def read_marian(folder: Path) -> tuple[Tokenizer, Tokenizer, Arranged]:
    """Returns the tokenizers of the source and of the target, which have the same ids.

    Raises:
        InputError: if a file is missing, or a tokenizer cannot be reproduced.
    """
    for name in ("source.spm", "target.spm", "vocab.json"):
        if not (folder / name).is_file():
            raise InputError(f"Expected {name} in {folder}, got none.")
    ids = read_json(folder / "vocab.json")
    if not all(type(i) is int for i in ids.values()):
        raise InputError(f"Expected ids by piece in {folder / 'vocab.json'}.")
    usual = {"eos": "</s>", "unk": "<unk>", "pad": "<pad>"}
    named = {role: name for role, name in usual.items() if name in ids} | named_tokens(folder, ids)
    end = named.get("eos", "</s>")
    arranged = arrange(
        {i: piece for piece, i in ids.items()}, named,
        ((FIRST, end), (FIRST, SECOND, end), False), has_unknown=True,
        starts_with_pad=starts_with_pad(folder),
    )  # fmt: skip
    source, target = (_tokenizer(folder / f"{side}.spm", arranged) for side in ("source", "target"))
    return source, target, arranged


def _tokenizer(path: Path, arranged: Arranged) -> Tokenizer:
    """One side's tokenizer; pieces of its model that have no id are unknown."""
    model = read_sentence_pieces(path)
    known = set(arranged.pieces)
    without = [
        piece for piece, kind in zip(model.pieces, model.types, strict=True)
        if kind in (NORMAL, USER_DEFINED) and piece not in known
    ]  # fmt: skip
    extended = arranged._replace(pieces=[*arranged.pieces, *without])
    return model_tokenizer(model, extended, unknown=len(without))
