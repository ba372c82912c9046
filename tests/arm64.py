"""The emulated ARM64 machine that tests share, and what is run on it."""

import functools
import json
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest

from keras_transformer.edge.arm64.cores import get_core
from keras_transformer.edge.arm64.machine import PYTHON, find_machine
from keras_transformer.zoo.errors import InputError, RunError
from tests.device_wheel import device_wheel

PROGRAM = Path(__file__).parent / "runtimes" / "on_device.py"


@functools.cache
def machine_or_reason(python):
    try:
        return find_machine(print, python)
    except InputError as error:
        return str(error)
    except RunError as error:
        # Where there is no network. That the machine does not run is no reason to skip.
        if "could not fetch" not in str(error):
            raise
        return str(error)


def emulated(python=PYTHON):
    """Returns the machine of the user's cache, made once for all tests; skips where it cannot be.

    Args:
        python: version of its Python.
    """
    found = machine_or_reason(python)
    if isinstance(found, str):
        pytest.skip(found)
    return found


def device_package(folder):
    """Returns the files of the wheel that a device installs, in a folder."""
    zipfile.ZipFile(device_wheel(folder)).extractall(folder / "package")
    return folder / "package"


def answers(jobs, folder, package, *, machine=None, core=None):
    """What files answer to rows: arrays of their outputs, and texts, see on_device.py.

    Args:
        jobs: files, each with its rows: texts, or arrays.
        folder: where to write them.
        package: folder of the device's package.
        machine, core: the machine, and the name of its core; None for this machine.

    Returns:
        for each job, its outputs (all numbers in a row) and its answers as texts.
    """
    folder.mkdir(exist_ok=True)
    lines = []
    for number, (file, rows) in enumerate(jobs):
        given = folder / f"rows_{number}.npz"
        np.savez(given, *[np.array(row) for row in rows])
        lines.append([str(file), str(given)])
    (folder / "jobs.json").write_text(json.dumps(lines))
    out = folder / "out.npz"
    arguments = [str(PROGRAM), str(folder / "jobs.json"), str(out)]
    if machine is not None:
        machine.run(get_core(core), ["-B", *arguments], path=[package])
    else:
        subprocess.run(
            [sys.executable, "-P", *arguments], check=True, env={"PYTHONPATH": str(package)}
        )
    with np.load(out) as found:
        return [(found[f"outputs_{n}"], found[f"answers_{n}"].tolist()) for n in range(len(lines))]
