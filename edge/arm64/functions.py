"""Names of the functions in a process of the emulated machine, by their addresses."""

import bisect
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


class Functions:
    """The functions of what a process has loaded.

    Args:
        maps: its /proc/self/maps.
    """

    def __init__(self, maps: str):
        self._loaded = _loaded(maps.splitlines())
        self._tables: dict[str, tuple[list[int], list[str]]] = {}

    def at(self, address: int) -> str:
        """Returns the name of the function that an address is in; `?` where it has none."""
        for one in self._loaded:
            if one.start <= address < one.end:
                if one.path not in self._tables:
                    self._tables[one.path] = _table(one.path)
                starts, names = self._tables[one.path]
                place = bisect.bisect_right(starts, address - one.start) - 1
                return names[place] if place >= 0 else f"{UNNAMED} in {Path(one.path).name}"
        return UNNAMED


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


def _table(path: str) -> tuple[list[int], list[str]]:
    """The addresses in a file at which functions start, ascending, and their names."""
    command = ["readelf", "--symbols", "--wide", "--demangle", path]
    done = subprocess.run(command, capture_output=True, text=True, errors="replace")
    if done.returncode:
        raise RunError(f"readelf could not read {path}: {done.stderr.strip()[-300:]}")
    functions = {}
    for line in done.stdout.splitlines():
        # Number: value size type bind visibility section name
        words = line.split(maxsplit=7)
        if len(words) == 8 and words[3] == "FUNC" and words[6] != "UND":
            # Without the arguments and the version, which stand behind the name.
            functions[int(words[1], 16)] = words[7].split("(")[0].split("@")[0].strip()
    starts = sorted(functions)
    return starts, [functions[start] for start in starts]
