"""Windows: the ids that a model reads of a row's words, and where each word begins in them.

Each word is encoded by itself. With tokenizers that write spaces as text (bytes, characters, byte
BPE) a space precedes it; those of SentencePiece put their own before it. The first piece of a word
stands for it: there its tag is learned and predicted.

A row of more pieces than the model reads has several windows of whole words, which overlap by a
quarter, or by the stride that the model was trained with. A word in two of them is read in the one
where it is further from the edge.
"""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from keras_transformer.zoo.errors import InputError
from keras_transformer.zoo.tagging.words import Words
from keras_transformer.zoo.tokenizers.tokenizer import Tokenizer

# Share of a window that the next one repeats.
OVERLAP = 0.25
_WRITES_SPACES = ("bpe", "bytes", "characters")


class Window(NamedTuple):
    """A part of a row.

    Attributes:
        row: number of the row.
        ids: (T,) int32, special tokens included.
        words: (n,) numbers of the words that are read here.
        positions: (n,) positions of their first pieces.
    """

    row: int
    ids: np.ndarray
    words: np.ndarray
    positions: np.ndarray


class TagOutputs(NamedTuple):
    """A model's outputs for the words of rows.

    Attributes:
        scores: logits (words, tags) of each row; 0 for a word that the model does not read.
        is_read: (words,) of each row: whether the model reads the word. It does not where the
            tokenizer leaves nothing of it.
        rows: the words.
        truncated: for each row, whether a word of it is longer than the model and was cut.
    """

    scores: list[np.ndarray]
    is_read: list[np.ndarray]
    rows: list[Words]
    truncated: list[bool]


class Windows(NamedTuple):
    """The windows of several rows.

    Attributes:
        windows: windows, row by row.
        rows: the words.
        truncated: for each row, whether a word of it is longer than the model and was cut.
    """

    windows: list[Window]
    rows: list[Words]
    truncated: list[bool]

    @property
    def columns(self) -> dict[str, list[np.ndarray]]:
        """The model's inputs: the ids (T,) of each window."""
        return {"ids": [window.ids for window in self.windows]}

    @property
    def num_split(self) -> int:
        """Number of rows of several windows."""
        counts = np.bincount([window.row for window in self.windows], minlength=1)
        return int((counts > 1).sum())

    @property
    def num_unread(self) -> int:
        """Number of words that the tokenizer leaves nothing of."""
        return sum(len(row.places) for row in self.rows) - sum(
            len(window.words) for window in self.windows
        )

    def outputs(self, outputs: Sequence[np.ndarray], units: int) -> TagOutputs:
        """Returns the outputs of the words.

        Args:
            outputs: a model's outputs (T or more, units) for each window.
            units: number of tags.
        """
        scores = [np.zeros((len(row.places), units), "float32") for row in self.rows]
        is_read = [np.zeros(len(row.places), bool) for row in self.rows]
        for window, values in zip(self.windows, outputs, strict=True):
            scores[window.row][window.words] = values[window.positions]
            is_read[window.row][window.words] = True
        return TagOutputs(scores, is_read, self.rows, self.truncated)

    def targets(self, tags: Sequence[np.ndarray], nothing: int) -> list[np.ndarray]:
        """Returns the targets (T,) of each window, `nothing` where no word begins.

        Args:
            tags: indices (words,) of each row.
            nothing: value of a position without a target.
        """
        found = []
        for window in self.windows:
            targets = np.full(len(window.ids), nothing, np.int32)
            targets[window.positions] = tags[window.row][window.words]
            found.append(targets)
        return found


