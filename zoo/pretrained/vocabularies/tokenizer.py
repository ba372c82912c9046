"""Tokenizers of published models: the ids of their own files, with padding as id 0."""

import dataclasses
import os
from pathlib import Path

import numpy as np

from keras_transformer.zoo.errors import InputError, of_others
from keras_transformer.zoo.pretrained.vocabularies.byte_pairs import read_byte_pairs
from keras_transformer.zoo.pretrained.vocabularies.files import MODELS, read_json
from keras_transformer.zoo.pretrained.vocabularies.marian import read_marian
from keras_transformer.zoo.pretrained.vocabularies.unigrams import read_model, read_unigrams
from keras_transformer.zoo.pretrained.vocabularies.word_pieces import read_word_pieces
from keras_transformer.zoo.tokenizers.tokenizer import Tokenizer


@dataclasses.dataclass(frozen=True, kw_only=True)
class PublishedTokenizer:
    """A published model's tokenizer, and where its embeddings are.

    Attributes:
        tokenizer: tokenizer, whose padding is id 0.
        rows: (V,) int32, the row of each id in the published table; -1 for padding that the model
            does not have.
        target: tokenizer of the output if it differs, with the same ids.
    """

    tokenizer: Tokenizer
    rows: np.ndarray
    target: Tokenizer | None = None


def read_tokenizer(folder: str | os.PathLike) -> PublishedTokenizer:
    """Reads the tokenizer in a folder that Hugging Face `transformers` wrote.

    Texts get the ids that the published tokenizer gives, except that special tokens in a text are
    read as text.

    Raises:
        InputError: if the folder has no tokenizer, or one that cannot be reproduced.
    """
    folder = Path(folder)
    with of_others(f"a tokenizer as `transformers` writes it in {folder}"):
        return _read(folder)


def _read(folder: Path) -> PublishedTokenizer:
    values = read_json(folder / "tokenizer.json")
    kind = values.get("model", {}).get("type")
    readers = {"WordPiece": read_word_pieces, "BPE": read_byte_pairs, "Unigram": read_unigrams}
    if kind is not None and kind not in readers:
        raise InputError(
            f"Expected a tokenizer.json of {', '.join(readers)} in {folder}, got {kind}."
        )
    if kind is not None:
        tokenizer, arranged = readers[kind](folder, values)
        return PublishedTokenizer(tokenizer=tokenizer, rows=arranged.rows)
    if (folder / "source.spm").is_file():
        source, target, arranged = read_marian(folder)
        return PublishedTokenizer(tokenizer=source, rows=arranged.rows, target=target)
    for name, read in (("vocab.txt", read_word_pieces), ("vocab.json", read_byte_pairs)):
        if (folder / name).is_file():
            tokenizer, arranged = read(folder, {})
            return PublishedTokenizer(tokenizer=tokenizer, rows=arranged.rows)
    for name in MODELS:
        if (folder / name).is_file():
            tokenizer, arranged = read_model(folder, folder / name)
            return PublishedTokenizer(tokenizer=tokenizer, rows=arranged.rows)
    raise InputError(
        f"Expected tokenizer.json, vocab.txt, vocab.json or {', '.join(MODELS)} in {folder}, "
        "got none."
    )
