"""The model on the device: raw text in, predictions out, with NumPy and ai_edge_litert alone."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from ai_edge_litert.interpreter import Interpreter

from keras_transformer.edge.bundle import unpack
from keras_transformer.edge.file_steps import FileSteps
from keras_transformer.edge.names import PREDICT, shortest_fit, signature_name
from keras_transformer.zoo.errors import InputError
from keras_transformer.zoo.plain_text import load_plain_text
from keras_transformer.zoo.scoring import stepwise_perplexity
from keras_transformer.zoo.text_generation import TextGenerator, TextWriter
from keras_transformer.zoo.tokenizer import pad_rows
from keras_transformer.zoo.tokenizer_files import tokenizers_from_files


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


class Runner(TextWriter):
    """Runs a `.tflite` file that `keras-transformer convert` wrote.

    Args:
        path: the file.
        threads: that the interpreter may use.

    Attributes:
        task: name of the model's task.
        labels: names of the classes, or of the targets of a translator of several.
        precision: of the file.
        max_length: tokens of an example; of a source, or of a prompt and what follows it.
        lengths: tokens of the file's inputs, ascending; the shortest that fits is run.
        columns: names of the columns of the data that the model was trained on, by their use.
        tokenizer: of the text that is read.
        target_tokenizer: of the text that is written, if it has one of its own.
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
        # Older files do not say these: they have one length, and classify or measure texts.
        self.lengths = description.get("lengths", [self.max_length])
        self.columns = description.get("columns", dict.fromkeys(("text", "text_pair", "label")))
        self.labels = tuple(files["labels.txt"].decode().split("\n")[:-1])
        self.tokenizer, self.target_tokenizer = tokenizers_from_files(files)
        self.interpreter = Interpreter(model_content=flatbuffer, num_threads=threads)
        if PREDICT not in self.interpreter.get_signature_list():
            model = description["model"]
            steps = FileSteps(
                self.interpreter, model["vocab_size"], model["num_layers"], self.lengths
            )
            self.steps = steps
            self.generator = TextGenerator(
                steps, self.task, self.tokenizer, self.target_tokenizer, self.labels
            )
        else:
            self._predict = {
                length: self.interpreter.get_signature_runner(
                    signature_name(PREDICT, length, self.lengths)
                )
                for length in self.lengths
            }

    def perplexity(self, path: str | Path) -> dict[str, float]:
        """Measures a language model on the text of a file, token by token."""
        plain = load_plain_text(path)
        return stepwise_perplexity(self.steps, plain, self.tokenizer, self.max_length)

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
        outputs = []
        for row, tokens in enumerate(ids):
            num_tokens = int(np.flatnonzero(tokens).max(initial=0)) + 1
            length = shortest_fit(self.lengths, num_tokens)
            inputs = {"ids": pad_rows([tokens[:length]], length)}
            if self.pair:
                inputs["segment_ids"] = pad_rows([segment_ids[row][:length]], length)
            outputs.append(self._predict[length](**inputs)["output"][0])
        return np.array(outputs)

    def _scores(self, texts, pairs):
        """Outputs (rows, outputs), and whether each row was cut."""
        if isinstance(texts, str):
            raise InputError("Expected a list of texts, got one string; put it in a list.")
        if self.generates:
            raise InputError(f"Expected a model that predicts labels, got one of {self.task}.")
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
