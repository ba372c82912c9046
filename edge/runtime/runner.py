"""`Runner`: raw rows in, predictions out, on the device, with only NumPy and ai_edge_litert."""

import functools
import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from keras_transformer.edge.runtime.engines import Engines
from keras_transformer.edge.runtime.file_decoder import FileSteps
from keras_transformer.edge.runtime.head_passes import Passes
from keras_transformer.edge.runtime.interpreters import ReadFile, check_counts, open_graph
from keras_transformer.edge.runtime.names import (
    EMBEDDING,
    LOGITS,
    PREDICT,
    PROBABILITIES,
    TEXTS,
    shortest_fit,
    vector_width,
)
from keras_transformer.edge.runtime.opening import open_file
from keras_transformer.edge.runtime.packed import Source, contents, name_of
from keras_transformer.zoo.data.plain_text import load_plain_text
from keras_transformer.zoo.errors import InputError
from keras_transformer.zoo.generation.scoring import stepwise_perplexity
from keras_transformer.zoo.generation.text import Each, Generation, TextGenerator, in_turn
from keras_transformer.zoo.generation.transcriber import generator_of
from keras_transformer.zoo.outputs import BY_POSITION, Outputs, pad_positions, vectors_as
from keras_transformer.zoo.predictor import Predictor
from keras_transformer.zoo.worker import Worker

if TYPE_CHECKING:
    from ai_edge_litert.interpreter import Interpreter


# Rows that are sent to a worker at once: few enough that all end at about the same time.
_ROWS_OF_A_CALL = 64


