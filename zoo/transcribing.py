"""Transcription of sounds by checkpoints and model files."""

from collections.abc import Iterable
from typing import Any

from keras_transformer.zoo.errors import InputError
from keras_transformer.zoo.modalities.modality import Modality
from keras_transformer.zoo.modalities.speech import Speech


class Transcribing:
    """Base of what transcribes, if its modality is speech; `Predictor` documents the attributes."""

    task_name: str
    modality: Modality

    def generate(self, texts: Iterable[Any], **options: Any) -> list[str]:
        """Returns the texts of sounds, see `Predictor.generate`."""
        raise NotImplementedError

    def transcribe(self, sounds: Any, **options: Any) -> Any:
        """Returns the text of a sound, or the texts (rows,) of a list of sounds.

        Args:
            sounds: a sound, such as the path of a WAV or FLAC file, or a list of them; see
                `Speech`. A sound longer than the model's window is read window by window.
            **options: see `Transcriber.generate`.

        Raises:
            InputError: if a sound cannot be read, or the model does not transcribe.
            TypeError: if an option is unknown.
        """
        if not isinstance(self.modality, Speech):
            raise InputError(f"Expected a model of speech, got one of {self.task_name}.")
        if isinstance(sounds, list):
            return self.generate(sounds, **options)
        return self.generate([sounds], **options)[0]