def windows_of(
    tokenizer: Tokenizer, rows: Sequence[Words], max_length: int, stride: int = 0
) -> Windows:
    """Encodes the words of rows.

    Args:
        tokenizer: tokenizer of the model.
        rows: rows; one without words has no window.
        max_length: maximum number of tokens of a window, special tokens included.
        stride: number of tokens that neighbouring windows have in common, rounded down to whole
            words; 0 for a quarter of a window.

    Raises:
        InputError: if nothing but special tokens fits in, or the stride leaves no room.
    """
    before, _, after = tokenizer.single_frame
    room = max_length - len(before) - len(after)
    if room < 1:
        raise InputError(
            f"Expected max_length to be at least {1 + len(before) + len(after)}, "
            f"got max_length={max_length}."
        )
    check_stride(stride, room, max_length)
    lead = lead_of_words(tokenizer)
    windows, truncated = [], []
    for number, row in enumerate(rows):
        pieces = tokenizer.pieces([lead + word for word in row.words])
        truncated.append(any(len(ids) > room for ids in pieces))
        pieces = [ids[:room] for ids in pieces]
        ends = np.cumsum([len(ids) for ids in pieces], dtype=np.int64)
        starts = ends - [len(ids) for ids in pieces]
        is_real = ends > starts
        ranges = word_ranges(starts, ends, room, stride)
        owners = _owners(starts, ends, ranges)
        for place, (first, end) in enumerate(ranges):
            ids = [i for word in pieces[first:end] for i in word]
            words = np.flatnonzero((owners == place) & is_real)
            positions = len(before) + starts[words] - starts[first]
            array = np.array([*before, *ids, *after], np.int32)
            windows.append(Window(number, array, words, positions))
    return Windows(windows, list(rows), truncated)


def lead_of_words(tokenizer: Tokenizer) -> str:
    """Returns what precedes each word when it is encoded by itself."""
    config = tokenizer.config
    has_own = config.kind not in _WRITES_SPACES and config.prefix_space is not False
    return "" if has_own else " "


def stride_of(task: Mapping[str, Any]) -> int:
    """Returns the stride of a task as JSON, see `windows_of`.

    Raises:
        InputError: if it is no number of tokens.
    """
    stride = task.get("stride", 0)
    if type(stride) is not int or not 0 <= stride < 2**31:
        raise InputError(
            f"Expected stride to be a number of tokens, or 0 for a quarter of a window, got "
            f"stride={stride!r}."
        )
    return stride


def check_stride(stride: int, room: int, max_length: int) -> None:
    """Raises InputError if a stride leaves nothing of the room for other tokens."""
    if stride >= room:
        raise InputError(
            f"Expected stride to be below {room}, the tokens of a text that a window of "
            f"max_length={max_length} has room for, got stride={stride}."
        )


def word_ranges(
    starts: np.ndarray, ends: np.ndarray, room: int, stride: int = 0
) -> list[tuple[int, int]]:
    """Returns the first word of each window, and that behind its last.

    Args:
        starts, ends: ranges (words,) of the words' pieces in a row; none is longer than the room.
        room: number of pieces of a window.
        stride: number of pieces, of whole words, that windows have in common, at most; 0 for a
            quarter.
    """
    found: list[tuple[int, int]] = []
    count = len(starts)
    if not count or not ends[-1]:
        return found
    first = 0
    while True:
        end = int(np.searchsorted(ends, starts[first] + room, side="right"))
        found.append((first, end))
        if end == count:
            return found
        # The first word from which on the window's rest is at most the overlap, and the next word
        # fits in.
        again = max(ends[end - 1] - (stride or int(OVERLAP * room)), ends[end] - room)
        first = max(first + 1, min(int(np.searchsorted(starts, again)), end))


def _owners(starts: np.ndarray, ends: np.ndarray, ranges: Sequence[tuple[int, int]]) -> np.ndarray:
    """The window of each word: where the shorter of its two sides has the most pieces."""
    owners, most = np.full(len(starts), -1), np.full(len(starts), -1.0)
    for place, (first, end) in enumerate(ranges):
        inside = slice(first, end)
        left = starts[inside] - starts[first] if first else np.inf
        right = ends[end - 1] - ends[inside] if end < len(starts) else np.inf
        context = np.minimum(left, right) + np.zeros(end - first)
        better = context > most[inside]
        owners[inside] = np.where(better, place, owners[inside])
        most[inside] = np.where(better, context, most[inside])
    return owners