class Runner(Predictor):
    """Runs a `.tflite` file that `keras-transformer convert` wrote.

    Any threads may use one runner at once. A copy of it, also one that was pickled, has the same
    file and interpreters of its own; so has a runner in a process that was forked.

    Args:
        source: the file: its path, its bytes, or an artifact of `convert`.
        threads: number of interpreter threads for one row.
        workers: number of processes that compute at once where `predict`, `scores` and `generate`
            have several rows or threads. Each loads the file; they start when they are needed and
            end with this process. With 1 this process computes itself.

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
        InputError: if the file was not made by `convert`, is truncated or modified, or `threads` or
            `workers` is not from 1 to 1024.
        TypeError: if the source is neither a path nor bytes.
    """

    _chats_by_turns = True

    def __init__(self, source: Source, *, threads: int = 1, workers: int = 1):
        check_counts(threads=threads, workers=workers)
        is_path = isinstance(source, str | os.PathLike)
        self.path = Path(source) if is_path else getattr(source, "path", None)
        self.name = name_of(source)
        self._file = ReadFile(contents(source), source if is_path else self.path)
        self._counts = {"threads": threads, "workers": workers}
        opened = open_file(self._file)
        self.description = description = opened.description
        self.task = self.task_name = description["task"]["name"]
        self.pair = description["task"]["pair"]
        self.precision = description["precision"]
        # Older files lack these entries: they read texts of one length, and classify or regress.
        self.modality = opened.modality
        self.lengths = description.get("lengths", [self.max_length])
        self.columns = description.get("columns", dict.fromkeys(("text", "text_pair", "label")))
        self.output = description.get("output", LOGITS)
        self.labels, self.decision = opened.labels, opened.decision
        self.stride = opened.stride
        self._engines: Engines[Any] = Engines(
            functools.partial(open_graph, self._file, description, self.lengths, threads), 1
        )
        self._workers: Engines[Worker] | None = None
        self._heads = {}
        self._passes = Passes(self._engines)
        if workers > 1:
            there = functools.partial(type(self), threads=threads)
            self._workers = Engines(
                functools.partial(Worker, there, self._file), workers, Worker.forget
            )
        generates = PREDICT not in self.interpreter.get_signature_list()
        # Older files do not record the kind.
        kind = "text" if generates else "classes" if self.labels else "number"
        self.output_kind = description.get("output_kind", kind)
        if generates:
            model = description["model"]
            self.reads_sources = model["architecture"] == "encoder-decoder"
            self.steps = FileSteps(
                self._engines, model["vocab_size"], model["num_layers"], self.lengths
            )
            # Not when it is first needed: the lock of that could be held where a process forks.
            self._own_generator = self.generator()
        else:
            self._inputs = self.interpreter.get_signature_list()[PREDICT]["inputs"]
            self._specs = {spec.name: spec for spec in self.modality.inputs(pair=self.pair)}

    @property
    def interpreter(self) -> "Interpreter":
        """LiteRT's, to look into; only the runner may let several threads compute with it."""
        return self._engines.claim().engine.interpreter

    def __reduce__(self) -> tuple[Any, ...]:
        """A copy reads the same bytes, whatever has become of the path."""
        return functools.partial(type(self), **self._counts), (self._file,)

    def __bytes__(self) -> bytes:
        """The bytes of the file."""
        return self._file.data

    def __repr__(self) -> str:
        return f"Runner({self.name}: {self.task_name}, {self.precision}, {self.max_length} tokens)"

    @property
    def head_names(self) -> tuple[str, ...]:
        """Names of the tasks of a file of several."""
        return tuple(self.description.get("heads", ()))

    @property
    def _called(self) -> str:
        return self.name

    def _head(self, name: str) -> "Runner":
        from keras_transformer.edge.runtime.head_runner import HeadRunner

        return HeadRunner(self, name)

    def predict(self, rows: Iterable[Any], pairs: Iterable[Any] | None = None) -> list[Any]:
        """Predicts for raw rows, see `Predictor`; all tasks of a file of several in one pass."""
        with self._passes.kept():
            return super().predict(rows, pairs)

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

        They are logits or numbers of the head, or vectors; of a file that outputs probabilities,
        logits less a constant of the row. A file whose outputs are `BY_POSITION` gives logits at
        each (rows, T, outputs), 0 beyond the length that it ran.

        Args:
            arrays: inputs (rows, T, ...) with T at most `max_length`, or (rows, ...) of a fixed
                shape.

        Raises:
            InputError: if the file reads texts.
        """
        if self.reads_texts:
            raise InputError(f"Expected a file that reads arrays, {self.name} reads texts.")
        given = self.modality.beside(arrays) | dict(arrays)
        beside = self.modality.spec_beside
        specs = {name: self._specs.get(name) or beside(name) for name in self._inputs}
        lengths = [shortest_fit(self.lengths, int(n)) for n in self.modality.num_real(arrays)]

        def output(row: int) -> np.ndarray:
            inputs = {
                name: spec.fit(given[name][row : row + 1], lengths[row])
                for name, spec in specs.items()
            }
            return self._predict(lengths[row], inputs)[0][0]

        outputs = [output(row) for row in range(len(lengths))]
        if self.output_kind not in BY_POSITION:
            return np.array(outputs)
        return pad_positions(outputs, next(iter(arrays.values())).shape[1])

    def run_texts(self, texts: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
        """Returns the outputs of `run` for texts (rows,), and their ids (rows, T).

        Raises:
            InputError: if the file reads arrays.
        """
        if not self.reads_texts:
            raise InputError(f"Expected a file that reads texts, {self.name} reads arrays.")
        encoded = np.array([text.encode() for text in texts], object)
        outputs, found = self._predict(self.max_length, {TEXTS: encoded})
        return outputs, found["ids"]

    def embed(
        self, rows: Any = None, *, width: int | None = None, dtype: str = "float32", **kinds: Any
    ) -> np.ndarray:
        """Returns the vectors (rows, D) of raw rows; InputError if the file outputs none."""
        if self.embeds or self.matches_kinds or kinds:
            return super().embed(rows, width=width, dtype=dtype, **kinds)
        if self.output != EMBEDDING:
            raise InputError(
                f"Expected a file that gives embeddings, {self.name} gives {self.output}; convert "
                "with --target mediapipe --embedding."
            )
        encoded = self.modality.encode(*self.modality.checked(rows))
        vectors = self.run(encoded.pad(tuple(self._specs.values()), self.max_length))
        return vectors_as(vectors, width, dtype)

    def _predict(self, length, inputs):
        """Returns logits as `run` does, and all outputs of the graph by name."""
        claim = self._engines.claim()
        values = (found := claim.engine(length, inputs))[self.output]
        if self.output == PROBABILITIES:
            divisor = np.float32(self.description.get("output_temperature", 1.0))
            # A probability that underflows is 0, whose logarithm could not be compared.
            values = divisor * np.log(np.maximum(values, np.finfo(np.float32).tiny))
        return values, found

    def generations(self, texts: Iterable[str], **options: Any) -> list[Generation]:
        """Returns the results of `generate` with log probabilities and truncation flags."""
        if self._workers is None or not self.generates or options.get("on_text") is not None:
            return super().generations(texts, **options)
        texts, workers = self._own_generator.checked(texts), self._workers
        if not texts:
            return super().generations(texts, **options)

        def written(part: range) -> list[Generation]:
            claim = workers.claim()
            return claim.engine.call("_written", texts, part, options)

        return sum(workers.each(written, self._parts(len(texts), len(texts))), [])

    def _written(self, texts, part, options):
        """Generations of a part of the texts, which sample and fail by their places among all."""

        def each(function, groups):
            in_turn(function, [group for group in groups if group[0] in part])

        return self.generator(each=each).generate(texts, **options)

    def _parts(self, count, most):
        """Ranges of rows for a call each: a few for each worker, of at most so many rows."""
        size = max(1, min(most, -(-count // (4 * self._workers.count))))
        return [range(first, min(first + size, count)) for first in range(0, count, size)]

    @property
    def _validation_metrics(self) -> Mapping[str, Any]:
        return self.description.get("metrics") or {}

    def _generator(self, *, each: Each = in_turn) -> TextGenerator:
        return generator_of(
            self.steps, self.modality, self.labels, reads_sources=self.reads_sources, each=each
        )

    def _outputs(self, rows: list[Any], pairs: list[Any] | None) -> Outputs:
        if self.output == EMBEDDING and not self.embeds:
            raise InputError(f"Expected a file that predicts, {self.name} gives embeddings.")
        if self._workers is not None and rows:
            return self._gathered(self._workers, rows, pairs)
        specs = tuple(self._specs.values())
        outputs, truncated = [], []
        # Row by row, so that the memory in use does not grow with the number of rows.
        for i, row in enumerate(rows):
            encoded = self.modality.encode([row], None if pairs is None else pairs[i : i + 1])
            if self.reads_texts:
                outputs.append(self.run_texts([row])[0][0])
            else:
                outputs.append(self.run(encoded.pad(specs, self.max_length))[0])
            truncated += encoded.truncated
        width = vector_width(self.description) if self.embeds else max(1, len(self.labels))
        return Outputs(np.array(outputs, "float32").reshape(len(outputs), width), truncated)

    def encoded_outputs(self, columns: Mapping[str, list[np.ndarray]]) -> list[np.ndarray]:
        count = len(next(iter(columns.values())))
        if self._workers is not None and count:
            def some(part: range) -> tuple[dict[str, list[np.ndarray]]]:
                return ({name: rows[part.start : part.stop] for name, rows in columns.items()},)

            return sum(self._by_workers(self._workers, "encoded_outputs", some, count), [])
        rows = ({name: one[row][None] for name, one in columns.items()} for row in range(count))
        return [self.run(row)[0] for row in rows]

    def _by_workers(self, workers, method, arguments, count):
        """Results of a method for the parts of rows that the workers compute, in order."""

        def computed(part: range) -> Any:
            claim = workers.claim()
            return claim.engine.call(method, *arguments(part))

        return workers.each(computed, self._parts(count, _ROWS_OF_A_CALL))

    def _gathered(self, workers, rows, pairs):
        """Outputs as the workers compute them."""

        def some(part: range) -> tuple[list[Any], list[Any] | None]:
            first, end = part.start, part.stop
            return rows[first:end], None if pairs is None else pairs[first:end]

        found = self._by_workers(workers, "_outputs", some, len(rows))
        truncated = [cut for one in found for cut in one.truncated]
        return Outputs(np.concatenate([one.scores for one in found]), truncated)
