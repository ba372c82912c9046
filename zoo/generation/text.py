"""Text generation: translation and continuation, with a Keras model or a `.tflite` file."""

from collections.abc import Callable, Collection, Iterable, Sequence
from typing import Any, NamedTuple, Protocol

import numpy as np

from keras_transformer.zoo.errors import InputError
from keras_transformer.zoo.generation.decoding import Decoding, Steps
from keras_transformer.zoo.generation.loop import generate
from keras_transformer.zoo.generation.prompt import (
    Continuation,
    Prompt,
    continuing_ids,
    line_break_ids,
    read_prompt,
    writes_line_breaks,
)
from keras_transformer.zoo.generation.stops import Stops
from keras_transformer.zoo.modalities.raw_texts import checked_texts
from keras_transformer.zoo.tokenizers.target_language import check_language, encode_sources
from keras_transformer.zoo.tokenizers.tokenizer import Encoded, Tokenizer

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
        text: what was generated: the translation, or what a prompt and it are joined from, with
            the space between them if there is one.
        log_probability: of its tokens, see `Generated`.
        finished: whether the model or a stop text ended it, rather than a limit.
        truncated: whether the source was cut to the model's length.
    """

    text: str
    log_probability: float
    finished: bool
    truncated: bool


def in_turn(function: Callable[[list[int]], None], items: Sequence[list[int]]) -> None:
    """Applies a function to one item after the other."""
    for item in items:
        function(item)


Each = Callable[[Callable[[list[int]], None], Sequence[list[int]]], object]


class TextGenerator:
    """Translates texts or continues prompts.

    Args:
        model: model, behind its interface for text generation.
        tokenizer: tokenizer of the input.
        target_tokenizer: tokenizer of the output, if it differs.
        languages: target languages of a multilingual translator.
        reads_sources: whether it generates a target for a source rather than continuing a prompt.
        each: applies a function to the groups of texts that it is to write, by their places; to
            all, one after the other, by default.
    """

    def __init__(
        self, model: Model, tokenizer: Tokenizer,
        target_tokenizer: Tokenizer | None = None, languages: Sequence[str] = (), *,
        reads_sources: bool, each: Each = in_turn,
    ):  # fmt: skip
        self.model = model
        self._each = each
        self.reads_sources = reads_sources
        self.tokenizer = tokenizer
        self.writer = target_tokenizer or tokenizer
        self.languages = languages
        # Ids past the tokenizer's are languages, which are only read.
        self._unwritten = {
            *self.writer.special_ids, *range(self.writer.vocab_size, model.vocab_size)
        }  # fmt: skip
        if not writes_line_breaks(self.writer, reads_sources=reads_sources):
            self._unwritten.update(line_break_ids(self.writer))

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

        A prompt's lines are read as those of the training text. After a prompt that ends in a
        space no word goes on.

        Args:
            texts: sources or prompts.
            stop: texts that end a row, beside the model's own end; they are not part of it. Of
                tokens across a prompt's end only the new ones count.
            language: that is written, by a translator of several targets.
            on_text: called as on_text(row, piece of text) as soon as it is known.
            **decoding: how tokens are chosen, see `Decoding`; greedily by default.

        Raises:
            InputError: for a single string, an empty source, a prompt longer than the cache, a
                stop text that the model cannot write, an unknown language, or a decoding that
                does not fit.
            TypeError: for what is no sequence of strings, or an unknown option.
        """
        texts = self.checked(texts)
        choice = Decoding.of(**decoding)
        check_language(self.languages, language)
        stops, stop_ids = self._stops(stop), set()
        if self.reads_sources or self.writer.config.ends_texts:
            stop_ids.add(self.writer.sep_id)
        if self.reads_sources:
            encoded = self._sources(texts, language)
            ids, truncated = encoded.ids, encoded.truncated
            return self._written(ids, truncated, [], choice, stops, stop_ids, on_text)
        prompts = [read_prompt(text, self.tokenizer) for text in texts]
        return self._continued(prompts, choice, stops, stop_ids, on_text)

    def checked(self, texts: Iterable[Any]) -> list[Any]:
        """Returns what `generate` reads as a list; InputError or TypeError as `generate`."""
        return checked_texts(texts)

    def answer(
        self,
        conversations: Sequence[Sequence[int]],
        *,
        end_ids: Collection[int],
        stop: Collection[str] = (),
        on_text: Callable[[int, str], None] | None = None,
        **decoding: Any,
    ) -> list[Generation]:
        """Generates what follows ids, such as those of a conversation.

        Args:
            conversations: ids of each, which end where the answer begins.
            end_ids: tokens that end an answer.
            stop, on_text, **decoding: see `generate`.

        Raises:
            InputError, TypeError: as `generate`.
        """
        choice, stops = Decoding.of(**decoding), self._stops(stop)
        # Only bytes have their text by themselves.
        is_whole = self.writer.config.kind == "bpe"
        prompts = [Prompt([*ids], [] if is_whole else [*ids], False) for ids in conversations]
        return self._continued(prompts, choice, stops, {*end_ids}, on_text)

    def _stops(self, stop: Collection[str]) -> Stops:
        texts = checked_texts(stop, "stop texts")
        return Stops(texts, self.writer, reads_sources=self.reads_sources)

    def _continued(
        self, prompts: Sequence[Prompt], choice: Decoding, stops: Stops, stop_ids: set[int],
        on_text: Callable[[int, str], None] | None,
    ) -> list[Generation]:  # fmt: skip
        """What follows each prompt."""
        self._check(prompts)
        rows = [np.array(prompt.ids, np.int32) for prompt in prompts]
        return self._written(rows, [False] * len(rows), prompts, choice, stops, stop_ids, on_text)

    def _written(
        self, rows: Sequence[np.ndarray], truncated: Sequence[bool], prompts: Sequence[Prompt],
        choice: Decoding, stops: Stops, stop_ids: set[int],
        on_text: Callable[[int, str], None] | None, *, numbers: Sequence[int] | None = None,
        **begin: Any,
    ) -> list[Generation]:  # fmt: skip
        """What is written for sources, begun as `_begin` does, or behind prompts."""
        forbidden = self._unwritten - stop_ids
        results: dict[int, Generation] = {}
        if self.reads_sources:
            written = [Continuation(self.writer)] * len(rows)
        else:
            written = [Continuation(self.writer, prompt) for prompt in prompts]

        def write(group: list[int]) -> None:
            ids, continued = [rows[row] for row in group], [written[row] for row in group]
            stream = None
            if on_text is not None:
                stream = _Stream(continued, stops, group, on_text)
            # Rows sample by their place among all texts, whatever batches the model reads.
            options: dict[str, Any] = {
                "stop_ids": stop_ids, "forbidden_ids": forbidden, "on_token": stream,
                "numbers": group if numbers is None else [numbers[row] for row in group],
                "spared_ids": stops.ids,
            }  # fmt: skip
            if stops:
                options["ends"] = _Ends(continued, stops)
            if self.reads_sources:
                cache, first, more = self._begin(ids, **begin)
                # A decoder's first token is only read; it may be a copy of another token.
                options |= {"uncounted_ids": set(first.tolist()) - stop_ids, **more}
            else:
                read = np.stack(ids)
                cache, first = self.model.prefill(read[:, :-1]), read[:, -1]
                options["prompts"] = list(read[:, :-1])
                options["max_tokens"] = self.model.cache_length - read.shape[1] + 1
                if prompts[group[0]].after_space:
                    options["not_first_ids"] = continuing_ids(self.writer)
            made = generate(self.model, cache, first, choice, **options)
            for place, (row, one) in enumerate(zip(group, made, strict=True)):
                text = stops.cut(continued[place].text(one.ids.tolist()))
                results[row] = Generation(text, one.log_probability, one.finished, truncated[row])
                if stream is not None:
                    stream.tell(place, results[row].text)

        # The caller's own thread streams, one text after the other.
        each = self._each if on_text is None and numbers is None else in_turn
        each(write, self._groups(rows, prompts))
        return [results[row] for row in sorted(results)]

    def _begin(self, sources: Sequence[np.ndarray]) -> tuple[Any, np.ndarray, dict[str, Any]]:
        """The cache of sources, the token that is fed first, and further options of `generate`."""
        first = np.full(len(sources), self.writer.cls_id, np.int32)
        return self.model.encode(sources), first, {"max_tokens": self.model.cache_length}

    def _sources(self, texts: Sequence[str], language: str | None) -> Encoded:
        """Ids of each source, and whether it was cut."""
        for row, text in enumerate(texts, start=1):
            if not text.strip():
                raise InputError(f"Expected text {row} to hold something to read, got {text!r}.")
        languages = [] if language is None else [language] * len(texts)
        return encode_sources(
            self.tokenizer, texts, self.model.source_length, self.languages, languages
        )

    def _check(self, prompts: Sequence[Prompt]) -> None:
        """Raises InputError for a prompt without a token, or longer than the cache."""
        for row, (ids, _, _) in enumerate(prompts, start=1):
            if not ids:
                raise InputError(f"Expected prompt {row} to hold a token to go on from, got none.")
            if len(ids) > self.model.cache_length:
                raise InputError(
                    f"Expected prompt {row} to have at most the {self.model.cache_length} tokens "
                    f"of the model's cache, got {len(ids)}; shorten it."
                )

    def _groups(self, rows: Sequence[np.ndarray], prompts: Sequence[Prompt]) -> list[list[int]]:
        """Places of the rows that are read together: prompts of a kind, sources of like length."""

        def kind(row: int) -> tuple[int, bool]:
            return len(rows[row]), bool(prompts) and prompts[row].after_space

        groups: list[list[int]] = []
        for row in sorted(range(len(rows)), key=kind):
            last = groups[-1] if groups else []
            fits = 0 < len(last) < self.model.batch_size
            if fits and (self.reads_sources or kind(last[0]) == kind(row)):
                last.append(row)
            else:
                groups.append([row])
        return groups


