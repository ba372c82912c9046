"""SentencePiece's normalization: a table of characters, and "▁" for spaces."""

import re

from keras_transformer.zoo.tokenizers.normalizers.charsmap import Charsmap
from keras_transformer.zoo.tokenizers.normalizers.splitters import WHITE_SPACE
from keras_transformer.zoo.tokenizers.tokenizer_config import TokenizerConfig

SPACE = "\u2581"
_SURROGATES = re.compile("[\ud800-\udfff]")
_SPACES = re.compile(" +")
_WHITE_SPACE = re.compile(f"[{WHITE_SPACE}]+")


class Marker:
    """Normalizes a text and marks its spaces as "▁".

    Args:
        charsmap: table of characters; none unless the normalization is `charsmap`.
        config: settings of a kind of SentencePiece.

    Attributes:
        has_prefix: whether a "▁" precedes each text.

    Raises:
        InputError: if the table is damaged.
    """

    def __init__(self, charsmap: bytes, config: TokenizerConfig):
        self._splitter = config.splitter if config.is_metaspace else None
        self._charsmap = None
        if config.has_charsmap:
            self._charsmap = Charsmap(charsmap, by_cluster=config.is_metaspace)
        self._has_single_spaces = config.single_spaces
        self.has_prefix = bool(config.prefix_space)

    def mark(self, text: str) -> str:
        """Returns the normalized text; empty if there is nothing but removed spaces."""
        if not text.isascii():
            # These have no UTF-8 form.
            text = _SURROGATES.sub("\ufffd", text)
        if self._charsmap is not None:
            text = self._charsmap.normalize(text)
        if self._splitter is not None:
            return self._mark_as_metaspace(text)
        if self._has_single_spaces:
            text = _SPACES.sub(" ", text).strip(" ")
        if not text:
            return ""
        marked = SPACE * self.has_prefix + text.replace(" ", SPACE)
        return marked.rstrip(SPACE) if self._has_single_spaces else marked

    def _mark_as_metaspace(self, text: str) -> str:
        """Marks spaces as `Metaspace` of the `tokenizers` library does.

        A text that begins with a space, or with "▁", has no other before it.
        """
        if self._splitter == "whitespace":
            return "".join(map(_with_mark, _WHITE_SPACE.split(text)))
        if self._splitter == "metaspace_strip":
            text = text.rstrip(WHITE_SPACE)
        if self._has_single_spaces:
            text = _SPACES.sub(" ", text)
        return _with_mark(text.replace(" ", SPACE))


def _with_mark(text: str) -> str:
    return text if not text or text[0] == SPACE else SPACE + text
