"""The common interface of checkpoints and model files: prediction and text generation."""

import functools
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Self

import numpy as np

from keras_transformer.zoo.answering.answers import Answer, AnswerOutputs
from keras_transformer.zoo.by_position import READ
from keras_transformer.zoo.errors import InputError
from keras_transformer.zoo.generation.text import Generation, TextGenerator
from keras_transformer.zoo.masking.fills import Filled, FillOutputs
from keras_transformer.zoo.masking.replacements import PieceOutputs, ReplacedPieces
from keras_transformer.zoo.matching import Matching
from keras_transformer.zoo.modalities.modality import Modality
from keras_transformer.zoo.modalities.speech import Speech
from keras_transformer.zoo.modalities.text import Text
from keras_transformer.zoo.numerals import is_float32
from keras_transformer.zoo.outputs import (
    ANSWERS,
    EMBEDDING,
    OUTPUTS,
    TAGS,
    LabelSet,
    Outputs,
    Prediction,
    Vector,
)
from keras_transformer.zoo.streaming.streaming import Streaming
from keras_transformer.zoo.tagging.decoding import Tagged
from keras_transformer.zoo.tagging.windows import TagOutputs
from keras_transformer.zoo.tagging.words import checked_words
from keras_transformer.zoo.tokenizers.tokenizer import Tokenizer
from keras_transformer.zoo.transcribing import Transcribing

_Predicted = Prediction | LabelSet | Vector | Tagged | Answer | Filled | ReplacedPieces


