"""Text generation: translation and continuation, with a Keras model or a `.tflite` file."""

from collections.abc import Callable, Collection, Iterable, Sequence
from typing import Any, NamedTuple, Protocol

import numpy as np

from keras_transformer.zoo.errors import InputError
from keras_transformer.zoo.generation.decoding import Decoding, Generated, Steps
from keras_transformer.zoo.generation.loop import generate
from keras_transformer.zoo.modalities.raw_texts import checked_texts
from keras_transformer.zoo.tokenizers.piece_list import SPECIAL_TOKENS
from keras_transformer.zoo.tokenizers.target_language import check_language, encode_sources
from keras_transformer.zoo.tokenizers.tokenizer import Tokenizer

# Decoded in place of an incomplete character.
_REPLACEMENT = "\ufffd"


class Model(Steps, Protocol):
    """The interface of a model for text generation: reading a source or prompt, and the steps.

    Attributes:
        source_length: maximum number of tokens of a source (encoder-decoder).
        cache_length: number of positions of the cache, the tokens that can be fed.
        batch_size: number of rows that it reads at once.
    """

    source_length: int
    cache_length: int
    batch_size: int

    def encode(self, sources: Sequence[np.ndarray]) -> Any:
        """Returns the cache of sources, each an int32 array of ids (encoder-decoder)."""

    def prefill(self, prompts: np.ndarray) -> Any:
        """Returns the cache of prompts (B, P) of one length; P may be 0 (decoder)."""


class Generation(NamedTuple):
    """One text's result.

    Attributes:
        text: generated text.
        log_probability: log probability of its tokens, see `Generated`.
        finished: whether a stop token ended it rather than a limit.
        truncated: whether the source was truncated to the model's length.
    """

    text: str
    log_probability: float
    finished: bool
    truncated: bool


