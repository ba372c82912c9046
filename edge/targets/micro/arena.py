"""Arena size that TensorFlow Lite Micro needs for one `.tflite` file, printed by a process.

Run as `python -m keras_transformer.edge.targets.micro.arena FILE`. The interpreter reports missing
ops on the standard error of its process, from C++. The program searches for the smallest arena in
which the model's tensors can be allocated, invokes the model there, and prints the size in bytes.

The search begins with what the interpreter says that it used in an ample arena: in one that is much
too small some ops, which do not check whether they were given memory, end the process.
"""

import os
import re
import sys
import tempfile
from pathlib import Path

import numpy as np
from ai_edge_litert import schema_py_generated as schema
from tflite_micro.python.tflite_micro import runtime

ALIGNMENT = 16
AMPLE = 64 * 2**20 // ALIGNMENT


def load(path: str, size: int) -> runtime.Interpreter:
    """Returns an interpreter with an arena of `size` times `ALIGNMENT` bytes.

    Raises:
        RuntimeError: if the arena is too small, or an op is missing.
    """
    return runtime.Interpreter.from_file(path, arena_size=size * ALIGNMENT)


def used(interpreter: runtime.Interpreter) -> int:
    """Returns the bytes that the interpreter's allocations took."""
    error = sys.stderr.fileno()
    kept = os.dup(error)
    with tempfile.TemporaryFile() as file:
        os.dup2(file.fileno(), error)
        try:
            interpreter.print_allocations()  # from C++
        finally:
            os.dup2(kept, error)
            os.close(kept)
        file.seek(0)
        text = file.read().decode()
    found = re.search(r"Arena allocation total (\d+) bytes", text)
    if found is None:
        raise RuntimeError(f"Expected the interpreter to say how many bytes it used, got {text!r}.")
    return int(found[1])


def smallest(path: str) -> int:
    """Returns the smallest size that `load` accepts."""
    too_small, enough = -(-used(load(path, AMPLE)) // ALIGNMENT) - 1, AMPLE
    while enough - too_small > 1:
        middle = (too_small + enough) // 2
        try:
            load(path, middle)
        except RuntimeError:
            too_small = middle
        else:
            enough = middle
    return enough


def main() -> None:
    """Prints the number of bytes."""
    path = sys.argv[1]
    size = smallest(path)
    interpreter = load(path, size)
    graph = schema.Model.GetRootAs(Path(path).read_bytes()).Subgraphs(0)
    for place in range(graph.InputsLength()):
        # What is not set is whatever the arena held, which may be no token and no segment.
        details = interpreter.get_input_details(place)
        interpreter.set_input(np.ones(details["shape"], details["dtype"]), place)
    interpreter.invoke()
    print(size * ALIGNMENT)


if __name__ == "__main__":
    main()
