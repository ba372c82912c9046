"""The speech modality: sounds that a model with a tokenizer writes down."""

import dataclasses
import json
import re
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Self

import numpy as np

from keras_transformer.zoo.errors import InputError
from keras_transformer.zoo.media.sounds import MOST_RATE, named
from keras_transformer.zoo.modalities.audio import Audio, samples_of
from keras_transformer.zoo.modalities.modality import Features, InputSpec, without_pairs
from keras_transformer.zoo.modalities.settings import ModalitySettings
from keras_transformer.zoo.modalities.text import vocabulary_misfit
from keras_transformer.zoo.tokenizers.tokenizer import Tokenizer
from keras_transformer.zoo.tokenizers.tokenizer_files import (
    FILE_NAMES,
    tokenizers_from_files,
    tokenizers_to_files,
)

SCRIPT_FILE = "speech.json"
_LANGUAGE = re.compile(r"<\|([a-z]{2,3})\|>")
# Samples of the longest window: 16 million of them.
_MOST_SAMPLES = 1 << 24
# Samples of a frame: the constants of a shorter one would be taken for rounded kernels.
_LEAST_FRAME, _MOST_FRAME = 34, 1 << 13
# A longer sound is cut where it is quietest for a tenth of a second in the last third of a window.
_SEARCHED, _QUIET = 1 / 3, 0.1


