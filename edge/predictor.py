"""A checkpoint folder or a `.tflite` file, opened alike."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from keras_transformer.edge.precision import precision_of
from keras_transformer.edge.runtime.runner import Prediction, Runner, predictions
from keras_transformer.zoo.errors import InputError
from keras_transformer.zoo.generation.text import TextWriter
from keras_transformer.zoo.tokenizers.target_language import check_language


class KerasRunner(TextWriter):
    """Runs a checkpoint's Keras model, with the face of `Runner`.

    Args:
        path: the checkpoint folder.
        checkpoint: a `Checkpoint` to run instead of what the folder holds.

    Attributes:
        task, labels, pair, precision, max_length, generates, num_truncated: as `Runner` has them.
        columns: names of the columns of the data that the model was trained on, by their use.

    Raises:
        FileNotFoundError: there is no such folder.
        InputError: it is no checkpoint, or a file is missing or was edited.
    """

    def __init__(self, path: str | Path, checkpoint: Any = None):
        from keras_transformer.zoo.checkpoint import Checkpoint

        self.path = Path(path)
        self.checkpoint = Checkpoint.load(path) if checkpoint is None else checkpoint
        self.task = self.checkpoint.task.name
        self.labels = self.checkpoint.labels
        self.tokenizer = self.checkpoint.tokenizer
        self.description = {"task": self.checkpoint.task.to_json()}
        self.pair = self.checkpoint.task.pair
        self.precision = "float32"
        if self.checkpoint.is_quantized:
            self.precision = f"{precision_of(self.checkpoint.bits).name}, simulated"
        self.max_length = self.checkpoint.max_length
        self.columns = self.checkpoint.columns
        if self.checkpoint.task.generates:
            self.generator = self.checkpoint.generator()

    def scores(self, texts: Sequence[str], pairs: Sequence[str] | None = None) -> np.ndarray:
        """Returns the model's outputs (rows, outputs): logits, or predicted numbers."""
        scores = self.checkpoint.scores(texts, pairs)
        self.num_truncated = self.checkpoint.num_truncated
        return scores

    def predict(self, texts: Sequence[str], pairs: Sequence[str] | None = None) -> list[Prediction]:
        """Predicts raw texts, or pairs of them."""
        scores = self.scores(texts, pairs)
        truncated = self.checkpoint.encode(texts, pairs).truncated
        return predictions(self.labels, scores, truncated)

    def perplexity(self, path: str | Path) -> dict[str, float]:
        """Measures a language model on the text of a file, see `Perplexity`."""
        return self.checkpoint.perplexity(path)


def open_predictor(path: str | Path, *, threads: int = 1) -> Runner | KerasRunner:
    """Opens a checkpoint folder, or a `.tflite` file without loading TensorFlow.

    Args:
        path: of either.
        threads: that a file's interpreter may use.

    Raises:
        FileNotFoundError: there is nothing there.
        InputError: it is neither, or damaged.
    """
    path = Path(path)
    if path.is_file():
        return Runner(path, threads=threads)
    if path.exists() or path.suffix != ".tflite":
        return KerasRunner(path)
    raise FileNotFoundError(f"There is no file {path}.")


def columns_of(
    predictor: Runner | KerasRunner, *, language: str | None = None, **given: str | None
) -> dict[str, str | None]:
    """The columns to read: those given, and for the others those that the model was trained on.

    Args:
        predictor: the model, which says what columns its task has.
        language: that a translator of several targets is to write; its column has its name.
        **given: names by use, such as `text`, `label`, `source`; None where none was given.

    Raises:
        InputError: a column is not given, and the file does not say which it was; or one is given
            that the task does not have; or the language is unknown.
    """
    columns = dict(predictor.columns)
    if "target" in columns:
        check_language(predictor.labels, language)
        columns["target"] = language or columns["target"]
    for name, value in given.items():
        if value is None:
            continue
        if name not in columns:
            raise InputError(
                f"Expected no --{name.replace('_', '-')} for a model of {predictor.task}, "
                f"got {value!r}."
            )
        columns[name] = value
    for name, value in columns.items():
        if value is None and (name != "text_pair" or predictor.pair):
            raise InputError(
                f"{predictor.path} does not say what the columns of its data are called; "
                f"give --{name.replace('_', '-')}."
            )
    return columns
