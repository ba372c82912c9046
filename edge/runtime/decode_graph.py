"""Execution of a file's `decode`, with caches that stay inside the interpreter between steps."""

import threading
import weakref
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from keras_transformer.edge.runtime.engines import Claim
from keras_transformer.edge.runtime.names import DECODE
from keras_transformer.zoo.errors import InputError

if TYPE_CHECKING:
    from ai_edge_litert.interpreter import Interpreter


class Row:
    """The immutable state of one row after the tokens read so far.

    Attributes:
        position: position of its next token.
        memory: tensors of the source by name, the same object for all rows of a source.
        caches: keys and values by name; None while they are only in the interpreter.
        claim: claim on the interpreter that computes the row, the same for all rows of a text.
    """

    __slots__ = ("__weakref__", "caches", "claim", "memory", "position")

    def __init__(
        self,
        position: int,
        memory: Mapping[str, np.ndarray],
        caches: Mapping[str, np.ndarray] | None,
        claim: Claim["DecodeGraph"],
    ):
        self.position = position
        self.memory = memory
        self.caches = caches
        self.claim = claim


class DecodeGraph:
    """Feeds tokens to `decode`, the file's main graph; threads that do so take turns.

    A signature runner would copy all caches out of the interpreter and back, which takes as long as
    a small model itself. Here the inputs hold what a step's outputs were made of, so that the next
    step of the same row copies the keys and values of one token; caches are read out only for a row
    that is still referenced when another is stepped.

    Args:
        interpreter: interpreter of the file. Signature runners of it must be temporary: it refuses
            to run its main graph while one exists.
        names: names of the caches.

    Attributes:
        interpreter: the interpreter.
        empty: caches by name without tokens.
    """

    def __init__(self, interpreter: "Interpreter", names: Sequence[str]):
        interpreter.allocate_tensors()
        runner = interpreter.get_signature_runner(DECODE)
        inputs, outputs = runner.get_input_details(), runner.get_output_details()
        self.interpreter = interpreter
        self._lock = threading.Lock()
        self._inputs = {name: detail["index"] for name, detail in inputs.items()}
        self._logits = outputs["logits"]["index"]
        self._read = {name: interpreter.tensor(inputs[name]["index"]) for name in names}
        self._written = {name: interpreter.tensor(outputs[name]["index"]) for name in names}
        self.empty = {name: np.zeros(inputs[name]["shape"], np.float32) for name in names}
        self._length = next(iter(self.empty.values())).shape[1]
        self._memory = None
        self._row_read = self._row_written = _nothing
        # Whether the inputs have all tokens of the outputs but the last.
        self._is_behind = False

    def step(self, token: int, row: Row) -> tuple[np.ndarray, Row]:
        """Returns the logits (V,) after appending a token to a row, and the longer row.

        Raises:
            InputError: if the row fills its caches.
        """
        if row.position >= self._length:
            raise InputError(
                f"Expected positions below the cache's {self._length}, got T=1 from "
                f"position={row.position}."
            )
        with self._lock:
            self._load(row)
            self._set("ids", np.array([[token]], np.int32))
            self._set("position", np.array([row.position], np.int32))
            # The graph does not write to its inputs: they still contain the row that was read.
            self._row_written = _nothing
            self.interpreter.invoke()
            longer = Row(row.position + 1, row.memory, None, row.claim)
            self._row_written, self._is_behind = weakref.ref(longer), True
            return self.interpreter.get_tensor(self._logits)[0], longer

    def run(self, signature: str, inputs: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Returns the outputs of another signature."""
        with self._lock:
            return self.interpreter.get_signature_runner(signature)(**inputs)

    def _load(self, row):
        """Puts a row into the graph's inputs, and saves what stood there and is still held."""
        read, written = self._row_read(), self._row_written()
        if written is not None and written is not row:
            _save(written, self._written)
        if row is not read:
            if read is not None:
                _save(read, self._read)
            # An interrupt may leave the inputs half written, which no row is then taken to be.
            self._row_read = _nothing
            if row is written and self._is_behind:
                last = slice(row.position - 1, row.position)
                for name, view in self._read.items():
                    view()[:, last] = self._written[name]()[:, last]
            else:
                self._is_behind = False
                for name, view in self._read.items():
                    np.copyto(view(), self._written[name]() if row is written else row.caches[name])
            self._row_read = weakref.ref(row)
        if row.memory is not self._memory:
            self._memory = None
            for name, value in row.memory.items():
                self._set(name, value)
            self._memory = row.memory

    def _set(self, name, value):
        self.interpreter.set_tensor(self._inputs[name], value)


def _nothing():
    """In place of a reference to a row that is gone."""
    return None


def _save(row, views):
    if row.caches is None:
        row.caches = {name: view().copy() for name, view in views.items()}
