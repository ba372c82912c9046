"""The interface of what predicts or writes: a checkpoint, and a file on the device."""

import functools
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from keras_transformer.zoo.errors import InputError
from keras_transformer.zoo.generation.text import Generation, TextGenerator
from keras_transformer.zoo.modalities.modality import Modality
from keras_transformer.zoo.modalities.text import Text
from keras_transformer.zoo.outputs import OUTPUTS, Outputs, Prediction
from keras_transformer.zoo.tokenizers.tokenizer import Tokenizer


class Predictor:
    """Predicts or writes for raw rows: texts, or what else the model's modality is.

    Attributes:
        task_name: name of the model's task.
        output_kind: `classes` or `number`, see `OUTPUTS`; `text` of a model that writes.
        reads_sources: whether it writes a target for a source, rather than go on from a prompt.
        labels: names of the classes, or of the targets of a translator of several.
        pair: whether an example is two rows.
        modality: of the rows.
        precision: `float32`, ...; followed by `, simulated` where Keras computes it.
        columns: names of the columns of the data that the model was trained on, by their use.
    """

    task_name: str
    output_kind: str
    reads_sources: bool = False
    labels: Sequence[str]
    pair: bool
    precision: str
    modality: Modality
    columns: Mapping[str, str | None]

    @property
    def max_length(self) -> int:
        """Tokens of an example; of a source, or of a prompt and what follows it."""
        return self.modality.max_length

    @property
    def tokenizer(self) -> Tokenizer:
        """Of the text that is read.

        Raises:
            InputError: if the model reads no text.
        """
        return self._text.tokenizer

    @property
    def target_tokenizer(self) -> Tokenizer | None:
        """Of the text that is written, if it has one of its own.

        Raises:
            InputError: if the model reads no text.
        """
        return self._text.target_tokenizer

    @property
    def _text(self) -> Text:
        if not isinstance(self.modality, Text):
            raise InputError(f"Expected a model of text, got one of {self.modality.name}.")
        return self.modality

    @property
    def generates(self) -> bool:
        """Whether the model writes text."""
        return self.output_kind == "text"

    def predict(self, rows: Iterable[Any], pairs: Iterable[Any] | None = None) -> list[Prediction]:
        """Predicts raw rows, or pairs of them.

        Args:
            rows: of text a list, an array or a column of strings.
            pairs: the second row of each, for a task over pairs.

        Raises:
            InputError: for a single string, for second rows that are missing, not expected or of
                another number, or a model that generates text.
            TypeError: for what is no sequence of rows.
        """
        outputs = self.outputs(rows, pairs)
        return OUTPUTS[self.output_kind](self.labels, outputs)

    def scores(self, rows: Iterable[Any], pairs: Iterable[Any] | None = None) -> np.ndarray:
        """Returns the model's outputs (rows, outputs): logits, or predicted numbers.

        Raises:
            InputError, TypeError: as `predict`.
        """
        return self.outputs(rows, pairs).scores

    def outputs(self, rows: Iterable[Any], pairs: Iterable[Any] | None = None) -> Outputs:
        """Returns what `scores` does, and which rows were cut to the model's length.

        Raises:
            InputError, TypeError: as `predict`.
        """
        if self.generates:
            raise InputError(f"Expected a model that predicts labels, got one of {self.task_name}.")
        return self._outputs(*self.checked(rows, pairs))

    def checked(
        self, rows: Iterable[Any], pairs: Iterable[Any] | None
    ) -> tuple[list[Any], list[Any] | None]:
        """Returns rows and their second rows as lists.

        Raises:
            InputError, TypeError: as `predict`.
        """
        rows, _ = self.modality.checked(rows)
        if (pairs is not None) != self.pair:
            expected = "pairs of" if self.pair else "single"
            raise InputError(
                f"Expected {expected} {self.modality.rows}, as the model was trained on."
            )
        return self.modality.checked(rows, pairs)

    def generate(self, texts: Iterable[str], **options: Any) -> list[str]:
        """Returns the translation of each text, or what follows each prompt.

        Args:
            texts: sources or prompts.
            **options: see `TextGenerator.generate`: `beams=5`, `max_tokens=40`, ...

        Raises:
            InputError: for texts or options that do not fit, or a model that predicts labels.
            TypeError: for what is no sequence of strings, or an unknown option.
        """
        return [one.text for one in self.generations(texts, **options)]

    def generations(self, texts: Iterable[str], **options: Any) -> list[Generation]:
        """Returns what `generate` does, with log probabilities and what was cut."""
        return self._own_generator.generate(texts, **options)

    def generator(self, **options: Any) -> TextGenerator:
        """Returns what generates text.

        Args:
            **options: `xla=True` of a checkpoint, whose steps XLA compiles then: faster, after
                seconds for each new shape, see `CompiledSteps`.

        Raises:
            InputError: if the model predicts labels or numbers.
        """
        if not self.generates:
            raise InputError(f"Expected a model that generates text, got one of {self.task_name}.")
        return self._generator(**options)

    @functools.cached_property
    def _own_generator(self) -> TextGenerator:
        """What `generate` uses again and again."""
        return self.generator()

    def _outputs(self, rows: list[Any], pairs: list[Any] | None) -> Outputs:
        """Outputs of rows that were checked."""
        raise NotImplementedError

    def _generator(self, **options: Any) -> TextGenerator:
        """What generates, of a model that does."""
        raise NotImplementedError
