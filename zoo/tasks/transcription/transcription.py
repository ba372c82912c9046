"""Transcription: the text of a sound."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import numpy as np

from keras_transformer.zoo.data.pairs import SentencePairs
from keras_transformer.zoo.data.sources import Source, read_source
from keras_transformer.zoo.data.tables import column
from keras_transformer.zoo.errors import InputError
from keras_transformer.zoo.evaluation.metric import Metric
from keras_transformer.zoo.evaluation.significance import Answers
from keras_transformer.zoo.evaluation.word_errors import (
    check_jiwer,
    transcript_metrics,
    word_errors,
)
from keras_transformer.zoo.modalities.speech import Speech
from keras_transformer.zoo.tasks.generating import AS_WRITTEN, GeneratingTask
from keras_transformer.zoo.tasks.transcription.transcription_data import (
    TranscriptionData,
    encode_speech,
)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Transcription(GeneratingTask):
    """The text of sounds; a table has a column of their paths and one of what is said."""

    name: ClassVar[str] = "transcription"
    architectures: ClassVar[tuple[str, ...]] = ("encoder-decoder",)
    modality: ClassVar[str] = "speech"
    columns: ClassVar[Mapping[str, str | None]] = {"audio": "audio", "text": "text"}
    defaults: ClassVar[Mapping[str, Any]] = {
        "model": "whisper_micro", "tokenizer": "sentencepiece", **AS_WRITTEN,
    }  # fmt: skip
    metric: ClassVar[Metric] = Metric(name="wer", points=-100.0)
    reads_sources: ClassVar[bool] = True

    def read(
        self, source: Source, columns: Mapping[str, str | None] | None = None, *,
        name: str = "data", labelled: bool = True,
    ) -> SentencePairs:  # fmt: skip
        """Reads a column of sounds and one of texts, which calibration needs too."""
        names = self.named_columns(columns)
        sound, text = names["audio"] or "audio", names["text"] or "text"
        table = read_source(
            source, [sound, text], name=name, is_text=False, suffixes=Speech.suffixes
        )
        targets = [str(value) for value in column(table, text)]
        for row, value in enumerate(targets):
            if not value.strip():
                raise InputError(f"{table.at(row)}: expected a text in column {text!r}, got none.")
        sounds = [
            Speech.read_row(value, table.at(row), table.folder(row))
            for row, value in enumerate(column(table, sound))
        ]
        return SentencePairs(sources=sounds, targets=targets, path=table.path)

    def vocabulary_texts(self, examples: SentencePairs) -> dict[str, Sequence[str]]:
        return {"tokenizer": examples.targets}

    def run_data(
        self, train: SentencePairs, validation: SentencePairs, modality: Speech
    ) -> TranscriptionData:
        # At once, not when the run has ended.
        check_jiwer()
        return TranscriptionData(
            task=self, train=train, validation=validation, modality=modality
        )

    def inputs(self, examples: SentencePairs, modality: Speech) -> dict[str, list[np.ndarray]]:
        return encode_speech(examples, modality).columns

    def evaluate(self, predictor: Any, examples: SentencePairs, **decoding: Any) -> dict[str, Any]:
        """Evaluates the texts written of the sounds against those of the examples."""
        check_jiwer()
        written = predictor.generations(examples.sources, **decoding)
        return {
            "rows": len(written), "truncated": sum(one.truncated for one in written),
            **transcript_metrics([one.text for one in written], examples.targets),
        }  # fmt: skip

    def text_metrics(self, texts: Sequence[str], references: Sequence[str]) -> dict[str, Any]:
        """Returns the metrics of transcripts against what was said."""
        return transcript_metrics(texts, references)

    def answers(self, predictor: Any, examples: SentencePairs, **decoding: Any) -> Answers:
        """Returns a model's transcripts, whose word error rate can be measured on any rows."""
        found = word_errors(predictor.generate(examples.sources, **decoding), examples.targets)
        return Answers(metric=self.metric, of=found.rate)