class _Ends:
    """Whether the new ids of a row hold a stop text."""

    def __init__(self, continued: Sequence[Continuation], stops: Stops):
        self.continued = continued
        self.stops = stops

    def __call__(self, row: int, ids: np.ndarray) -> bool:
        return self.stops.end(self.continued[row].text(ids.tolist())) is not None


class _Stream:
    """Receives tokens, and passes on the text that each adds."""

    def __init__(
        self, continued: Sequence[Continuation], stops: Stops, rows: Sequence[int],
        on_text: Callable[[int, str], None],
    ):  # fmt: skip
        self.continued = continued
        self.stops = stops
        self.rows = rows
        self.on_text = on_text
        self.ids: dict[int, list[int]] = {}
        self.told: dict[int, str] = {}

    def __call__(self, row: int, token: int) -> None:
        ids = self.ids.setdefault(row, [])
        ids.append(token)
        text = self.continued[row].text(ids)
        # Nothing is told of a character before its last byte, nor of what may become a stop text.
        if not text.endswith(_REPLACEMENT):
            self.tell(row, self.stops.settled(text))

    def tell(self, row: int, text: str) -> None:
        """Passes on the part of a row's text that was not passed on before."""
        told = self.told.get(row, "")
        # Text that was passed on cannot change, so a text that a token changed earlier waits.
        if text != told and text.startswith(told):
            self.told[row] = text
            self.on_text(self.rows[row], text[len(told) :])
