"""MediaPipe's tasks in an interpreter of their own, which has MediaPipe."""

import json
import os
import subprocess
from pathlib import Path

import pytest

PYTHON = os.environ.get("MEDIAPIPE_PYTHON")
SCRIPT = Path(__file__).with_name("mediapipe_tasks.py")
needs_mediapipe = pytest.mark.skipif(
    not PYTHON, reason="MEDIAPIPE_PYTHON names no interpreter that has MediaPipe"
)


def in_mediapipe(**request):
    """Returns what the script answers to a request."""
    child = subprocess.run(
        [PYTHON, str(SCRIPT)], input=json.dumps(request), capture_output=True, text=True,
        timeout=300,
    )  # fmt: skip
    assert child.returncode == 0, child.stderr[-2000:]
    return json.loads(child.stdout.splitlines()[-1])
