"""The wheel that a device installs, for tests of what is in it."""

import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent


def device_wheel(folder: Path) -> Path:
    """Returns the path of the wheel, which is made in a folder from a copy of the sources there."""
    sources = folder / "sources"
    for name in ("keras_transformer", "zoo", "edge"):
        shutil.copytree(ROOT / name, sources / name)
    command = [sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "--no-build-isolation"]
    subprocess.run([*command, "-w", folder, sources / "edge" / "runtime"], check=True)
    [wheel] = folder.glob("*.whl")
    return wheel
