"""The model on the device: raw text in, predictions out, with NumPy and ai_edge_litert alone."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from ai_edge_litert.interpreter import Interpreter, InterpreterWithCustomOps

from keras_transformer.edge.runtime.file_decoder import FileSteps
from keras_transformer.edge.runtime.names import (
    EMBEDDING,
    LOGITS,
    PREDICT,
    PROBABILITIES,
    TEXTS,
    shortest_fit,
    signature_name,
)
from keras_transformer.edge.runtime.packed import unpack
from keras_transformer.zoo.data.plain_text import load_plain_text
from keras_transformer.zoo.errors import InputError
from keras_transformer.zoo.generation.scoring import stepwise_perplexity
from keras_transformer.zoo.generation.text import TextGenerator, TextWriter
from keras_transformer.zoo.tokenizers.tokenizer import pad_rows
from keras_transformer.zoo.tokenizers.tokenizer_files import tokenizers_from_files


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


def make_interpreter(
    flatbuffer: bytes, description: Mapping[str, Any], *, threads: int = 1
) -> Interpreter:
    """Returns an interpreter that has the ops of a file.

    Args:
        flatbuffer, description: of `unpack`.
        threads: that it may use.

    Raises:
        InputError: the file has ops of TensorFlow Text, which is not installed.
    """
    if not description.get("custom_ops"):
        return Interpreter(model_content=flatbuffer, num_threads=threads)
    try:
        import tensorflow_text
    except ModuleNotFoundError:
        raise InputError(
            "Expected tensorflow-text, whose ops the file's tokenizer is made of; pip install "
            "tensorflow-text, or convert with --target plain."
        ) from None
    return InterpreterWithCustomOps(
        model_content=flatbuffer, num_threads=threads,
        custom_op_registerers=tensorflow_text.tflite_registrar.SELECT_TFTEXT_OPS,
    )  # fmt: skip


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
        output: what `predict` gives: `LOGITS`, `PROBABILITIES` or `EMBEDDING`.
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
        self.output = description.get("output", LOGITS)
        self.labels = tuple(files["labels.txt"].decode().split("\n")[:-1])
        self.tokenizer, self.target_tokenizer = tokenizers_from_files(files)
        self.interpreter = make_interpreter(flatbuffer, description, threads=threads)
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
            self._inputs = self.interpreter.get_signature_list()[PREDICT]["inputs"]
            self._predict = {
                length: self.interpreter.get_signature_runner(
                    signature_name(PREDICT, length, self.lengths)
                )
                for length in self.lengths
            }

    @property
    def reads_texts(self) -> bool:
        """Whether the file holds a tokenizer in its graph and reads strings."""
        return not self.generates and self._inputs == [TEXTS]

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
        """Returns the outputs (rows, outputs) for ids (rows, T), T at most `max_length`.

        They are logits or numbers of the head, vectors where the file gives an embedding, and
        logarithms of probabilities where it gives those.

        Raises:
            InputError: the file reads texts.
        """
        if self.reads_texts:
            raise InputError(f"Expected a file that reads ids, {self.path} reads texts.")
        outputs = []
        for row, tokens in enumerate(ids):
            num_tokens = int(np.flatnonzero(tokens).max(initial=0)) + 1
            length = shortest_fit(self.lengths, num_tokens)
            columns = {"ids": tokens, "mask": tokens != 0, "segment_ids": np.zeros_like(tokens)}
            if self.pair:
                columns["segment_ids"] = segment_ids[row]
            inputs = {name: pad_rows([columns[name][:length]], length) for name in self._inputs}
            outputs.append(self._logits(self._predict[length](**inputs))[0])
        return np.array(outputs)

    def run_texts(self, texts: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
        """Returns what `run_ids` does for texts (rows,), and the ids (rows, T) that they were.

        Raises:
            InputError: the file reads ids.
        """
        if not self.reads_texts:
            raise InputError(f"Expected a file that reads texts, {self.path} reads ids.")
        found = self._predict[self.max_length](texts=np.array([t.encode() for t in texts], object))
        return self._logits(found), found["ids"]

    def embed(self, texts: Sequence[str]) -> np.ndarray:
        """Returns the vectors (rows, D) of raw texts.

        Raises:
            InputError: the file was not converted to give them.
        """
        if self.output != EMBEDDING:
            raise InputError(
                f"Expected a file that gives embeddings, {self.path} gives {self.output}; convert "
                "with --target mediapipe --embedding."
            )
        encoded = self.tokenizer.encode(texts, max_length=self.max_length)
        self.num_truncated = encoded.num_truncated
        return self.run_ids(*encoded.pad(self.max_length))

    def _logits(self, outputs):
        values = outputs[self.output]
        # A probability below the smallest number is 0, whose logarithm no comparison could use.
        smallest = np.finfo(np.float32).tiny
        return np.log(np.maximum(values, smallest)) if self.output == PROBABILITIES else values

    def _scores(self, texts, pairs):
        """Outputs (rows, outputs), and whether each row was cut."""
        if isinstance(texts, str):
            raise InputError("Expected a list of texts, got one string; put it in a list.")
        if self.generates:
            raise InputError(f"Expected a model that predicts labels, got one of {self.task}.")
        if (pairs is not None) != self.pair:
            expected = "pairs of texts" if self.pair else "single texts"
            raise InputError(f"Expected {expected}, as the model was trained on.")
        if self.output == EMBEDDING:
            raise InputError(f"Expected a file that predicts, {self.path} gives embeddings.")
        outputs, truncated = [], []
        # Row by row, so that the memory in use does not grow with the number of texts.
        for i, text in enumerate(texts):
            second = None if pairs is None else pairs[i : i + 1]
            encoded = self.tokenizer.encode([text], second, max_length=self.max_length)
            if self.reads_texts:
                outputs.append(self.run_texts([text])[0][0])
            else:
                outputs.append(self.run_ids(*encoded.pad(self.max_length))[0])
            truncated.append(bool(encoded.num_truncated))
        self.num_truncated = sum(truncated)
        width = max(1, len(self.labels))
        return np.array(outputs, "float32").reshape(len(outputs), width), truncated
