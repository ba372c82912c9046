"""The process in which `trial` runs a file: prints what LiteRT makes of it as JSON.

`python -m keras_transformer.edge.runtime.checks.trial_process FILE OPS`, where OPS is a list of the
names of its custom ops, in JSON.
"""

import contextlib
import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from ai_edge_litert.interpreter import Interpreter, InterpreterWithCustomOps

# Bytes of address space, more for a larger file.
_ADDRESS_SPACE, _ADDRESS_SPACE_PER_BYTE = 4 << 30, 16
_MESSAGE_LENGTH = 200


def _bound(size: int) -> None:
    """Limits the memory of this process, where the system can, and lets it leave no dump."""
    with contextlib.suppress(ModuleNotFoundError):  # Windows has no such limits
        import resource

        most = _ADDRESS_SPACE + _ADDRESS_SPACE_PER_BYTE * size
        resource.setrlimit(resource.RLIMIT_AS, (most, most))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def _run(path: Path, custom_ops: Sequence[str]) -> dict[str, Any]:
    flatbuffer = path.read_bytes()
    if custom_ops:
        import tensorflow_text

        interpreter = InterpreterWithCustomOps(
            model_content=flatbuffer,
            custom_op_registerers=tensorflow_text.tflite_registrar.SELECT_TFTEXT_OPS,
        )
    else:
        _bound(len(flatbuffer))
        interpreter = Interpreter(model_content=flatbuffer)
    interpreter.allocate_tensors()
    ops = [
        {
            "op_name": node["op_name"],
            "inputs": list(map(int, node["inputs"])),
            "outputs": list(map(int, node["outputs"])),
        }
        for node in interpreter._get_ops_details()
    ]
    not_finite = {}
    for key in interpreter.get_signature_list():
        runner = interpreter.get_signature_runner(key)
        inputs = {name: _input(detail) for name, detail in runner.get_input_details().items()}
        outputs = runner(**inputs)
        not_finite[key] = [name for name, value in outputs.items() if not _is_finite(value)]
    return {"not_finite": not_finite, "ops": ops}


def _input(detail: Mapping[str, Any]) -> np.ndarray:
    """The shortest text there is, or ones, which are tokens too."""
    value = np.ones(detail["shape"], detail["dtype"])
    return np.full(detail["shape"], b"a", object) if value.dtype.kind == "S" else value


def _is_finite(value: np.ndarray) -> bool:
    return value.dtype.kind != "f" or bool(np.isfinite(value).all())


def main(path: str, custom_ops: str) -> None:
    """Prints what LiteRT makes of a file, or the error that it raises."""
    try:
        found = _run(Path(path), json.loads(custom_ops))
    except ModuleNotFoundError as error:
        found = {"error": f"its ops need the module {error.name}, which is not installed"}
    except (ValueError, RuntimeError, MemoryError) as error:
        found = {"error": " ".join(str(error).split())[:_MESSAGE_LENGTH] or "LiteRT refuses it"}
    print(json.dumps(found))


if __name__ == "__main__":
    main(*sys.argv[1:])
