"""The stream of token ids of plain text of any size."""

import dataclasses
import functools
from collections.abc import Mapping
from typing import Any

import numpy as np

from keras_transformer.zoo.data.plain_text import MappedText, PlainText, line_ids, token_stream
from keras_transformer.zoo.errors import InputError
from keras_transformer.zoo.modalities.modality import InputSpec
from keras_transformer.zoo.prepared.context import current_store
from keras_transformer.zoo.prepared.encode import Job, are_prepared, encoded, hashes
from keras_transformer.zoo.progress import Report
from keras_transformer.zoo.tokenizers.tokenizer import Tokenizer


def stream_of(
    plain: PlainText, tokenizer: Tokenizer, report: Report | None = None
) -> tuple[np.ndarray, bytes]:
    """Returns the token ids (N,) of a text, see `token_stream`, and what identifies them, if known.

    Args:
        plain: text.
        tokenizer: its tokenizer.
        report: receives how far the encoding of many lines is.

    Raises:
        InputError: if there are fewer than two tokens.
    """
    store = current_store()
    if store is None or not isinstance(plain, MappedText) or not are_prepared([plain.lines]):
        return token_stream(plain, tokenizer), b""
    found = encoded(
        store, EncodeLines(tokenizer.to_files(), tokenizer.vocab_size), [plain.lines],
        [InputSpec(name="ids")],
        progress=lambda done: (report or Report()).reading(plain.path, done, len(plain.lines)),
    ).columns["ids"]
    if len(found.values) < 2:
        raise InputError(f"{plain.path}: expected at least two tokens, got {len(found.values)}.")
    return found.values, found.digest()


@dataclasses.dataclass(frozen=True)
class EncodeLines(Job):
    """Encodes the lines of a text, see `token_stream`.

    Attributes:
        files: of the tokenizer.
        vocab_size: see `Job`.
    """

    files: Mapping[str, bytes]
    vocab_size: int

    @functools.cached_property
    def _tokenizer(self) -> Tokenizer:
        return Tokenizer.from_files(self.files)

    def encode(self, *columns: list[str]) -> tuple[dict[str, list[np.ndarray]], list[bool]]:
        [lines] = columns
        if self._tokenizer.config.keeps_lines:
            found = self._tokenizer.pieces(lines)
        else:
            found = [line_ids([line.removesuffix("\n")], self._tokenizer) for line in lines]
        return {"ids": [np.array(row, np.int32) for row in found]}, [False] * len(lines)

    def key(self) -> Any:
        return hashes(self.files)
