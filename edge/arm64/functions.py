"""Names of the functions in a process of the emulated machine, by their addresses."""

import bisect
import functools
import subprocess
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from keras_transformer.zoo.errors import RunError

# What has no name: code that is made at run time, or a library without a table of symbols.
UNNAMED = "?"


class _Loaded(NamedTuple):
    """A file in memory: its first address, the one behind its last, and its path."""

    start: int
    end: int
    path: str


class _Function(NamedTuple):
    """A function in a file: its first address there, the one behind its last, and its name."""

    start: int
    end: int
    name: str


class Functions:
    """The functions of what a process has loaded.

    Args:
        maps: its /proc/self/maps.
    """

    def __init__(self, maps: str):
        self._loaded = _loaded(maps.splitlines())

    def at(self, address: int) -> str:
        """Returns the name of the function that an address is in; `?` where it has none."""
        for one in self._loaded:
            if one.start <= address < one.end:
                name = _named(_table(one.path), address - one.start)
                return name or f"{UNNAMED} in {Path(one.path).name}"
        return UNNAMED


def _named(table: list[_Function], place: int) -> str | None:
    """The function that a place in a file is in."""
    index = bisect.bisect_right(table, place, key=lambda one: one.start) - 1
    return table[index].name if index >= 0 and place < table[index].end else None


def _loaded(lines: Iterable[str]) -> list[_Loaded]:
    """Files from their lines `start-end rights offset device inode path`, each in one stretch."""
    found: dict[str, _Loaded] = {}
    for line in lines:
        words = line.split(maxsplit=5)
        if len(words) < 6 or not words[5].startswith("/"):
            continue
        start, end = (int(word, 16) for word in words[0].split("-"))
        first = found.get(words[5])
        found[words[5]] = _Loaded(first.start if first else start, end, words[5])
    return list(found.values())


@functools.cache
def _table(path: str) -> list[_Function]:
    """The functions of a file, by address."""
    command = ["readelf", "--symbols", "--wide", "--demangle", path]
    done = subprocess.run(command, capture_output=True, text=True, errors="replace")
    if done.returncode:
        raise RunError(f"readelf could not read {path}: {done.stderr.strip()[-300:]}")
    functions = {}
    for line in done.stdout.splitlines():
        # Number: value size type bind visibility section name
        words = line.split(maxsplit=7)
        if len(words) == 8 and words[3] == "FUNC" and words[6] != "UND":
            start, size = int(words[1], 16), int(words[2], 0)
            # Without the arguments and the version, which stand behind the name.
            name = words[7].split("(")[0].split("@")[0].strip()
            functions[start] = _Function(start, start + size, name)
    return sorted(functions.values())
