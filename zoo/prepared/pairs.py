"""Encoding of pairs of source and target texts."""

import dataclasses
import functools
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from keras_transformer.zoo.data.batches import NO_TARGET
from keras_transformer.zoo.data.pairs import SentencePairs
from keras_transformer.zoo.modalities.modality import InputSpec
from keras_transformer.zoo.modalities.text import Text
from keras_transformer.zoo.prepared.encode import Job, hashes
from keras_transformer.zoo.tokenizers.target_language import encode_sources
from keras_transformer.zoo.tokenizers.tokenizer import Tokenizer

# What `EncodePairs` returns of each row.
PAIR_SPECS = (
    InputSpec(name="source_ids"), InputSpec(name="ids"),
    InputSpec(name="targets", padding=NO_TARGET),
)


@dataclasses.dataclass(frozen=True)
class EncodePairs(Job):
    """Encodes pairs for teacher forcing, see `encode_pairs`.

    Attributes:
        files: of the `Text` of both tokenizers.
        max_length: see `encode_pairs`.
        vocab_size: see `Job`.
    """

    files: Mapping[str, bytes]
    max_length: int
    vocab_size: int

    @functools.cached_property
    def _text(self) -> Text:
        return Text.from_files(self.files, max_length=self.max_length, settings={})

    def encode(self, *columns: list[str]) -> tuple[dict[str, list[np.ndarray]], list[bool]]:
        sources, targets = columns
        pairs = SentencePairs(sources=sources, targets=targets, path="")
        read, written, cut = encode_pairs(
            pairs, self._text.tokenizer, self._text.target_tokenizer or self._text.tokenizer,
            self.max_length,
        )
        return {**read, "targets": written}, cut

    def key(self) -> Any:
        return [self.max_length, hashes(self.files)]


def encode_pairs(
    pairs: SentencePairs,
    source: Tokenizer,
    target: Tokenizer,
    max_length: int,
    known: Sequence[str] = (),
) -> tuple[dict[str, list[np.ndarray]], list[np.ndarray], list[bool]]:
    """Encodes pairs for teacher forcing.

    Args:
        pairs: pairs to encode.
        source, target: tokenizers.
        max_length: maximum number of tokens of a source and of a target, [SEP] included; longer
            ones are truncated.
        known: target languages, if there are several.

    Returns:
        The columns `source_ids` (a source and [SEP]) and `ids` ([CLS] and a target), the targets
        (a target and [SEP]), and for each row whether either side was truncated.
    """
    read = encode_sources(source, pairs.sources, max_length, known, pairs.languages)
    # [CLS] adds no position: [SEP] is predicted where the last token is read.
    written = target.encode_sequences(pairs.targets, max_length=max_length + 1, begin=True)
    columns = {"source_ids": read.ids, "ids": [row[:-1] for row in written.ids]}
    cut = [bool(a or b) for a, b in zip(read.truncated, written.truncated, strict=True)]
    return columns, [row[1:] for row in written.ids], cut