class TextGenerator:
    """Translates texts or continues prompts.

    Args:
        model: model, behind its interface for text generation.
        tokenizer: tokenizer of the input.
        target_tokenizer: tokenizer of the output, if it differs.
        languages: target languages of a multilingual translator.
        reads_sources: whether it generates a target for a source rather than continuing a prompt.
    """

    def __init__(
        self, model: Model, tokenizer: Tokenizer,
        target_tokenizer: Tokenizer | None = None, languages: Sequence[str] = (), *,
        reads_sources: bool,
    ):  # fmt: skip
        self.model = model
        self.reads_sources = reads_sources
        self.tokenizer = tokenizer
        self.writer = target_tokenizer or tokenizer
        self.languages = languages

    def generate(
        self,
        texts: Iterable[str],
        *,
        stop: Collection[str] = (),
        language: str | None = None,
        on_text: Callable[[int, str], None] | None = None,
        **decoding: Any,
    ) -> list[Generation]:
        """Generates the translation or the continuation of each text.

        Args:
            texts: sources or prompts.
            stop: texts of one token each that end a row, in addition to the model's own end token.
            language: target language, of a multilingual translator.
            on_text: callback on_text(row, piece of text), called as soon as a piece is complete.
            **decoding: decoding options, see `Decoding`; greedy by default.

        Raises:
            InputError: if texts are a single string, a source is empty, a prompt is longer than the
                cache, a stop text has several tokens, the language is unknown, or the decoding
                options do not fit.
            TypeError: if texts are not a sequence of strings, or an option is unknown.
        """
        texts = checked_texts(texts)
        choice = Decoding.of(**decoding)
        check_language(self.languages, language)
        stops = {self._stop_id(text) for text in stop}
        if self.reads_sources or not self.writer.config.keeps_lines:
            stops.add(self.writer.sep_id)
        # Ids beyond the tokenizer's are languages, which occur in the input only.
        languages = range(self.writer.vocab_size, self.model.vocab_size)
        forbidden = {*range(len(SPECIAL_TOKENS)), *languages} - stops
        results: dict[int, Generation] = {}
        rows = self._sources(texts, language) if self.reads_sources else self._prompts(texts)
        for group in self._groups([ids for ids, _ in rows]):
            ids = [rows[row][0] for row in group]
            stream = None
            if on_text is not None:
                stream = _Stream(self.writer, group, on_text)
            # Rows are seeded by their index among all texts, whatever the model's batches.
            options: dict[str, Any] = {
                "stop_ids": stops, "forbidden_ids": forbidden, "on_token": stream,
                "numbers": group,
            }  # fmt: skip
            if self.reads_sources:
                cache = self.model.encode(ids)
                first = np.full(len(group), self.writer.cls_id, np.int32)
                room = self.model.cache_length
            else:
                prompts = np.stack(ids)
                cache, first = self.model.prefill(prompts[:, :-1]), prompts[:, -1]
                options["prompts"] = list(prompts[:, :-1])
                room = self.model.cache_length - prompts.shape[1] + 1
            made = generate(self.model, cache, first, choice, max_tokens=room, **options)
            for place, (row, one) in enumerate(zip(group, made, strict=True)):
                results[row] = self._generation(one, rows[row][1])
                if stream is not None:
                    stream.tell(place, results[row].text)
        return [results[row] for row in range(len(texts))]

    def _sources(self, texts: Sequence[str], language: str | None) -> list[tuple[np.ndarray, bool]]:
        """Ids of each source, and whether it was truncated."""
        for row, text in enumerate(texts, start=1):
            if not text.strip():
                raise InputError(f"Expected text {row} to hold something to read, got {text!r}.")
        languages = [] if language is None else [language] * len(texts)
        encoded = encode_sources(
            self.tokenizer, texts, self.model.source_length, self.languages, languages
        )
        return list(zip(encoded.ids, encoded.truncated, strict=True))

    def _prompts(self, texts: Sequence[str]) -> list[tuple[np.ndarray, bool]]:
        """Ids of each prompt."""
        rows = []
        # Where lines end with [SEP], it precedes the first token of a line.
        before = [] if self.tokenizer.config.keeps_lines else [self.tokenizer.sep_id]
        for row, pieces in enumerate(self.tokenizer.pieces(texts), start=1):
            ids = np.array(before + pieces, np.int32)
            if not len(ids):
                raise InputError(f"Expected prompt {row} to hold a token to go on from, got none.")
            if len(ids) > self.model.cache_length:
                raise InputError(
                    f"Expected prompt {row} to have at most the {self.model.cache_length} tokens "
                    f"of the model's cache, got {len(ids)}; shorten it."
                )
            rows.append((ids, False))
        return rows

    def _groups(self, rows: Sequence[np.ndarray]) -> list[list[int]]:
        """Indices of the rows of each batch: prompts of one length, sources of similar length."""
        order = sorted(range(len(rows)), key=lambda row: len(rows[row]))
        groups: list[list[int]] = []
        for row in order:
            last = groups[-1] if groups else []
            fits = 0 < len(last) < self.model.batch_size
            if fits and (self.reads_sources or len(rows[last[0]]) == len(rows[row])):
                last.append(row)
            else:
                groups.append([row])
        return groups

    def _generation(self, made: Generated, truncated: bool) -> Generation:
        text = self.writer.decode(made.ids.tolist())
        return Generation(text, made.log_probability, made.finished, truncated)

    def _stop_id(self, text: str) -> int:
        ids = self.writer.pieces([text])[0]
        if len(ids) != 1:
            raise InputError(
                f"Expected a stop text of one token, got {text!r} of {len(ids)} tokens."
            )
        if ids[0] == self.writer.unk_id:
            raise InputError(f"Expected a stop text that the vocabulary has, got {text!r}.")
        return ids[0]


class _Stream:
    """Receives tokens, and passes on the text that each adds."""

    def __init__(
        self, writer: Tokenizer, rows: Sequence[int], on_text: Callable[[int, str], None]
    ):
        self.writer = writer
        self.rows = rows
        self.on_text = on_text
        self.ids: dict[int, list[int]] = {}
        self.told: dict[int, str] = {}

    def __call__(self, row: int, token: int) -> None:
        ids = self.ids.setdefault(row, [])
        ids.append(token)
        text = self.writer.decode(ids)
        # A character is passed on only with its last byte.
        if not text.endswith(_REPLACEMENT):
            self.tell(row, text)

    def tell(self, row: int, text: str) -> None:
        """Passes on the part of a row's text that was not passed on before."""
        told = self.told.get(row, "")
        # Text that was passed on cannot change, so a text that a token changed earlier waits.
        if text != told and text.startswith(told):
            self.told[row] = text
            self.on_text(self.rows[row], text[len(told) :])
