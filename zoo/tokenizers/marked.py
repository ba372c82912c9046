"""SentencePiece's normalization: a table of characters, and "▁" for spaces."""

import re

from keras_transformer.zoo.tokenizers.normalizers.charsmap import Charsmap
from keras_transformer.zoo.tokenizers.tokenizer_config import TokenizerConfig

SPACE = "\u2581"
_SURROGATES = re.compile("[\ud800-\udfff]")
_SPACES = re.compile(" +")


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
        self._charsmap = Charsmap(charsmap) if config.has_charsmap else None
        self._has_single_spaces = config.single_spaces
        self.has_prefix = bool(config.prefix_space)

    def mark(self, text: str) -> str:
        """Returns the normalized text; empty if there is nothing but removed spaces."""
        if not text.isascii():
            # These have no UTF-8 form.
            text = _SURROGATES.sub("\ufffd", text)
        if self._charsmap is not None:
            text = self._charsmap.normalize(text)
        if self._has_single_spaces:
            text = _SPACES.sub(" ", text).strip(" ")
        if not text:
            return ""
        marked = SPACE * self.has_prefix + text.replace(" ", SPACE)
        return marked.rstrip(SPACE) if self._has_single_spaces else marked
