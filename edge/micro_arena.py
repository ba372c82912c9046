"""What TensorFlow Lite Micro needs to run one `.tflite` file, printed by a process of its own.

Run as `python -m keras_transformer.edge.micro_arena FILE`. The interpreter reports to the standard
error of the process, from C++, and ends it where it cannot go on. It loads the file in an arena
that is large enough, invokes the model once and lists its allocations; then once more in an arena
of just that size.
"""

import sys

import numpy as np
from tflite_micro.python.tflite_micro import runtime

AMPLE_BYTES = 64 * 2**20


def run(path: str, arena: int) -> runtime.Interpreter:
    """Returns an interpreter that was invoked on tokens to the full length."""
    interpreter = runtime.Interpreter.from_file(path, arena_size=arena)
    details = interpreter.get_input_details(0)
    interpreter.set_input(np.ones(details["shape"], details["dtype"]), 0)
    interpreter.invoke()
    return interpreter


if __name__ == "__main__":
    file, *size = sys.argv[1:]
    interpreter = run(file, int(size[0]) if size else AMPLE_BYTES)
    interpreter.print_allocations()
