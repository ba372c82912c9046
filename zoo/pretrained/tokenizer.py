"""Tokenizers of published models: the ids of their own files, with padding as id 0."""

import dataclasses
import os
from pathlib import Path

import numpy as np

from keras_transformer.zoo.errors import InputError
from keras_transformer.zoo.pretrained.published_files import read_json
from keras_transformer.zoo.pretrained.word_pieces import read_word_pieces
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
    path = folder / "tokenizer.json"
    kind = read_json(path).get("model", {}).get("type")
    if kind == "WordPiece" or (kind is None and (folder / "vocab.txt").is_file()):
        tokenizer, arranged = read_word_pieces(folder)
        return PublishedTokenizer(tokenizer=tokenizer, rows=arranged.rows)
    raise InputError(f"Expected a tokenizer in {folder}, got none.")
