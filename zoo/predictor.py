"""The interface of what predicts or writes: a checkpoint, and a file on the device."""

import functools
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from keras_transformer.zoo.modalities.raw_texts import checked_pairs, checked_texts
from keras_transformer.zoo.errors import InputError
from keras_transformer.zoo.generation.text import Generation, TextGenerator
from keras_transformer.zoo.outputs import OUTPUTS, Outputs, Prediction


class Predictor:
    """Predicts or writes for raw texts.

    Attributes:
        task_name: name of the model's task.
        output_kind: `classes` or `number`, see `OUTPUTS`; `text` of a model that writes.
        reads_sources: whether it writes a target for a source, rather than go on from a prompt.
        labels: names of the classes, or of the targets of a translator of several.
        pair: whether an example is two texts.
        precision: `float32`, ...; followed by `, simulated` where Keras computes it.
        max_length: tokens of an example; of a source, or of a prompt and what follows it.
        columns: names of the columns of the data that the model was trained on, by their use.
    """

    task_name: str
    output_kind: str
    reads_sources: bool = False
    labels: Sequence[str]
    pair: bool
    precision: str
    max_length: int
    columns: Mapping[str, str | None]

    @property
    def generates(self) -> bool:
        """Whether the model writes text."""
        return self.output_kind == "text"

    def predict(self, texts: Iterable[str], pairs: Iterable[str] | None = None) -> list[Prediction]:
        """Predicts raw texts, or pairs of them.

        Args:
            texts: a list, an array or a column of strings.
            pairs: the second text of each, for a task over pairs.

        Raises:
            InputError: for a single string, for second texts that are missing, not expected or of
                another number, or a model that generates text.
            TypeError: for what is no sequence of strings.
        """
        outputs = self.outputs(texts, pairs)
        return OUTPUTS[self.output_kind](self.labels, outputs)

    def scores(self, texts: Iterable[str], pairs: Iterable[str] | None = None) -> np.ndarray:
        """Returns the model's outputs (rows, outputs): logits, or predicted numbers.

        Raises:
            InputError, TypeError: as `predict`.
        """
        return self.outputs(texts, pairs).scores

    def outputs(self, texts: Iterable[str], pairs: Iterable[str] | None = None) -> Outputs:
        """Returns what `scores` does, and which texts were cut to the model's length.

        Raises:
            InputError, TypeError: as `predict`.
        """
        if self.generates:
            raise InputError(f"Expected a model that predicts labels, got one of {self.task_name}.")
        return self._outputs(*self.checked(texts, pairs))

    def checked(
        self, texts: Iterable[str], pairs: Iterable[str] | None
    ) -> tuple[list[str], list[str] | None]:
        """Returns texts and their second texts as lists.

        Raises:
            InputError, TypeError: as `predict`.
        """
        texts = checked_texts(texts)
        if (pairs is not None) != self.pair:
            expected = "pairs of texts" if self.pair else "single texts"
            raise InputError(f"Expected {expected}, as the model was trained on.")
        return texts, None if pairs is None else checked_pairs(texts, pairs)

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
            InputError: the model predicts labels or numbers.
        """
        if not self.generates:
            raise InputError(f"Expected a model that generates text, got one of {self.task_name}.")
        return self._generator(**options)

    @functools.cached_property
    def _own_generator(self) -> TextGenerator:
        """What `generate` uses again and again."""
        return self.generator()

    def _outputs(self, texts: list[str], pairs: list[str] | None) -> Outputs:
        """Outputs of texts that were checked."""
        raise NotImplementedError

    def _generator(self, **options: Any) -> TextGenerator:
        """What generates, of a model that does."""
        raise NotImplementedError
