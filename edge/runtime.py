"""The model on the device: raw text in, predictions out, with NumPy and ai_edge_litert alone."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from ai_edge_litert.interpreter import Interpreter

from keras_transformer.edge.bundle import unpack
from keras_transformer.zoo.errors import InputError
from keras_transformer.zoo.tokenizer import Tokenizer

SIGNATURE = "predict"


class Prediction(NamedTuple):
    """One text's result.

    Attributes:
        label: the most probable class; None for regression.
        score: its probability, or the predicted number.
        scores: probability of each label; empty for regression.
        truncated: whether tokens were cut to the model's length.
    """

    label: str | None
    score: float
    scores: dict[str, float]
    truncated: bool


def predictions(
    task: str, labels: Sequence[str], scores: np.ndarray, truncated: Sequence[bool]
) -> list[Prediction]:
    """Reads outputs (rows, outputs) as predictions."""
    if task == "regression":
        return [
            Prediction(None, float(row[0]), {}, cut)
            for row, cut in zip(scores, truncated, strict=True)
        ]
    exponents = np.exp(scores - scores.max(axis=1, keepdims=True, initial=-np.inf))
    results = []
    probabilities = exponents / exponents.sum(axis=1, keepdims=True)
    for row, cut in zip(probabilities, truncated, strict=True):
        named = dict(zip(labels, row.tolist(), strict=True))
        best = int(row.argmax())
        results.append(Prediction(labels[best], float(row[best]), named, cut))
    return results


class Runner:
    """Runs a `.tflite` file that `keras-transformer convert` wrote.

    Args:
        path: the file.
        threads: that the interpreter may use.

    Attributes:
        task: `classification` or `regression`.
        labels: names of the classes.
        precision: of the file.
        max_length: tokens of an example.
        columns: `text`, `text_pair` and `label` of the data that the model was trained on.
        num_truncated: rows of the last call that were cut to `max_length`.

    Raises:
        FileNotFoundError: there is no such file.
        InputError: the file is not one of ours, cut short, or changed.
    """

    def __init__(self, path: str | Path, *, threads: int = 1):
        flatbuffer, description, files = unpack(path)
        self.path = Path(path)
        self.description = description
        self.task = description["task"]["name"]
        self.pair = description["task"]["pair"]
        self.precision = description["precision"]
        self.max_length = description["max_length"]
        self.columns = description.get("columns", {})
        self.labels = tuple(files["labels.txt"].decode().split("\n")[:-1])
        self.tokenizer = Tokenizer.from_files(files)
        self.num_truncated = 0
        self.interpreter = Interpreter(model_content=flatbuffer, num_threads=threads)
        self._run = self.interpreter.get_signature_runner(SIGNATURE)

    def predict(
        self, texts: Sequence[str], pairs: Sequence[str] | None = None
    ) -> list[Prediction]:
        """Predicts raw texts, or pairs of them.

        Raises:
            InputError: for a single string, or second texts that are missing or not expected.
        """
        scores, truncated = self._scores(texts, pairs)
        return predictions(self.task, self.labels, scores, truncated)

    def scores(self, texts: Sequence[str], pairs: Sequence[str] | None = None) -> np.ndarray:
        """Returns the model's outputs (rows, outputs): logits, or predicted numbers."""
        return self._scores(texts, pairs)[0]

    def run_ids(self, ids: np.ndarray, segment_ids: np.ndarray | None = None) -> np.ndarray:
        """Returns the outputs (rows, outputs) for ids (rows, T), T at most `max_length`."""
        width = self.max_length - ids.shape[1]
        outputs = []
        for row in range(len(ids)):
            inputs = {"ids": np.pad(ids[row : row + 1], ((0, 0), (0, width)))}
            if self.pair:
                inputs["segment_ids"] = np.pad(segment_ids[row : row + 1], ((0, 0), (0, width)))
            outputs.append(self._run(**inputs)["output"][0])
        return np.array(outputs)

    def _scores(self, texts, pairs):
        """Outputs (rows, outputs), and whether each row was cut."""
        if isinstance(texts, str):
            raise InputError("Expected a list of texts, got one string; put it in a list.")
        if (pairs is not None) != self.pair:
            expected = "pairs of texts" if self.pair else "single texts"
            raise InputError(f"Expected {expected}, as the model was trained on.")
        outputs, truncated = [], []
        # Row by row, so that the memory in use does not grow with the number of texts.
        for i, text in enumerate(texts):
            second = None if pairs is None else pairs[i : i + 1]
            encoded = self.tokenizer.encode([text], second, max_length=self.max_length)
            outputs.append(self.run_ids(*encoded.pad(self.max_length))[0])
            truncated.append(bool(encoded.num_truncated))
        self.num_truncated = sum(truncated)
        width = max(1, len(self.labels))
        return np.array(outputs, "float32").reshape(len(outputs), width), truncated
