"""A checkpoint folder or a `.tflite` file, opened alike."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from keras_transformer.edge.runtime import Prediction, Runner, predictions
from keras_transformer.zoo.errors import InputError


class KerasRunner:
    """Runs a checkpoint's Keras model, with the face of `Runner`.

    Args:
        path: the checkpoint folder.

    Attributes:
        task, labels, pair, precision, max_length, num_truncated: as `Runner` has them.
        columns: `text`, `text_pair` and `label` of the data that the model was trained on.

    Raises:
        FileNotFoundError: there is no such folder.
        InputError: it is no checkpoint, or a file is missing or was edited.
    """

    def __init__(self, path: str | Path):
        from keras_transformer.zoo.trained import Trained

        self.path = Path(path)
        self.trained = Trained.load(path)
        recipe = self.trained.recipe
        self.task = self.trained.task
        self.labels = self.trained.labels
        self.pair = self.trained.task_spec.pair
        self.precision = "int8, simulated" if self.trained.is_quantized else "float32"
        self.max_length = self.trained.max_length
        self.columns = {
            "text": recipe.text, "text_pair": recipe.text_pair, "label": recipe.label
        }  # fmt: skip

    @property
    def num_truncated(self) -> int:
        """Rows of the last call that were cut to `max_length`."""
        return self.trained.num_truncated

    def scores(self, texts: Sequence[str], pairs: Sequence[str] | None = None) -> np.ndarray:
        """Returns the model's outputs (rows, outputs): logits, or predicted numbers."""
        return self.trained.scores(texts, pairs)

    def predict(
        self, texts: Sequence[str], pairs: Sequence[str] | None = None
    ) -> list[Prediction]:
        """Predicts raw texts, or pairs of them."""
        scores = self.scores(texts, pairs)
        seconds = [None] * len(texts) if pairs is None else [[pair] for pair in pairs]
        truncated = [
            bool(self.trained.encode([text], second).num_truncated)
            for text, second in zip(texts, seconds, strict=True)
        ]
        return predictions(self.task, self.labels, scores, truncated)


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
    predictor: Runner | KerasRunner, *, text: str | None, text_pair: str | None, label: str | None
) -> dict[str, str | None]:
    """The columns to read: those given, and for the others those that the model was trained on.

    Raises:
        InputError: a column is not given, and the file does not say which it was.
    """
    given = {"text": text, "text_pair": text_pair, "label": label}
    columns = {**predictor.columns, **{name: v for name, v in given.items() if v is not None}}
    for name in ("text", "label", *(("text_pair",) if predictor.pair else ())):
        if columns.get(name) is None:
            raise InputError(
                f"{predictor.path} does not say what the columns of its data are called; "
                f"give --{name.replace('_', '-')}."
            )
    return {name: columns.get(name) for name in given}