class Predictor(Matching, Streaming, Transcribing):
    """Predicts or generates for raw rows of the model's modality, such as texts.

    Attributes:
        task_name: name of the model's task.
        output_kind: kind of the outputs, see `OUTPUTS`; `text` for a model that generates.
        decision: what decides between the outputs, see `decision_of`.
        stride: overlap of the windows of a model of tags or answers, see `windows_of`.
        reads_sources: whether it generates a target for a source rather than continuing a prompt.
        labels: names of the classes, or the target languages of a multilingual translator.
        pair: whether an example is two rows.
        modality: modality of the rows.
        precision: precision, such as `float32`; followed by `, simulated` where Keras computes it.
        columns: column names of the training data by their use.
    """

    task_name: str
    output_kind: str
    decision: Mapping[str, Any]
    stride: int = 0
    reads_sources: bool = False
    labels: Sequence[str]
    pair: bool
    precision: str
    modality: Modality
    columns: Mapping[str, str | None]
    # The heads that were asked for, and the name of the whole in messages.
    _heads: dict[str, Any]
    _called = "the model"

    @property
    def max_length(self) -> int:
        """Maximum number of tokens: of an example, a source, or a prompt with its continuation."""
        return self.modality.max_length

    @property
    def tokenizer(self) -> Tokenizer:
        """Tokenizer of the input.

        Raises:
            InputError: if the model reads no text.
        """
        writes = self.modality if isinstance(self.modality, Speech) else self._text
        return writes.tokenizer

    @property
    def target_tokenizer(self) -> Tokenizer | None:
        """Tokenizer of the output, if it differs; InputError if the model reads no text."""
        return self._text.target_tokenizer

    @property
    def _text(self) -> Text:
        if self.modality.text is None:
            raise InputError(f"Expected a model of text, got one of {self.modality.name}.")
        return self.modality.text

    @property
    def generates(self) -> bool:
        """Whether the model generates text."""
        return self.output_kind == "text"

    @property
    def embeds(self) -> bool:
        """Whether the model's outputs are vectors."""
        return self.output_kind == EMBEDDING

    @property
    def answers_questions(self) -> bool:
        """Whether the model's outputs are spans of a context."""
        return self.output_kind == ANSWERS

    @property
    def tags(self) -> bool:
        """Whether the model's outputs are tags of the words of a text."""
        return self.output_kind == TAGS

    @property
    def head_names(self) -> tuple[str, ...]:
        """Names of the tasks of a model of several, each of which `head` predicts alone."""
        return ()

    def head(self, name: str) -> Self:
        """Returns one task of a model of several; InputError if it has none of that name."""
        if name not in self.head_names:
            known = ", ".join(self.head_names) or "none, it has one task"
            raise InputError(f"Expected a head of {self._called} ({known}), got {name!r}.")
        if name not in self._heads:
            self._heads[name] = self._head(name)
        return self._heads[name]

    def predict(
        self, rows: Iterable[Any], pairs: Iterable[Any] | None = None
    ) -> list[_Predicted]:
        """Predicts for raw rows, or for pairs of them.

        A model of any number of labels returns sets of them, one of embeddings vectors, one that
        tags words their entities or tags, one that answers questions an answer for each question
        and its context, the second row, one of masked words the likely pieces for each [MASK], and
        one of replaced pieces the probability of each that it is one. One of several tasks returns
        for each row the predictions by task, of the tasks over pairs if second rows are given, else
        of the others.

        Args:
            rows: raw rows; for text a list, an array or a column of strings; for a model that tags
                words also lists of words.
            pairs: second row of each example, for a task over pairs.

        Raises:
            InputError: if rows are a single string, second rows are missing, unexpected or of
                another number, a text has no [MASK] to fill, or the model generates text.
            TypeError: if rows are not a sequence.
        """
        if self.head_names:
            return self._predictions_by_head(rows, pairs)
        outputs = self.outputs(rows, pairs)
        return OUTPUTS[self.output_kind](self.labels, outputs, **self.decision)

    def _predictions_by_head(self, rows, pairs):
        """The predictions by the task's name, for each row."""
        rows, pairs = self.modality.checked(rows, pairs)
        heads = {name: self.head(name) for name in self.head_names}
        asked = {name: one for name, one in heads.items() if one.pair == (pairs is not None)}
        if not asked:
            wanted = "pairs of" if pairs is None else "single"
            raise InputError(f"Expected {wanted} {self.modality.rows}, which the tasks read.")
        found = [
            one.predict(
                rows if one.modality is self.modality
                else [row[one.modality.name] for row in rows], pairs
            )
            for one in asked.values()
        ]  # fmt: skip
        return [dict(zip(asked, one, strict=True)) for one in zip(*found, strict=True)]

    def scores(
        self, rows: Iterable[Any], pairs: Iterable[Any] | None = None
    ) -> np.ndarray | list[np.ndarray]:
        """Returns the model's outputs (rows, outputs): logits, predicted numbers or vectors.

        Those of a model that tags words are a list of logits (words, tags) for each row; of masked
        words (masks, V), of replaced pieces (pieces,).

        Raises:
            InputError, TypeError: as `predict`, or if the model answers questions, whose outputs
                are those of several windows.
        """
        if self.answers_questions:
            raise InputError(
                f"Expected a model with scores for a row, got one of {self.task_name}; predict "
                "gives its answers."
            )
        return self.outputs(rows, pairs).scores

    def outputs(
        self, rows: Iterable[Any], pairs: Iterable[Any] | None = None
    ) -> Outputs | TagOutputs | AnswerOutputs | FillOutputs | PieceOutputs:
        """Returns the scores, and which rows were truncated to the model's length.

        Raises:
            InputError, TypeError: as `predict`.
        """
        if self.generates or self.head_names:
            raise InputError(f"Expected a model that predicts labels, got one of {self.task_name}.")
        rows, pairs = self.checked(rows, pairs)
        read = READ.get(self.output_kind)
        if read is None:
            return self._outputs(rows, pairs)
        return read(self, rows, pairs, self.encoded_outputs)

    def answer(self, question: str, context: str) -> Answer:
        """Returns the span of a context that answers a question, or that it has none.

        `predict(questions, contexts)` answers several.

        Raises:
            InputError: if the model does not answer questions.
            TypeError: if either is not a string.
        """
        if not self.answers_questions:
            raise InputError(f"Expected a model of answers, got one of {self.task_name}.")
        return self.predict([question], [context])[0]

    @property
    def null_threshold(self) -> float | None:
        """Margin of no answer above which none is given, tuned on validation data; None for none.

        InputError if it is recorded, but is no number.
        """
        value = self._validation_metrics.get("null_threshold")
        if value is not None and not is_float32(value):
            raise InputError(f"Expected null_threshold to be a number, got {value!r}.")
        return value

    def checked(
        self, rows: Iterable[Any], pairs: Iterable[Any] | None
    ) -> tuple[list[Any], list[Any] | None]:
        """Checks rows and their second rows, and returns them as lists.

        Raises:
            InputError, TypeError: as `predict`.
        """
        rows = checked_words(rows) if self.tags else self.modality.checked(rows)[0]
        if (pairs is not None) != self.pair:
            expected = "pairs of" if self.pair else "single"
            raise InputError(
                f"Expected {expected} {self.modality.rows}, as the model was trained on."
            )
        return (rows, None) if pairs is None else self.modality.checked(rows, pairs)

    def generate(self, texts: Iterable[str], **options: Any) -> list[str]:
        """Returns the translation of each source, or the continuation of each prompt.

        Args:
            texts: sources or prompts.
            **options: see `TextGenerator.generate`: `beams=5`, `max_tokens=40`, ...

        Raises:
            InputError: if texts or options do not fit, or the model predicts labels.
            TypeError: if texts are not a sequence of strings, or an option is unknown.
        """
        return [one.text for one in self.generations(texts, **options)]

    def generations(self, texts: Iterable[Any], **options: Any) -> list[Generation]:
        """Returns the results of `generate` with log probabilities and truncation flags."""
        return self._own_generator.generate(texts, **options)

    def generator(self, **options: Any) -> TextGenerator:
        """Returns the text generator of the model.

        Args:
            **options: `xla=True` for a checkpoint compiles its steps with XLA: faster, but
                compiling takes seconds for each new shape, see `CompiledSteps`.

        Raises:
            InputError: if the model predicts labels or numbers.
        """
        if not self.generates:
            raise InputError(f"Expected a model that generates text, got one of {self.task_name}.")
        return self._generator(**options)

    @functools.cached_property
    def _own_generator(self) -> TextGenerator:
        """The generator that `generate` reuses."""
        return self.generator()

    @property
    def _validation_metrics(self) -> Mapping[str, Any]:
        """Metrics on the validation data of training."""
        raise NotImplementedError

    def _head(self, name: str) -> Self:
        """One of the tasks of a model of several."""
        raise NotImplementedError

    def _outputs(self, rows: list[Any], pairs: list[Any] | None) -> Outputs:
        """Outputs of checked rows."""
        raise NotImplementedError

    def encoded_outputs(self, columns: Mapping[str, list[np.ndarray]]) -> Sequence[np.ndarray]:
        """The output (T or more, outputs) of each encoded row, of one `BY_POSITION`."""
        raise NotImplementedError

    def _generator(self, **options: Any) -> TextGenerator:
        """A new text generator, for a model that generates."""
        raise NotImplementedError
