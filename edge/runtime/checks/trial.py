"""Runs a file's signatures once in a process of its own, which may die, hang or grow too large."""

import json
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from keras_transformer.zoo.errors import InputError

# Seconds that a file may take, more where it is larger.
_SECONDS, _BYTES_A_SECOND = 6.0, 2_000_000
_TEXT_SECONDS = 60.0  # TensorFlow has to be loaded
_PROCESS = f"{__package__}.trial_process"


class Trial(NamedTuple):
    """What LiteRT made of a file.

    Attributes:
        not_finite: names of outputs that hold NaN or infinities, by signature.
        ops: of the main graph, as the interpreter lists them once its tensors are allocated.
    """

    not_finite: dict[str, list[str]]
    ops: list[dict[str, Any]]


def try_file(flatbuffer: bytes, custom_ops: Sequence[str], name: str) -> Trial:
    """Runs each signature of a file once, on ones, in a process that ends after it.

    Args:
        flatbuffer: the graphs.
        custom_ops: names of its ops of TensorFlow Text.
        name: of the file, for messages.

    Raises:
        InputError: LiteRT refuses the file, crashes, or takes too long or too much.
    """
    seconds = _TEXT_SECONDS if custom_ops else _SECONDS + len(flatbuffer) / _BYTES_A_SECOND
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model"
        path.write_bytes(flatbuffer)
        command = [sys.executable, "-P", "-m", _PROCESS, str(path), json.dumps(list(custom_ops))]
        try:
            done = subprocess.run(command, capture_output=True, timeout=seconds, check=False)
        except subprocess.TimeoutExpired:
            raise InputError(
                f"{name} cannot be run: LiteRT had not run each of its signatures once after "
                f"{seconds:.0f} seconds."
            ) from None
    if done.returncode:
        raise InputError(
            f"{name} cannot be run: LiteRT ended with code {done.returncode} in a process of its "
            "own."
        )
    found = json.loads(done.stdout.splitlines()[-1])
    if "error" in found:
        raise InputError(f"{name} cannot be run: {found['error']}.")
    return Trial(**found)
