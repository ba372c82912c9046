"""Peak memory of one `.tflite` file, measured and printed by a separate process.

Run as `python -m keras_transformer.edge.compare.memory FILE THREADS`. It imports NumPy and
ai_edge_litert alone, maps the file as a device does, invokes the model a few times and prints how
much its resident memory peaked (VmHWM of /proc/self/status) above its level before loading, in
bytes.
"""

import sys

import numpy as np
from ai_edge_litert.interpreter import Interpreter

INVOCATIONS = 5
STATUS = "/proc/self/status"


def peak_resident() -> int:
    """Returns VmHWM of this process, in bytes."""
    with open(STATUS, encoding="ascii") as file:
        kibibytes = next(line.split()[1] for line in file if line.startswith("VmHWM:"))
    return int(kibibytes) * 1024


def main() -> None:
    """Loads the file, runs it and prints the number."""
    path, threads = sys.argv[1:]
    before = peak_resident()
    interpreter = Interpreter(model_path=path, num_threads=int(threads))
    interpreter.allocate_tensors()
    for detail in interpreter.get_input_details():
        interpreter.set_tensor(detail["index"], np.ones(detail["shape"], detail["dtype"]))
    for _ in range(INVOCATIONS):
        interpreter.invoke()
    print(peak_resident() - before)


if __name__ == "__main__":
    main()
