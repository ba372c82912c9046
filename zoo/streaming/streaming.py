"""Streams of sound through a classifier: a part of what predictors do."""

import math
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np

from keras_transformer.zoo.errors import InputError
from keras_transformer.zoo.media.sounds import sound_of
from keras_transformer.zoo.modalities.audio import Audio, AudioSettings
from keras_transformer.zoo.modalities.modality import Modality
from keras_transformer.zoo.outputs import CLASSES
from keras_transformer.zoo.streaming.detector import Detector
from keras_transformer.zoo.streaming.windows import Windows

# In seconds, but for the threshold.
HOP, SMOOTHING, THRESHOLD, REFRACTORY = 0.1, 0.3, 0.6, 1.0


class Detection(NamedTuple):
    """A label that was heard in a stream.

    Attributes:
        label: name of the class.
        score: mean probability of the last windows.
        seconds: end of the last of them, from the beginning of the stream.
    """

    label: str
    score: float
    seconds: float


class Streaming:
    """Detects the labels of a classifier of sounds, see `Predictor`, which has the attributes."""

    task_name: str
    output_kind: str
    labels: Sequence[str]
    modality: Modality

    def predict(self, rows: Iterable[Any], pairs: Iterable[Any] | None = None) -> list[Any]:
        """Predicts for raw rows, see `Predictor`."""
        raise NotImplementedError

    def stream(
        self, chunks: Iterable[np.ndarray], *, hop: float = HOP, smoothing: float = SMOOTHING,
        threshold: float = THRESHOLD, refractory: float = REFRACTORY, ignore: Sequence[str] = (),
    ) -> Iterator[Detection]:  # fmt: skip
        """Yields what is detected in a stream, as soon as its chunks have arrived.

        The model reads a window of its own length at every hop, from the first that is full on, see
        `Windows`, and what it finds is smoothed, see `Detector`. A window that is out of the
        model's scope has probabilities of 0.

        Args:
            chunks: samples at the model's rate, any number at a time: (n,) or (n, channels), int16
                or floats from -1 to 1.
            hop: seconds from one window to the next.
            smoothing: seconds over which probabilities are averaged, as a number of hops.
            threshold: mean probability from which on a label is detected.
            refractory: seconds after a detection in which there is none.
            ignore: labels that are never detected, such as silence or unknown words.

        Raises:
            InputError: if the model is no classifier of sounds, a time or the threshold is out of
                its bounds, a label is unknown, or a chunk holds no such samples.
        """
        if not isinstance(self.modality, Audio) or self.output_kind != CLASSES:
            raise InputError(
                "Expected a model that classifies sounds to read a stream, got one of "
                f"{self.task_name} that reads {self.modality.rows}."
            )
        settings = AudioSettings.of(self.modality.settings)
        step = _samples("hop", hop, 1 / settings.rate, settings.samples / settings.rate, settings)
        windows = max(1, round(_samples("smoothing", smoothing, 0, 3600, settings) / step))
        pause = _samples("refractory", refractory, 0, 3600, settings)
        if not 0 < threshold <= 1:
            raise InputError(
                f"Expected a threshold above 0 and at most 1, got threshold={threshold!r}."
            )
        for name in ignore:
            if name not in self.labels:
                raise InputError(
                    f"Expected to ignore labels of the model, which are "
                    f"{', '.join(self.labels)}; got ignore={name!r}."
                )
        if set(ignore) >= set(self.labels):
            raise InputError(
                f"Expected a label that is heard, got ignore={', '.join(ignore)}, which are all "
                "labels of the model."
            )
        detector = Detector(
            len(self.labels), windows=windows, threshold=threshold, refractory=pause,
            ignored=[place for place, name in enumerate(self.labels) if name in ignore],
        )  # fmt: skip
        return self._detected(chunks, settings, Windows(settings.samples, step), detector)

    def _detected(self, chunks, settings, windows, detector):
        for chunk in chunks:
            if not np.size(chunk):
                continue
            for window in windows.feed(sound_of(chunk, settings.rate)):
                [found] = self.predict([window])
                names = self.labels if found.label is not None else ()
                scores = [found.scores[name] for name in names] or np.zeros(len(self.labels))
                heard = detector.observe(np.array(scores), windows.read)
                if heard is not None:
                    place, score = heard
                    yield Detection(self.labels[place], score, windows.read / settings.rate)


def _samples(name: str, seconds: float, least: float, most: float, settings: AudioSettings) -> int:
    """A time in samples; InputError if it is not within its bounds."""
    if not (math.isfinite(seconds) and least <= seconds <= most):
        raise InputError(
            f"Expected {name} to be from {least:g} to {most:g} seconds, got {name}={seconds!r}."
        )
    return max(round(seconds * settings.rate), least > 0)
