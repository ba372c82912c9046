"""Data of transcription: sounds and their texts, encoded for teacher forcing."""

import dataclasses
import functools
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from keras_transformer.zoo.data.batches import NO_TARGET, Batches, SampledBatches
from keras_transformer.zoo.data.pairs import SentencePairs
from keras_transformer.zoo.errors import InputError
from keras_transformer.zoo.evaluation.word_errors import transcript_metrics
from keras_transformer.zoo.modalities.speech import Speech
from keras_transformer.zoo.progress import Report
from keras_transformer.zoo.tasks.generating import VALIDATION_TOKENS
from keras_transformer.zoo.tokenizers.tokenizer import pad_rows

if TYPE_CHECKING:
    import keras

# Sounds are large: 30 seconds are 2 MB.
NUM_PROBES = 8


class EncodedSpeech(NamedTuple):
    """Encoded rows.

    Attributes:
        columns: `waveform`, and `ids`: the prompt and the text, by name.
        targets: next token of each position; `NO_TARGET` in the prompt.
        cut: number of rows whose sound or text was truncated.
    """

    columns: dict[str, list[np.ndarray]]
    targets: list[np.ndarray]
    cut: int


def encode_speech(pairs: SentencePairs, modality: Speech) -> EncodedSpeech:
    """Encodes sounds and their texts for teacher forcing.

    Raises:
        InputError: if a sound is none, or the prompt leaves no room for a text.
    """
    read, prompt = modality.encode(pairs.sources), list(modality.prompt)
    room = modality.max_length - len(prompt)
    if room < 1:
        raise InputError(
            f"Expected max_length to be above the prompt's {len(prompt)} tokens, got "
            f"max_length={modality.max_length}."
        )
    tokenizer, columns, targets, cut = modality.tokenizer, [], [], 0
    for ids, is_cut in zip(
        tokenizer.pieces([modality.written(text) for text in pairs.targets]), read.truncated,
        strict=True,
    ):  # fmt: skip
        cut += is_cut or len(ids) > room
        # The last token that is read is the last of the text, whose end is a target alone.
        row = [*prompt, *ids[:room]]
        columns.append(np.array(row, np.int32))
        end = [] if len(ids) > room else [tokenizer.sep_id]
        following = [*row[len(prompt) :], *(end or [NO_TARGET])]
        targets.append(np.array([NO_TARGET] * (len(prompt) - 1) + following, np.int32))
    return EncodedSpeech({**read.columns, "ids": columns}, targets, cut)


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class TranscriptionData:
    """Training and validation sounds of a run with their texts; see `RunData`.

    Attributes:
        train, validation: sounds and texts.
        modality: modality of the sounds, with the tokenizer of the texts.
    """

    task: Any
    train: SentencePairs
    validation: SentencePairs
    modality: Speech

    @property
    def vocab_sizes(self) -> dict[str, int]:
        return self.modality.model_settings()

    def batches(
        self, *, batch_tokens: int, bucket: int, seed: int, piece_dropout: float = 0.0
    ) -> Batches | SampledBatches:
        if piece_dropout:
            raise InputError(
                f"Expected piece_dropout to be 0 for {self.task.name}, got {piece_dropout}."
            )
        return self._batches(self._encoded_train, batch_tokens, bucket=bucket, seed=seed)

    def validator(self) -> "Callable[[keras.Model], dict[str, Any]]":
        from keras_transformer.zoo.evaluation.perplexity import Perplexity

        return Perplexity(self._batches(self._encoded_validation, VALIDATION_TOKENS))

    def written_metrics(self, model: Any) -> dict[str, Any]:
        """Returns the word error rate of the texts written of the validation sounds."""
        written = model.generator().generate(self.validation.sources)
        return transcript_metrics([one.text for one in written], self.validation.targets)

    def probes(self, seed: int) -> dict[str, np.ndarray]:
        rows = len(self.validation)
        chosen = np.random.default_rng(seed).choice(rows, min(NUM_PROBES, rows), replace=False)
        return probes_of(self.validation.take(sorted(map(int, chosen))), self.modality)

    def report_cuts(self, report: Report) -> None:
        for pairs, encoded in (
            (self.train, self._encoded_train), (self.validation, self._encoded_validation)
        ):  # fmt: skip
            report.cut(pairs.path, len(pairs), encoded.cut, self.modality.longest)

    @functools.cached_property
    def _encoded_train(self) -> EncodedSpeech:
        return encode_speech(self.train, self.modality)

    @functools.cached_property
    def _encoded_validation(self) -> EncodedSpeech:
        return encode_speech(self.validation, self.modality)

    def _batches(self, encoded: EncodedSpeech, batch_tokens: int, **options: Any) -> Batches:
        return Batches(
            encoded.columns, encoded.targets, specs=self.modality.inputs(),
            batch_tokens=batch_tokens, **options,
        )  # fmt: skip


def probes_of(pairs: SentencePairs, modality: Speech) -> dict[str, np.ndarray]:
    """Returns sounds and their texts as inputs (rows, ...) by name."""
    columns = encode_speech(pairs, modality).columns
    return {
        "waveform": np.stack(columns["waveform"]), "ids": pad_rows(columns["ids"])
    }  # fmt: skip