@dataclasses.dataclass(frozen=True, kw_only=True)
class SpeechSettings(ModalitySettings):
    """How sounds are read, and what a model's log-mel spectrogram of them is.

    Attributes:
        rate: samples a second, in Hz.
        samples: length of the model's window, a multiple of two hops.
        frame: length of a frame of the spectrogram, in samples, an even number.
        hop: samples from one frame to the next, at most half of a frame.
        mels: number of mel bands.
    """

    modality: ClassVar[str] = "speech"

    rate: int = 16_000
    samples: int = 480_000
    frame: int = 400
    hop: int = 160
    mels: int = 80

    def __post_init__(self):
        self._check_integers(
            ("rate", 1, MOST_RATE), ("samples", 1, _MOST_SAMPLES),
            ("frame", _LEAST_FRAME, _MOST_FRAME), ("hop", 1, _MOST_FRAME), ("mels", 1, 512),
        )  # fmt: skip
        if self.frame % 2 or not 2 * self.hop <= self.frame <= self.samples:
            raise InputError(
                "Expected an even frame of at least two hops, and at most all samples, got "
                f"frame={self.frame}, hop={self.hop}, samples={self.samples}."
            )
        if self.samples % (2 * self.hop):
            raise InputError(
                f"Expected samples to be a multiple of two hops, {2 * self.hop} samples, got "
                f"samples={self.samples}."
            )

    @property
    def positions(self) -> int:
        """Number of vectors that the model's encoder reads: one for each two frames."""
        return self.samples // (2 * self.hop)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Script:
    """What surrounds the text that a model of speech writes, as ids of its tokenizer.

    Attributes:
        prompt: tokens that the decoder reads before it writes; the tokenizer's begin where empty.
        suppressed: tokens that are never written.
        suppressed_first: tokens that are not written first.
    """

    prompt: tuple[int, ...] = ()
    suppressed: tuple[int, ...] = ()
    suppressed_first: tuple[int, ...] = ()

    @classmethod
    def from_bytes(cls, data: bytes, vocab_size: int) -> Self:
        """Reads what `to_bytes` returned; InputError if it is anything else."""
        names = [field.name for field in dataclasses.fields(cls)]
        try:
            value = json.loads(data)
        except (ValueError, RecursionError) as error:
            raise InputError(f"Expected {SCRIPT_FILE} to be JSON, got an error: {error}.") from None
        if not isinstance(value, dict) or sorted(value) != sorted(names):
            raise InputError(f"Expected {SCRIPT_FILE} to hold {', '.join(names)}, got {value!r}.")
        for name, ids in value.items():
            if not isinstance(ids, list) or not all(
                type(one) is int and 0 <= one < vocab_size for one in ids
            ):
                raise InputError(
                    f"Expected {name} of {SCRIPT_FILE} to be ids below {vocab_size}, got {ids!r}."
                )
        return cls(**{name: tuple(ids) for name, ids in value.items()})

    def to_bytes(self) -> bytes:
        """Returns the content of the file."""
        return (json.dumps(dataclasses.asdict(self)) + "\n").encode()


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Speech(Audio):
    """Sounds as float32 `waveform` (samples,) from -1 to 1, and the tokenizer of their text.

    Raw rows are those of `Audio`. A short sound has zeros after its end; of a long one `encode`
    reads the beginning, and `windows` all of it. `max_length` is the number of tokens of a text.

    Attributes:
        tokenizer: tokenizer of the text.
        script: prompt and suppressed tokens.
    """

    tokenizer: Tokenizer
    script: Script = Script()

    name: ClassVar[str] = "speech"
    example: ClassVar[str] = '"speech.wav"'
    architectures: ClassVar[tuple[str, ...]] = ("encoder-decoder",)

    @classmethod
    def specs(cls, settings: Mapping[str, Any], *, pair: bool = False) -> tuple[InputSpec, ...]:
        without_pairs(cls.name, pair)
        of = SpeechSettings.of(settings)
        return (
            InputSpec(
                name="waveform", dtype="float32", shape=(of.samples,), positions=of.positions
            ),
        )

    @property
    def longest(self) -> str:
        of = self._settings
        return f"{of.samples / of.rate:g} seconds, or {self.max_length} tokens"

    @property
    def prompt(self) -> tuple[int, ...]:
        """Tokens that the decoder reads before it writes, at least one."""
        return self.script.prompt or (self.tokenizer.cls_id,)

    @property
    def languages(self) -> dict[str, int]:
        """Ids of the languages that a multilingual model writes, by their names such as `de`."""
        ids = self.tokenizer.model.piece_ids
        found = {name: _LANGUAGE.fullmatch(name) for name in self.tokenizer.config.special.names}
        known = {match[1]: ids[name] for name, match in found.items() if match}
        return known if any(one in known.values() for one in self.prompt) else {}

    def prompt_in(self, language: str | None) -> tuple[int, ...]:
        """Returns the prompt with a language in place of its own.

        Raises:
            InputError: if the model does not write it.
        """
        if language is None:
            return self.prompt
        known = self.languages
        if language not in known:
            wanted = f"one of {', '.join(known)}" if known else "none, for a model of one language"
            raise InputError(f"Expected language to be {wanted}, got {language!r}.")
        own = set(known.values())
        return tuple(known[language] if one in own else one for one in self.prompt)

    def written(self, text: str) -> str:
        """Returns a text as the model writes it: byte pairs have a space before each word."""
        config = self.tokenizer.config
        begins = config.kind == "bpe" and not config.prefix_space
        return f" {text.strip()}" if begins else text.strip()

    def encode(self, rows: Sequence[Any], pairs: Sequence[Any] | None = None) -> Features:
        of, waveforms, truncated = self._settings, [], []
        for row in rows:
            sound = self._sound(row)
            waveforms.append(_padded(sound[: of.samples], of.samples))
            truncated.append(len(sound) > of.samples)
        return Features({"waveform": waveforms}, truncated)

    def windows(self, row: Any) -> list[np.ndarray]:
        """Returns all of a sound as windows (samples,), each cut where it is quiet near its end."""
        of, sound, found = self._settings, self._sound(row), []
        while len(sound) > of.samples:
            end = _quietest(sound[: of.samples], max(1, int(_QUIET * of.rate)))
            found.append(_padded(sound[:end], of.samples))
            sound = sound[end:]
        return [*found, _padded(sound, of.samples)]

    def limit(self) -> str:
        of = self._settings
        return (
            f"It reads windows of {of.samples / of.rate:.3g} seconds of sound at {of.rate} Hz, to "
            "which other rates are resampled; a longer sound is several."
        )

    def model_settings(self) -> dict[str, Any]:
        return {"vocab_size": self.tokenizer.vocab_size}

    def misfit(self, config: Mapping[str, Any]) -> str | None:
        return vocabulary_misfit(self.tokenizer, config["vocab_size"])

    def files(self) -> dict[str, bytes]:
        return tokenizers_to_files(self.tokenizer, None) | {SCRIPT_FILE: self.script.to_bytes()}

    @classmethod
    def file_names(cls) -> frozenset[str]:
        return FILE_NAMES | {SCRIPT_FILE}

    @classmethod
    def from_files(
        cls, files: Mapping[str, bytes], *, max_length: int, settings: Mapping[str, Any]
    ) -> Self:
        tokenizer, _ = tokenizers_from_files(files)
        if SCRIPT_FILE not in files:
            raise InputError(f"Expected a file {SCRIPT_FILE}, got none.")
        script = Script.from_bytes(files[SCRIPT_FILE], tokenizer.vocab_size)
        return cls(max_length=max_length, settings=settings, tokenizer=tokenizer, script=script)

    @property
    def _settings(self) -> SpeechSettings:
        return SpeechSettings.of(self.settings)

    def _sound(self, row: Any) -> np.ndarray:
        of = self._settings
        sound = samples_of(row, of.rate)
        if len(sound) < of.frame:
            raise InputError(
                f"{named(row)}: expected a sound of at least a frame of {of.frame} samples at "
                f"{of.rate} Hz, got {len(sound)}."
            )
        return sound


def _padded(sound: np.ndarray, length: int) -> np.ndarray:
    return np.pad(sound, (0, length - len(sound)))


def _quietest(sound: np.ndarray, width: int) -> int:
    """The middle of the quietest `width` samples in the last part of a sound."""
    first = int(len(sound) * (1 - _SEARCHED))
    energy = np.cumsum(np.square(sound[first:], dtype=np.float64))
    # Of a short window less.
    width = max(1, min(width, len(energy) // 2))
    levels = energy[width:] - energy[:-width]
    # Of equally quiet places the last.
    return first + len(levels) - 1 - int(levels[::-1].argmin()) + width // 2
