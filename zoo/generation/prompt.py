"""Prompts: their ids, cut as the training text was, and the text that new ids add to them."""

from collections.abc import Sequence
from typing import NamedTuple

from keras_transformer.zoo.data.plain_text import line_ids
from keras_transformer.zoo.data.text_files import plain_lines
from keras_transformer.zoo.tokenizers.normalizers.normalize import is_white
from keras_transformer.zoo.tokenizers.piece_list import BYTE_PIECES, CONTINUATION
from keras_transformer.zoo.tokenizers.pieces import WordPieces
from keras_transformer.zoo.tokenizers.tokenizer import Tokenizer
from keras_transformer.zoo.tokenizers.unigram import SPACE, Unigram

_LINE_BREAK_BYTES = (BYTE_PIECES[ord("\n")], BYTE_PIECES[ord("\r")])


class Prompt(NamedTuple):
    """A text to go on from.

    Attributes:
        ids: of the whole text.
        line: those of them that new ids are decoded with: of its last line, where lines end in
            [SEP]; none where every id has its text by itself.
        after_space: whether the last line ends in a space behind a word, so that the next token
            begins another one.
    """

    ids: list[int]
    line: list[int]
    after_space: bool


def read_prompt(text: str, tokenizer: Tokenizer) -> Prompt:
    """Returns the ids of a prompt, as `token_stream` gives those of the training text.

    Where lines end in [SEP], it precedes the first line too, and the last one is left open.
    """
    text = plain_lines(text)
    if tokenizer.config.keeps_lines:
        [ids] = tokenizer.pieces([text])
        if not tokenizer.config.ends_texts:
            return Prompt(ids, [], False)
        # A published decoder's own first token. Only bytes have their text by themselves.
        line = [] if tokenizer.config.kind == "bpe" else ids
        return Prompt([*tokenizer.single_frame.before, *ids], line, False)
    *whole, last = text.split("\n")
    line, ends_in_space = [], bool(last.strip()) and _ends_in_space(last, tokenizer)
    if last.strip():
        # The space is that of the word behind it.
        [line] = tokenizer.pieces([last[:-1] if ends_in_space else last])
    ids = [tokenizer.sep_id, *line_ids(whole, tokenizer), *line]
    return Prompt(ids, line, bool(line) and ends_in_space)


class Continuation:
    """What new ids add to a prompt: their text, decoded together with what precedes them.

    Word pieces and sentencepiece do not have their text by themselves: whether a space comes
    before a piece depends on what it follows. A prompt's own text stays as the user wrote it.

    Args:
        tokenizer: of the prompt and the new ids.
        prompt: that is continued; None for a text of its own, such as a translation.
    """

    def __init__(self, tokenizer: Tokenizer, prompt: Prompt | None = None):
        self._tokenizer = tokenizer
        self._line = prompt.line if prompt else []
        # The model's and not the tokenizer's text: an unknown word has its place too.
        self._length = len(tokenizer.model.text(self._line))
        self._after_space = prompt is not None and prompt.after_space

    def text(self, ids: Sequence[int]) -> str:
        """Returns the text that ids (N,) add."""
        if not self._line:
            return self._tokenizer.decode(ids)
        added = self._tokenizer.model.text([*self._line, *ids])[self._length :]
        return added.removeprefix(" ") if self._after_space else added


def continuing_ids(tokenizer: Tokenizer) -> list[int]:
    """Returns the ids of pieces that go on with a word, as none does behind a space."""
    pieces, special = tokenizer.vocabulary.pieces, tokenizer.config.special.names
    if isinstance(tokenizer.model, WordPieces):
        found = [piece.startswith(CONTINUATION) and piece != CONTINUATION for piece in pieces]
    elif isinstance(tokenizer.model, Unigram):
        found = [piece not in special and not piece.startswith(SPACE) for piece in pieces]
    else:
        found = []
    return [i for i, continues in enumerate(found) if continues]


def writes_line_breaks(tokenizer: Tokenizer, *, reads_sources: bool) -> bool:
    """Whether what is written may hold line breaks, as the text that was learned may.

    Args:
        tokenizer: of what is written.
        reads_sources: whether that is a target, which is learned whole and not line by line.
    """
    config = tokenizer.config
    is_exact = isinstance(tokenizer.model, Unigram) and config.normalization == "identity"
    return config.keeps_lines or (reads_sources and is_exact)


def line_break_ids(tokenizer: Tokenizer) -> list[int]:
    """Returns the ids of line breaks: bytes by themselves, and pieces that hold one."""
    found = []
    for i, piece in enumerate(tokenizer.vocabulary.pieces):
        if piece in _LINE_BREAK_BYTES or any(end in piece for end in "\n\r\x85"):
            found.append(i)
    return found


def _ends_in_space(line: str, tokenizer: Tokenizer) -> bool:
    if not isinstance(tokenizer.model, Unigram):
        return is_white(line[-1])
    split = tokenizer.model.split
    return split(f"{line}a")[-1:] == split("a")
