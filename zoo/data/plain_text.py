"""Plain text as one stream of tokens, cut into blocks; NumPy only."""

import dataclasses
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np

from keras_transformer.zoo.data.rows import Rows
from keras_transformer.zoo.data.text_files import plain_lines, read_text
from keras_transformer.zoo.errors import InputError
from keras_transformer.zoo.tokenizers.tokenizer import Tokenizer


@dataclasses.dataclass(frozen=True, kw_only=True)
class PlainText(Rows):
    """The text of a whole file.

    Attributes:
        text: its characters, line breaks included.
        path: file of the text, or the name of a text in memory.
    """

    text: str
    path: Path | str

    def rows(self) -> Iterator[tuple[str]]:
        yield (self.text,)


def load_plain_text(path: str | Path | PlainText) -> PlainText:
    """Reads a text file, plain or `.gz`; a `PlainText` is returned as it is.

    LF ends each line of what is returned, see `plain_lines`.

    Raises:
        FileNotFoundError: if there is no such file.
        InputError: if the file is empty, not UTF-8, or its gzip data is damaged.
    """
    if isinstance(path, PlainText):
        return path
    path = Path(path)
    text = plain_lines(read_text(path))
    if not text.strip():
        raise InputError(f"{path}: expected text to learn from, the file is empty.")
    return PlainText(text=text, path=path)


def line_ids(lines: Iterable[str], tokenizer: Tokenizer) -> list[int]:
    """Returns the ids of lines, each that is not blank with [SEP] at its end."""
    rows = tokenizer.pieces([line for line in lines if line.strip()])
    return [i for row in rows for i in (*row, tokenizer.sep_id)]


def token_stream(plain: PlainText, tokenizer: Tokenizer) -> np.ndarray:
    """Returns the token ids (N,) of a whole text.

    Tokenizers of characters and bytes encode line breaks; with others, each line that is not blank
    ends with [SEP].

    Raises:
        InputError: if there are fewer than two tokens, so that there is nothing to predict.
    """
    if tokenizer.config.keeps_lines:
        [found] = tokenizer.pieces([plain.text])
    else:
        found = line_ids(plain.text.split("\n"), tokenizer)
    ids = np.array(found, "int32")
    if len(ids) < 2:
        raise InputError(f"{plain.path}: expected at least two tokens, got {len(ids)}.")
    return ids


def blocks(stream: np.ndarray, length: int) -> list[np.ndarray]:
    """Cuts a stream into blocks of `length + 1` ids, which overlap by one id."""
    starts = range(0, len(stream) - 1, length)
    return [stream[start : start + length + 1] for start in starts]
