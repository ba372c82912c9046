"""The plugin of QEMU in count.c: how it is compiled and used, and what it writes."""

import subprocess
from pathlib import Path
from typing import NamedTuple

from keras_transformer.edge.arm64.machine import QEMU, qemu_version
from keras_transformer.zoo.errors import InputError, RunError

_SOURCE = Path(__file__).with_name("count.c")
# In the order of count.c.
CLASSES = (
    "fmla", "sdot", "smmla", "smlal", "other_vector", "load", "store", "branch", "other",
)  # fmt: skip


class Block(NamedTuple):
    """Instructions in a row that were run.

    Attributes:
        address: address of the first one.
        classes: number of instructions that were run, by class.
    """

    address: int
    classes: dict[str, int]


def check_plugins() -> None:
    """Checks that QEMU loads plugins.

    Raises:
        InputError: if it does not.
    """
    done = subprocess.run([QEMU, "-h"], capture_output=True, text=True)
    if "-plugin" not in done.stdout:
        raise InputError(
            "Expected a qemu-aarch64 that loads plugins, as Debian 12's qemu-user does and its "
            f"qemu-user-static does not, got QEMU {qemu_version()} without them."
        )


def compile_plugin(folder: Path) -> Path:
    """Compiles the plugin into a folder by gcc, and returns its path.

    Raises:
        RunError: if gcc fails.
    """
    plugin = folder / "count.so"
    # What it calls is QEMU's own.
    command = ["gcc", "-std=gnu11", "-O2", "-shared", "-fPIC", str(_SOURCE), "-o", str(plugin)]
    done = subprocess.run(command, capture_output=True, text=True, errors="replace")
    if done.returncode:
        raise RunError(f"gcc could not compile {_SOURCE.name}: {done.stderr.strip()[-300:]}")
    return plugin


def options(plugin: Path, out: Path) -> list[str]:
    """Returns the options of QEMU with which the plugin adds its counts to a file."""
    # A comma begins the next option, and two of them are one in a path.
    places = {"file": plugin, "out": out}
    words = [f"{name}={str(path).replace(',', ',,')}" for name, path in places.items()]
    return ["-plugin", ",".join(words)]


def read_counts(out: Path, runs: int) -> list[list[Block]]:
    """Returns what ran between each pair of marks.

    Args:
        out: the file that the plugin wrote.
        runs: number of pairs.

    Raises:
        RunError: if there is another number of them.
    """
    *texts, rest = out.read_text(encoding="ascii").split("\n\n")
    if len(texts) != runs or rest:
        raise RunError(f"The plugin of QEMU wrote {len(texts)} counts of {runs} runs.")
    return [[_block(line) for line in text.splitlines()] for text in texts]


def _block(line: str) -> Block:
    address, times, *counts = line.split()
    found = {name: int(count) * int(times) for name, count in zip(CLASSES, counts, strict=True)}
    return Block(int(address, 16), found)
