"""How a published model of speech reads sounds, and what it reads and never writes as text."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from keras_transformer.zoo.errors import InputError
from keras_transformer.zoo.modalities.speech import Script, SpeechSettings
from keras_transformer.zoo.models.config import TransformerConfig
from keras_transformer.zoo.pretrained.pixels import PREPROCESSOR
from keras_transformer.zoo.pretrained.vocabularies.files import read_json
from keras_transformer.zoo.pretrained.vocabularies.tokenizer import PublishedTokenizer

GENERATION = "generation_config.json"
_START, _LANGUAGE = "<|startoftranscript|>", "<|en|>"
_TRANSCRIBE, _PLAIN = "<|transcribe|>", "<|notimestamps|>"
_TIME = re.compile(r"<\|\d+\.\d\d\|>")
# Rows of the table from which on a model is multilingual.
_MULTILINGUAL = 51_865
_SECONDS = 0.8


def read_script(
    folder: Path, values: Mapping[str, Any], config: TransformerConfig, read: PublishedTokenizer
) -> Script:
    """Returns the prompt of a model, English without times, and the tokens that it never writes.

    Args:
        folder: folder of the model.
        values: content of its config.json; generation_config.json beside it decides.
        config: config of the model, with the published vocabulary.
        read: its tokenizer.

    Raises:
        InputError: if sounds are read in another way than here, or a token is missing.
    """
    _check_front_end(folder, SpeechSettings.of(config.modality_settings))
    values = {**values, **read_json(folder / GENERATION)}
    is_multilingual = values.get("is_multilingual", config.vocab_size >= _MULTILINGUAL)
    names = (_START, *((_LANGUAGE, _TRANSCRIBE) if is_multilingual else ()), _PLAIN)
    ids = read.tokenizer.model.piece_ids
    for name in names:
        if name not in ids:
            raise InputError(f"Expected the tokenizer in {folder} to have {name}, got none.")
    places = {int(row): place for place, row in enumerate(read.rows) if row >= 0}

    def ours(key: str) -> list[int]:
        found = values.get(key) or []
        if not isinstance(found, list) or not all(type(one) is int for one in found):
            raise InputError(f"Expected {key} in {folder} to be ids, got {found!r}.")
        return [places[one] for one in found if one in places]

    times = [place for piece, place in ids.items() if _TIME.fullmatch(piece)]
    return Script(
        prompt=tuple(ids[name] for name in names),
        suppressed=tuple(sorted({*ours("suppress_tokens"), *times})),
        suppressed_first=tuple(sorted(set(ours("begin_suppress_tokens")))),
    )


def _check_front_end(folder: Path, settings: SpeechSettings) -> None:
    """Raises InputError if preprocessor_config.json says another spectrogram than ours."""
    path = folder / PREPROCESSOR
    values = read_json(path)
    expected = {
        "feature_size": settings.mels, "n_fft": settings.frame, "hop_length": settings.hop,
        "sampling_rate": settings.rate, "padding_value": 0.0, "dither": 0.0, "do_normalize": False,
    }  # fmt: skip
    for key, value in expected.items():
        if values.get(key, value) != value:
            raise InputError(f"Expected {key} of {path} to be {value}, got {values[key]!r}.")


def probe_sounds(settings: SpeechSettings, count: int) -> list[np.ndarray]:
    """Returns sounds on which a converted model is compared: its own data are not known.

    They are syllables: harmonics of a voice whose pitch and resonances change, noise, and pauses.
    """
    return [_spoken(settings, np.random.default_rng(seed)) for seed in range(count)]


def _spoken(settings: SpeechSettings, rng: np.random.Generator) -> np.ndarray:
    length = min(settings.samples, int(rng.uniform(1, 4) * settings.rate))
    sound, place = np.zeros(length), 0
    while place < length:
        size = min(length - place, max(1, int(rng.uniform(0.1, _SECONDS / 2) * settings.rate)))
        time = np.arange(size) / settings.rate
        pitch = rng.uniform(90, 240)
        centers = rng.uniform((250, 800, 2000), (800, 2200, 3200))
        voice = np.zeros(size)
        for number in range(1, int(settings.rate / 2 / pitch)):
            gain = np.exp(-np.square((number * pitch - centers) / 150)).sum() + 1e-3
            voice += gain * np.sin(2 * np.pi * number * pitch * time + rng.uniform(0, 6))
        noise = rng.normal(0, 1, size)
        mixed = (voice, noise, 0.0 * noise)[rng.choice(3, p=(0.7, 0.15, 0.15))]
        sound[place : place + size] = mixed * np.hanning(size)
        place += size
    sound = 0.3 * sound / max(np.abs(sound).max(), 1e-6)
    return (sound + rng.normal(0, 1e-3, length)).astype(np.float32)
