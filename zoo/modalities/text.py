"""The text modality: one or two strings per row, encoded as ids by tokenizers."""

import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, ClassVar, Self

import numpy as np

from keras_transformer.zoo.chat import chat as chats
from keras_transformer.zoo.errors import InputError
from keras_transformer.zoo.modalities.modality import (
    Features,
    InputSpec,
    Modality,
    check_settings,
)
from keras_transformer.zoo.modalities.raw_texts import checked_pairs, checked_texts
from keras_transformer.zoo.tokenizers.tokenizer import Tokenizer
from keras_transformer.zoo.tokenizers.tokenizer_files import (
    FILE_NAMES,
    tokenizers_from_files,
    tokenizers_to_files,
)

# Id of padding after the end of a text.
PAD_ID = 0


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Text(Modality):
    """Strings as token ids of a vocabulary; id 0 is padding.

    A model over whole texts reads `ids`, and for pairs `segment_ids`, 1 for the second text, unless
    the tokenizer has no segments.

    Attributes:
        tokenizer: tokenizer of the input.
        target_tokenizer: tokenizer of the output, if it differs.
        chat: how a model of conversations reads them; None for any other.
        may_be_blank: whether a text of white space is one.
    """

    tokenizer: Tokenizer
    target_tokenizer: Tokenizer | None = None
    chat: chats.Chat | None = None
    may_be_blank: bool = True

    name: ClassVar[str] = "text"
    rows: ClassVar[str] = "texts"
    one: ClassVar[str] = "a text"
    example: ClassVar[str] = '"a text"'
    is_text: ClassVar[bool] = True
    architectures: ClassVar[tuple[str, ...]] = ("encoder", "decoder", "encoder-decoder")

    @classmethod
    def specs(cls, settings: Mapping[str, Any], *, pair: bool = False) -> tuple[InputSpec, ...]:
        check_settings(cls.name, settings, ())
        ids = InputSpec(name="ids", padding=PAD_ID)
        return (ids, InputSpec(name="segment_ids")) if pair else (ids,)

    @property
    def text(self) -> Self:
        return self

    def inputs(self, *, pair: bool = False) -> tuple[InputSpec, ...]:
        return super().inputs(pair=pair and self.tokenizer.config.special.segments)

    def encode(self, rows: Sequence[str], pairs: Sequence[str] | None = None) -> Features:
        encoded = self.tokenizer.encode(rows, pairs, max_length=self.max_length)
        return Features(encoded.columns, [bool(cut) for cut in encoded.truncated])

    def checked(
        self, rows: Iterable[str], pairs: Iterable[str] | None = None
    ) -> tuple[list[str], list[str] | None]:
        texts = checked_texts(rows)
        for place, text in enumerate(texts if not self.may_be_blank else (), start=1):
            if not text.strip():
                raise InputError(f"Expected a text in each row, got {text!r} in place {place}.")
        return texts, None if pairs is None else checked_pairs(texts, pairs)

    def beside(self, arrays: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Returns the further inputs of hosts for BERT: the attention mask and the segment ids."""
        ids = arrays["ids"]
        return {"mask": (ids != PAD_ID).astype("int32"), "segment_ids": np.zeros_like(ids)}

    def unknown(
        self, rows: Sequence[str], pairs: Sequence[str] | None = None
    ) -> list[float] | None:
        """Returns the share of each row's tokens that are [UNK]; 0 for a row of none.

        Args:
            rows, pairs: see `encode`.

        Returns:
            The shares, or None for a tokenizer without unknown tokens.
        """
        if not self.tokenizer.config.has_unknown:
            return None
        ids = self.tokenizer.pieces(rows)
        if pairs is not None:
            second = self.tokenizer.pieces(pairs)
            ids = [[*one, *other] for one, other in zip(ids, second, strict=True)]
        return [one.count(self.tokenizer.unk_id) / max(1, len(one)) for one in ids]

    def model_settings(self) -> dict[str, Any]:
        return {"vocab_size": self.tokenizer.vocab_size}

    def misfit(self, config: Mapping[str, Any]) -> str | None:
        return vocabulary_misfit(
            self.tokenizer, config["source_vocab_size"] or config["vocab_size"]
        )

    def files(self) -> dict[str, bytes]:
        files = tokenizers_to_files(self.tokenizer, self.target_tokenizer)
        return files | ({} if self.chat is None else self.chat.to_files())

    @classmethod
    def file_names(cls) -> frozenset[str]:
        return FILE_NAMES | chats.FILE_NAMES

    @classmethod
    def from_files(
        cls, files: Mapping[str, bytes], *, max_length: int, settings: Mapping[str, Any]
    ) -> Self:
        tokenizer, target_tokenizer = tokenizers_from_files(files)
        return cls(
            max_length=max_length, settings=settings, tokenizer=tokenizer,
            target_tokenizer=target_tokenizer, chat=chats.Chat.from_files(files),
        )  # fmt: skip


def vocabulary_misfit(tokenizer: Tokenizer, ids: int) -> str | None:
    """Returns why a table of so many ids does not have a tokenizer's pieces, or None."""
    if tokenizer.pad_id != PAD_ID:
        return f"Expected [PAD] to be id {PAD_ID} of the vocabulary, got {tokenizer.pad_id}."
    if tokenizer.vocab_size > ids:
        return (
            f"Expected a vocabulary of at most the embedding's {ids} ids, got "
            f"{tokenizer.vocab_size} pieces."
        )
    return None
