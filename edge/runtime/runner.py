"""`Runner`: raw rows in, predictions out, on the device, with only NumPy and ai_edge_litert."""

import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

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
from keras_transformer.edge.runtime.opening import open_file
from keras_transformer.edge.runtime.packed import Source, contents, name_of
from keras_transformer.zoo.data.plain_text import load_plain_text
from keras_transformer.zoo.errors import InputError
from keras_transformer.zoo.generation.scoring import stepwise_perplexity
from keras_transformer.zoo.generation.text import TextGenerator
from keras_transformer.zoo.modalities.modality import InputSpec
from keras_transformer.zoo.outputs import Outputs
from keras_transformer.zoo.predictor import Predictor

if TYPE_CHECKING:
    from ai_edge_litert.interpreter import Interpreter


def make_interpreter(
    flatbuffer: bytes, description: Mapping[str, Any], *, threads: int = 1
) -> "Interpreter":
    """Returns an interpreter with the ops that a file needs.

    Args:
        flatbuffer, description: results of `unpack`.
        threads: number of threads.

    Raises:
        InputError: if the file needs TensorFlow Text, which is not installed, or LiteRT refuses it.
    """
    from keras_transformer.edge.runtime.litert import Interpreter, InterpreterWithCustomOps

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


class Runner(Predictor):
    """Runs a `.tflite` file that `keras-transformer convert` wrote.

    Args:
        source: the file: its path, its bytes, or an artifact of `convert`.
        threads: number of interpreter threads.

    Attributes:
        path: path of the file; None if it was loaded from bytes.
        name: the path as text, for messages; `the file` for bytes.
        task: name of the model's task.
        labels: names of the classes, or of the targets of a translator of several.
        precision: precision of the file.
        lengths: input lengths in tokens, ascending; the shortest that fits is run.
        columns: column names of the training data by role.
        output: kind of output of `predict`: `LOGITS`, `PROBABILITIES` or `EMBEDDING`.
        modality: modality of the inputs, with the tokenizers or other encoders of rows.

    Raises:
        FileNotFoundError: if there is no such file.
        InputError: if the file was not made by `convert`, is truncated or modified, or `threads` is
            below 1.
        TypeError: if the source is neither a path nor bytes.
    """

    def __init__(self, source: Source, *, threads: int = 1):
        if type(threads) is not int or threads < 1:
            raise InputError(f"Expected threads to be at least 1, got threads={threads!r}.")
        opened = open_file(source)
        flatbuffer, description = opened.flatbuffer, opened.description
        is_path = isinstance(source, str | os.PathLike)
        self.path = Path(source) if is_path else getattr(source, "path", None)
        self.name, self._source = name_of(source), source
        self.description = description
        self.task = self.task_name = description["task"]["name"]
        self.pair = description["task"]["pair"]
        self.precision = description["precision"]
        # Older files lack these entries: they read texts of one length, and classify or regress.
        self.modality = opened.modality
        self.lengths = description.get("lengths", [self.max_length])
        self.columns = description.get("columns", dict.fromkeys(("text", "text_pair", "label")))
        self.output = description.get("output", LOGITS)
        self.labels = opened.labels
        self.interpreter = make_interpreter(flatbuffer, description, threads=threads)
        generates = PREDICT not in self.interpreter.get_signature_list()
        # Older files do not record the kind.
        kind = "text" if generates else "classes" if self.labels else "number"
        self.output_kind = description.get("output_kind", kind)
        if generates:
            model = description["model"]
            self.reads_sources = model["architecture"] == "encoder-decoder"
            self.steps = FileSteps(
                self.interpreter, model["vocab_size"], model["num_layers"], self.lengths
            )
        else:
            self._inputs = self.interpreter.get_signature_list()[PREDICT]["inputs"]
            self._specs = {spec.name: spec for spec in self.modality.inputs(pair=self.pair)}
            self._predict = {
                length: self.interpreter.get_signature_runner(
                    signature_name(PREDICT, length, self.lengths)
                )
                for length in self.lengths
            }

    def __bytes__(self) -> bytes:
        """The bytes of the file."""
        return contents(self._source)

    def __repr__(self) -> str:
        return f"Runner({self.name}: {self.task_name}, {self.precision}, {self.max_length} tokens)"

    @property
    def reads_texts(self) -> bool:
        """Whether the file holds a tokenizer in its graph and reads strings."""
        return not self.generates and self._inputs == [TEXTS]

    def perplexity(self, path: str | Path) -> dict[str, float]:
        """Returns the perplexity of a language model on a text file, token by token."""
        plain = load_plain_text(path)
        return stepwise_perplexity(self.steps, plain, self.tokenizer, self.max_length)

    def run(self, arrays: Mapping[str, np.ndarray]) -> np.ndarray:
        """Returns the outputs (rows, outputs) for padded inputs of the model by name.

        They are logits or numbers of the head, vectors if the file outputs embeddings, and log
        probabilities if it outputs probabilities.

        Args:
            arrays: inputs (rows, T, ...) with T at most `max_length`, or (rows, ...) of a fixed
                shape.

        Raises:
            InputError: if the file reads texts.
        """
        if self.reads_texts:
            raise InputError(f"Expected a file that reads arrays, {self.name} reads texts.")
        given = self.modality.beside(arrays) | dict(arrays)
        specs = {name: self._specs.get(name, InputSpec(name=name)) for name in self._inputs}
        outputs = []
        for row, positions in enumerate(self.modality.num_real(arrays)):
            length = shortest_fit(self.lengths, int(positions))
            inputs = {
                name: spec.fit(given[name][row : row + 1], length) for name, spec in specs.items()
            }
            outputs.append(self._logits(self._predict[length](**inputs))[0])
        return np.array(outputs)

    def run_texts(self, texts: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
        """Returns the outputs of `run` for texts (rows,), and their ids (rows, T).

        Raises:
            InputError: if the file reads arrays.
        """
        if not self.reads_texts:
            raise InputError(f"Expected a file that reads texts, {self.name} reads arrays.")
        found = self._predict[self.max_length](texts=np.array([t.encode() for t in texts], object))
        return self._logits(found), found["ids"]

    def embed(self, texts: Iterable[Any]) -> np.ndarray:
        """Returns the vectors (rows, D) of raw texts, or of other rows.

        Raises:
            InputError: if the file was not converted to output embeddings.
        """
        if self.output != EMBEDDING:
            raise InputError(
                f"Expected a file that gives embeddings, {self.name} gives {self.output}; convert "
                "with --target mediapipe --embedding."
            )
        encoded = self.modality.encode(*self.modality.checked(texts))
        return self.run(encoded.pad(tuple(self._specs.values()), self.max_length))

    def _logits(self, outputs):
        values = outputs[self.output]
        # A probability that underflows is 0, whose logarithm could not be compared.
        smallest = np.finfo(np.float32).tiny
        return np.log(np.maximum(values, smallest)) if self.output == PROBABILITIES else values

    def _generator(self) -> TextGenerator:
        return TextGenerator(
            self.steps, self.tokenizer, self.target_tokenizer, self.labels,
            reads_sources=self.reads_sources,
        )  # fmt: skip

    def _outputs(self, rows: list[Any], pairs: list[Any] | None) -> Outputs:
        if self.output == EMBEDDING:
            raise InputError(f"Expected a file that predicts, {self.name} gives embeddings.")
        outputs, truncated = [], []
        specs = tuple(self._specs.values())
        # Row by row, so that the memory in use does not grow with the number of rows.
        for i, row in enumerate(rows):
            encoded = self.modality.encode([row], None if pairs is None else pairs[i : i + 1])
            if self.reads_texts:
                outputs.append(self.run_texts([row])[0][0])
            else:
                outputs.append(self.run(encoded.pad(specs, self.max_length))[0])
            truncated += encoded.truncated
        width = max(1, len(self.labels))
        return Outputs(np.array(outputs, "float32").reshape(len(outputs), width), truncated)
