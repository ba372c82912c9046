"""Plain text as one stream of tokens, cut into blocks; NumPy only."""

import contextvars
import dataclasses
import os
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path

import numpy as np

from keras_transformer.zoo.columns.addresses import is_remote, public
from keras_transformer.zoo.columns.remote import said_by_address
from keras_transformer.zoo.columns.several_files import check_no_mixture, files_of, is_pattern
from keras_transformer.zoo.columns.texts import Texts
from keras_transformer.zoo.data.rows import Rows, check_share, taken
from keras_transformer.zoo.data.sources import Source, texts_in
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

    @property
    def parts(self) -> Sequence[str]:
        """The text in parts."""
        return [self.text]

    def rows(self) -> Iterator[tuple[str]]:
        yield (self.text,)


class MappedText(PlainText):
    """The text of large files, which is not held in the memory.

    Args:
        lines: its lines, with the line breaks.
        path: file of the text, or the pattern of several.
    """

    def __init__(self, lines: Texts, path: Path | str):
        object.__setattr__(self, "lines", lines)
        object.__setattr__(self, "path", path)

    @property
    def text(self) -> str:
        return "".join(self.lines)

    @property
    def parts(self) -> Texts:
        return self.lines

    def __len__(self) -> int:
        return len(self.lines)

    def take(self, rows: np.ndarray) -> "MappedText":
        """Returns the text of some lines."""
        return MappedText(self.lines.take(rows), self.path)


# Reads the text of large files into other memory than Python's, see `zoo.prepared`.
ReadText = Callable[[str | Path, Sequence[Path]], MappedText | None]
read_large_text: contextvars.ContextVar[ReadText | None] = contextvars.ContextVar(
    "read_large_text", default=None
)


def load_plain_text(path: str | Path | PlainText) -> PlainText:
    """Reads text files, plain or `.gz`, see `files_of`; a `PlainText` is returned as it is.

    LF ends each line of what is returned, see `plain_lines`.

    Raises:
        FileNotFoundError: if there is no such file.
        InputError: if the file is empty, not UTF-8, or its gzip data is damaged.
    """
    if isinstance(path, PlainText):
        return path
    path = public(path)
    check_no_mixture(path, "plain text")
    files, reader = files_of(path), read_large_text.get()
    with said_by_address():
        if reader is not None and (found := reader(path, files)) is not None:
            return found
        texts = [plain_lines(read_text(file)) for file in files]
    # A file's last line is one whether or not a line break ends it.
    ended = [text if not text or text.endswith("\n") else f"{text}\n" for text in texts[:-1]]
    is_as_given = is_pattern(path) or is_remote(path)
    text, path = "".join([*ended, texts[-1]]), path if is_as_given else Path(path)
    if not text.strip():
        raise InputError(f"{path}: expected text, the file is empty.")
    return PlainText(text=text, path=path)


def read_plain(source: Source, name: str) -> PlainText:
    """Reads plain text from a file, or texts in memory, which become lines.

    Args:
        source: path, `PlainText` or texts.
        name: name of texts in memory.

    Raises:
        FileNotFoundError, InputError: see `load_plain_text`.
    """
    if isinstance(source, str | os.PathLike | PlainText):
        return load_plain_text(source)
    text = plain_lines("".join(f"{text}\n" for text in texts_in(source, name)))
    if not text.strip():
        raise InputError(f"{name}: expected text to learn from, got only blanks.")
    return PlainText(text=text, path=name)


def split_plain(plain: PlainText, share: float) -> tuple[PlainText, PlainText]:
    """Splits a text in two at the start of a line; the second part is its end.

    Args:
        plain: the text.
        share: share of the second part.

    Raises:
        InputError: if the share is not between 0 and 1, or leaves a part without a line.
    """
    check_share(share)
    is_mapped = isinstance(plain, MappedText)
    lines = plain.lines if is_mapped else re.findall(r"[^\n]*\n|[^\n]+", plain.text)
    ends = np.cumsum([len(line) for line in lines])
    # The start of the line nearest to the share.
    distances = np.abs(ends - (1 - share) * ends[-1])
    first = int(distances[: max(1, len(lines) - 1)].argmin()) + 1
    order = np.arange(len(lines))
    parts = [taken(lines, rows) for rows in (order[:first], order[first:])]
    if not all(any(map(str.strip, part)) for part in parts):
        raise InputError(
            "Expected validation to be a share of the training data that holds a line, "
            f"got validation={share} of {len(lines)} lines."
        )
    one, other = (
        MappedText(part, plain.path) if is_mapped else
        dataclasses.replace(plain, text="".join(part)) for part in parts
    )  # fmt: skip
    return one, other


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
