"""A graph for an NPU and the host's part of it, run here before they are compiled."""

from collections.abc import Mapping

import numpy as np

from keras_transformer.edge.runtime.litert import Interpreter
from keras_transformer.edge.runtime.names import PREDICT
from keras_transformer.edge.targets.ethos.prepare import Ends
from keras_transformer.zoo.errors import RunError

# Difference of two float32 computations of a vector's length, relative to the largest number.
_ROUNDING = 1e-6


def check_same(
    flatbuffer: bytes, graph: bytes, ends: Ends, columns: Mapping[str, np.ndarray]
) -> None:
    """Checks that the host and a graph compute what a file does, in every integer.

    Args:
        flatbuffer: the file's graph.
        graph: the one that is made of it.
        ends: the host's part.
        columns: rows (n, ...) of the file's inputs by name.

    Raises:
        RunError: if an output differs.
    """
    expected = _run(flatbuffer, columns)
    interpreter = Interpreter(model_content=graph)
    details = interpreter.get_signature_runner(PREDICT).get_output_details()
    found = _run(graph, ends.inputs(columns))
    for name, values in found.items():
        scale, zero = details[name]["quantization"]
        numbers = ends.numbers(values, scale, zero) if scale else values
        off = np.abs(numbers - expected[name]).max()
        # In other units, or of length 1, they are rounded in another order of float32.
        if off > (_ROUNDING * np.abs(expected[name]).max() if ends.steps else 0.0):
            raise RunError(
                "Expected the graph that is compiled to compute what the file of integers does, "
                f"got a difference of {off:.3g}; please report it with the model's config."
            )


def _run(flatbuffer: bytes, columns: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """The outputs by name for each row."""
    predict = Interpreter(model_content=flatbuffer).get_signature_runner(PREDICT)
    types = {name: one["dtype"] for name, one in predict.get_input_details().items()}
    found: dict[str, list[np.ndarray]] = {}
    for row in range(len(next(iter(columns.values())))):
        inputs = {name: columns[name][row][None].astype(kind) for name, kind in types.items()}
        for name, values in predict(**inputs).items():
            found.setdefault(name, []).append(values)
    return {name: np.concatenate(rows) for name, rows in found.items()}
