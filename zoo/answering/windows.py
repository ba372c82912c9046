"""Windows of questions and contexts, and the positions where an answer may begin and end in them.

A context is read word by word, as texts are that are tagged. One that does not fit in beside its
question has several windows, each with the whole question, which overlap by a quarter, or by the
stride that the model was trained with.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from keras_transformer.zoo.errors import InputError
from keras_transformer.zoo.tagging.windows import check_stride, lead_of_words, word_ranges
from keras_transformer.zoo.tagging.words import Words
from keras_transformer.zoo.tokenizers.tokenizer import Tokenizer

# Pieces of a question; what is longer is cut (Devlin et al. 2018).
MOST_OF_A_QUESTION = 64
# Position of the first special token, which stands for no answer.
NOWHERE = 0
# Bits of a target: whether an answer may begin or end at a position, and whether it does.
MAY_BEGIN, MAY_END, BEGINS, ENDS = 1, 2, 4, 8


class QuestionWindow(NamedTuple):
    """A question with a part of its context.

    Attributes:
        row: number of the row.
        ids, segment_ids: (T,) int32, special tokens included.
        words: (n,) numbers of the context's words, ascending.
        starts, ends: (n,) positions of their first and last pieces.
    """

    row: int
    ids: np.ndarray
    segment_ids: np.ndarray
    words: np.ndarray
    starts: np.ndarray
    ends: np.ndarray

    def targets(self, answer: tuple[int, int] | None) -> np.ndarray:
        """Returns the targets (T,), see the bits above.

        Args:
            answer: numbers of an answer's first and last word; None for no answer. One that does
                not lie in the window whole is none here.
        """
        codes = np.zeros(len(self.ids), np.int32)
        codes[NOWHERE] = MAY_BEGIN | MAY_END
        codes[self.starts] |= MAY_BEGIN
        codes[self.ends] |= MAY_END
        begin = end = NOWHERE
        if answer is not None and set(answer) <= set(self.words.tolist()):
            begin = self.starts[np.searchsorted(self.words, answer[0])]
            end = self.ends[np.searchsorted(self.words, answer[1])]
        codes[begin] |= BEGINS
        codes[end] |= ENDS
        return codes


class QuestionWindows(NamedTuple):
    """The windows of several questions.

    Attributes:
        windows: windows, row by row.
        contexts: the words of each row's context.
        truncated: for each row, whether its question or a word of its context was cut.
    """

    windows: list[QuestionWindow]
    contexts: list[Words]
    truncated: list[bool]

    @property
    def columns(self) -> dict[str, list[np.ndarray]]:
        """The rows of the model's inputs by name."""
        return {
            "ids": [window.ids for window in self.windows],
            "segment_ids": [window.segment_ids for window in self.windows],
        }

    @property
    def num_split(self) -> int:
        """Number of rows of several windows."""
        counts = np.bincount([window.row for window in self.windows], minlength=1)
        return int((counts > 1).sum())


def question_windows(
    tokenizer: Tokenizer, questions: Sequence[str], contexts: Sequence[Words], max_length: int,
    stride: int = 0,
) -> QuestionWindows:  # fmt: skip
    """Encodes questions with their contexts.

    Args:
        tokenizer: tokenizer of the model.
        questions: a question for each row.
        contexts: a context for each row; one without words has no window.
        max_length: maximum number of tokens of a window, special tokens included.
        stride: number of tokens of the context that neighbouring windows have in common, rounded
            down to whole words; 0 for a quarter of what it has of a window.

    Raises:
        InputError: if no question and context fit in, or the stride leaves no room beside the
            longest question.
    """
    frame, lead = tokenizer.pair_frame, lead_of_words(tokenizer)
    before, between, after = frame
    if max_length < frame.size + 2:
        raise InputError(
            f"Expected max_length to be at least {frame.size + 2}, got max_length={max_length}."
        )
    whole = max_length - frame.size
    check_stride(stride, whole - min(MOST_OF_A_QUESTION, whole // 2), max_length)
    windows, truncated = [], []
    asked = tokenizer.pieces(questions)
    for number, (question, context) in enumerate(zip(asked, contexts, strict=True)):
        kept = question[: min(MOST_OF_A_QUESTION, whole // 2)]
        head, room = [*before, *kept, *between], whole - len(kept)
        pieces = tokenizer.pieces([lead + word for word in context.words])
        truncated.append(len(kept) < len(question) or any(len(ids) > room for ids in pieces))
        pieces = [ids[:room] for ids in pieces]
        ends = np.cumsum([len(ids) for ids in pieces], dtype=np.int64)
        starts = ends - [len(ids) for ids in pieces]
        for first, end in word_ranges(starts, ends, room, stride):
            ids = [i for word in pieces[first:end] for i in word]
            words = first + np.flatnonzero(ends[first:end] > starts[first:end])
            array = np.array([*head, *ids, *after], np.int32)
            segments = np.zeros_like(array)
            if tokenizer.config.special.segments:
                segments[len(head) :] = 1
            shift = len(head) - starts[first]
            windows.append(
                QuestionWindow(
                    number, array, segments, words, starts[words] + shift, ends[words] - 1 + shift
                )
            )
    return QuestionWindows(windows, list(contexts), truncated)
