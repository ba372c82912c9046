"""Texts that end what is generated, found in what was decoded."""

import re
from collections.abc import Callable, Collection

from keras_transformer.zoo.errors import InputError
from keras_transformer.zoo.generation.prompt import Continuation, Prompt, writes_line_breaks
from keras_transformer.zoo.tokenizers.normalizers.normalize import is_white
from keras_transformer.zoo.tokenizers.piece_list import CONTINUATION
from keras_transformer.zoo.tokenizers.pieces import WordPieces, spaced
from keras_transformer.zoo.tokenizers.tokenizer import Tokenizer
from keras_transformer.zoo.tokenizers.unigram import Unigram


class Stops:
    """Finds the first stop text in a generated text.

    Args:
        texts: that end a text, of any number of tokens. They are folded and spaced as the
            tokenizer writes them. Where no line break is written, one by itself is left out: a
            line's end ends a text anyway.
        tokenizer: of what is written.
        reads_sources: whether that is a translation.

    Attributes:
        texts: as they are written.
        ids: of tokens that hold one by themselves.

    Raises:
        InputError: for a text that is empty, of several lines where the model writes one, or that
            the vocabulary does not have.
    """

    def __init__(
        self, texts: Collection[str], tokenizer: Tokenizer, *, reads_sources: bool = False
    ):
        config = tokenizer.config
        has_lines = writes_line_breaks(tokenizer, reads_sources=reads_sources)
        if not has_lines:
            texts = [text for text in texts if not text or text.strip("\r\n\x85")]
        if not reads_sources:
            # Lines end as in prompts and in the training text; targets hold what they hold.
            texts = [re.sub("\r\n|\r|\x85", "\n", text) for text in texts]
        self.texts = [_written(text, tokenizer, has_lines=has_lines) for text in texts]
        self.ids: list[int] = []
        if self.texts:
            special = tokenizer.special_ids
            by_themselves = config.keeps_lines and config.kind != "sentencepiece_bpe"
            words = Prompt([], [] if by_themselves else [tokenizer.unk_id], False)
            inside = Continuation(tokenizer, words)
            self.ids = [
                i for i in range(tokenizer.vocab_size)
                if i not in special and self.end(inside.text([i])) is not None
            ]  # fmt: skip

    def __bool__(self) -> bool:
        return bool(self.texts)

    def end(self, text: str) -> int | None:
        """Returns where a stop text begins: the one that is complete first; None for none."""
        found = ((text.find(stop), len(stop)) for stop in self.texts)
        ends = ((place + length, place) for place, length in found if place >= 0)
        return min(ends, default=(None, None))[1]

    def cut(self, text: str) -> str:
        """Returns the text before the first stop text."""
        return text[: self.end(text)]

    def settled(self, text: str) -> str:
        """Returns a text without its end where that may be the beginning of a stop text."""
        longest = max(map(len, self.texts), default=1)
        for start in range(max(0, len(text) - longest + 1), len(text)):
            if any(stop.startswith(text[start:]) for stop in self.texts):
                return text[:start]
        return text


def _written(text: str, tokenizer: Tokenizer, *, has_lines: bool) -> str:
    """Returns a stop text as the tokenizer writes it."""
    if not text:
        raise InputError("Expected a stop text of at least one character, got ''.")
    config, model = tokenizer.config, tokenizer.model
    if not has_lines and re.search("[\n\r\x85]", text):
        raise InputError(
            f"Expected a stop text of one line, which is all that the model writes, got {text!r}."
        )
    if isinstance(model, WordPieces):
        words = " ".join(model.split(text))
        _check_words(words, text)
        written = spaced(_with_ends(words, text, is_white))
        pieces = set(model.piece_ids) - set(config.special.names)
        letters = (c for piece in pieces for c in piece.removeprefix(CONTINUATION))
        known: set[str] | None = {" ", *letters}
    elif isinstance(model, Unigram):
        words, known = model.normalize(text), None
        _check_words(words, text)
        written = _with_ends(words, text, str.isspace)
    else:
        written = model.fold(text)
        known = set(model.piece_ids) if config.kind == "characters" else None
    if not written or (known is not None and not set(written) <= known):
        raise InputError(f"Expected a stop text that the vocabulary has, got {text!r}.")
    return written


def _check_words(words: str, text: str) -> None:
    """Raises InputError for white space and format characters that are not written as they are."""
    if not words and text != " ":
        raise InputError(
            f"Expected a stop text that the model can write, got {text!r}: it writes words, with "
            "one space between two."
        )


def _with_ends(words: str, text: str, white: Callable[[str], bool]) -> str:
    """Returns words with a space where the text has white space before and behind them."""
    before = " " * (white(text[0]) and not words[:1].isspace())
    behind = " " * (white(text[-1]) and bool(words) and not words[-1].isspace())
    return before + words + behind
