"""A file's `predict`, at each of its lengths."""

import threading
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from keras_transformer.edge.runtime.names import PREDICT, signature_name

if TYPE_CHECKING:
    from ai_edge_litert.interpreter import Interpreter


class PredictGraph:
    """Runs `predict`; threads that call it take turns.

    Args:
        interpreter: of the file.
        lengths: tokens of the inputs, ascending.
    """

    def __init__(self, interpreter: "Interpreter", lengths: Sequence[int]):
        self.interpreter = interpreter
        self._lock = threading.Lock()
        self._signatures = {
            length: interpreter.get_signature_runner(signature_name(PREDICT, length, lengths))
            for length in lengths
        }

    def __call__(self, length: int, inputs: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Returns the outputs by name for inputs of a length by name."""
        # Setting the inputs, computing and reading the outputs are three steps of LiteRT.
        with self._lock:
            return self._signatures[length](**inputs)
