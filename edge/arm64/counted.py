"""Invocations of a `.tflite` file between marks, on the emulated machine.

Run there as `python counted.py FILE RUNS`, with NumPy and ai_edge_litert alone. A mark is the
system call getppid, see count.c. It prints /proc/self/maps, which says what is loaded where.
"""

import gc
import os
import sys

import numpy as np
from ai_edge_litert.interpreter import Interpreter

WARM_UP = 1


def main() -> None:
    """Loads the file, and invokes it with ones: a token of every vocabulary, see `benchmark`."""
    path, runs = sys.argv[1:]
    interpreter = Interpreter(model_path=path, num_threads=1)
    interpreter.allocate_tensors()
    for detail in interpreter.get_input_details():
        interpreter.set_tensor(detail["index"], np.ones(detail["shape"], detail["dtype"]))
    for _ in range(WARM_UP):
        interpreter.invoke()
    gc.disable()
    mark, invoke = os.getppid, interpreter.invoke
    for _ in range(int(runs)):
        mark()
        invoke()
        mark()
    with open("/proc/self/maps", encoding="utf-8") as maps:
        print(maps.read())


if __name__ == "__main__":
    main()
