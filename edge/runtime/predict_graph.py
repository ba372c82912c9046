"""A file's `predict`, or the signatures of its heads, at each of its lengths."""

import threading
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

import numpy as np

from keras_transformer.edge.runtime.names import PREDICT, signature_name

if TYPE_CHECKING:
    from ai_edge_litert.interpreter import Interpreter


class PredictGraph:
    """Runs `predict`, or a head's signature; threads that call it take turns.

    Args:
        interpreter: of the file.
        lengths: tokens of the inputs, ascending.
        heads: names of the heads of a file of several.
    """

    def __init__(
        self, interpreter: "Interpreter", lengths: Sequence[int], heads: Iterable[str] = ()
    ):
        self.interpreter = interpreter
        self._lock = threading.Lock()
        self._signatures = {
            (kind, length): interpreter.get_signature_runner(signature_name(kind, length, lengths))
            for kind in (PREDICT, *heads) for length in lengths
        }  # fmt: skip

    def __call__(
        self, length: int, inputs: dict[str, np.ndarray], kind: str = PREDICT
    ) -> dict[str, np.ndarray]:
        """Returns the outputs by name for inputs of a length by name.

        Args:
            length: of the inputs.
            inputs: by name.
            kind: `predict`, or the name of a head.
        """
        # Setting the inputs, computing and reading the outputs are three steps of LiteRT.
        with self._lock:
            return self._signatures[kind, length](**inputs)
