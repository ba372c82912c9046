"""Transcription of sounds, with a Keras model or a `.tflite` file."""

from collections.abc import Callable, Collection, Iterable, Sequence
from typing import Any, Self

import numpy as np

from keras_transformer.zoo.generation.decoding import Decoding
from keras_transformer.zoo.generation.text import (
    Each,
    Generation,
    Model,
    TextGenerator,
    in_turn,
)
from keras_transformer.zoo.modalities.speech import Speech


class Transcriber(TextGenerator):
    """Writes down sounds, longer ones window by window.

    Args:
        model: model, behind its interface for text generation; its sources are waveforms.
        modality: modality of the sounds, with the tokenizer, the prompt and what is not written.
        each: see `TextGenerator`.
    """

    def __init__(self, model: Model, modality: Speech, *, each: Each = in_turn):
        super().__init__(model, modality.tokenizer, reads_sources=True, each=each)
        self.modality = modality
        self._unwritten |= set(modality.script.suppressed)

    def generate(
        self,
        texts: Iterable[Any],
        *,
        stop: Collection[str] = (),
        language: str | None = None,
        on_text: Callable[[int, str], None] | None = None,
        **decoding: Any,
    ) -> list[Generation]:
        """Generates the text of each sound.

        Args:
            texts: sounds, see `Speech`.
            stop: texts that end a window's text, see `TextGenerator.generate`.
            language: that is spoken, such as `de`, for a multilingual model; English by default.
            on_text: called as on_text(row, piece of text) as soon as it is known.
            **decoding: how tokens are chosen, see `Decoding`; greedily by default.

        Raises:
            InputError: for a sound that cannot be read, an unknown language, or as
                `TextGenerator.generate`.
            TypeError: for what is no sequence of sounds, or an unknown option.
        """
        rows = self.checked(texts)
        decoding.setdefault("max_tokens", self.model.cache_length)
        choice, stops = Decoding.of(**decoding), self._stops(stop)
        prompt = self.modality.prompt_in(language)
        results: dict[int, Generation] = {}

        def written(
            windows: Sequence[np.ndarray], numbers: list[int], told: _Told | None = None
        ) -> list[Generation]:
            return self._written(
                windows, [False] * len(windows), [], choice, stops, {self.writer.sep_id}, told,
                numbers=numbers, prompt=prompt,
            )  # fmt: skip

        def write(group: list[int]) -> None:
            read = [self.modality.windows(rows[place]) for place in group]
            numbers = [
                [place + number * len(rows) for number in range(len(windows))]
                for place, windows in zip(group, read, strict=True)
            ]
            if on_text is None:
                found = iter(written(sum(read, []), sum(numbers, [])))
                for place, windows in zip(group, read, strict=True):
                    results[place] = _joined([next(found) for _ in windows])
                return
            for place, windows, own in zip(group, read, numbers, strict=True):
                told = _Told(on_text, place)
                results[place] = _joined(
                    [written([one], [number], told.of_window())[0]
                     for one, number in zip(windows, own, strict=True)]
                )  # fmt: skip

        size = self.model.batch_size
        groups = [
            list(range(first, min(first + size, len(rows)))) for first in range(0, len(rows), size)
        ]
        (self._each if on_text is None else in_turn)(write, groups)
        return [results[place] for place in sorted(results)]

    def checked(self, texts: Iterable[Any]) -> list[Any]:
        return self.modality.checked(texts)[0]

    def _begin(
        self, sources: Sequence[np.ndarray], *, prompt: Sequence[int] = ()
    ) -> tuple[Any, np.ndarray, dict[str, Any]]:
        cache = self.model.encode(sources)
        for token in prompt[:-1]:
            _, cache = self.model.step(np.full(len(sources), token, np.int32), cache)
        return cache, np.full(len(sources), prompt[-1], np.int32), {
            "max_tokens": self.model.cache_length - len(prompt) + 1,
            "not_first_ids": self.modality.script.suppressed_first,
        }  # fmt: skip


def generator_of(
    steps: Model, modality: Any, languages: Sequence[str] = (), *, reads_sources: bool,
    each: Each = in_turn,
) -> TextGenerator:  # fmt: skip
    """Returns what writes for the rows of a modality, `Text` or `Speech`; see `TextGenerator`."""
    if isinstance(modality, Speech):
        return Transcriber(steps, modality, each=each)
    return TextGenerator(
        steps, modality.tokenizer, modality.target_tokenizer, languages,
        reads_sources=reads_sources, each=each,
    )  # fmt: skip


class _Told:
    """Passes on the pieces of a sound's windows, with one space between two of them."""

    def __init__(self, on_text: Callable[[int, str], None], place: int):
        self._on_text, self._place = on_text, place
        self._before = ""
        self._is_first = True

    def of_window(self) -> Self:
        """Begins the next window."""
        self._is_first = True
        return self

    def __call__(self, _: int, piece: str) -> None:
        if self._is_first:
            piece = piece.lstrip()
        if piece:
            self._on_text(self._place, self._before * self._is_first + piece)
            self._before, self._is_first = " ", False


def _joined(windows: Sequence[Generation]) -> Generation:
    """One sound's result from those of its windows."""
    return Generation(
        " ".join(filter(None, (one.text.strip() for one in windows))),
        sum(one.log_probability for one in windows), all(one.finished for one in windows), False,
    )  # fmt: skip
