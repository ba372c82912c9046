"""Logs of runs: a line for each value, in CSV or JSON Lines."""

import csv
import io
import json
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

FIELDS = ("time", "step", "name", "value")


@contextmanager
def logged(
    path: Path | None, note: Callable[[str], None]
) -> Iterator[Callable[[str, float, int], None] | None]:
    """Provides a function `(name, value, step)` that adds a line to a file; None for None.

    Each line has also the seconds since 1970. Where it can no longer be written, such as on a full
    disk, a note says so and the run goes on without it.

    Args:
        path: file, which is made, or goes on where it is; `.csv`, or else JSON Lines.
        note: function that prints a note.

    Raises:
        OSError: if the file cannot be written at the start.
    """
    if path is None:
        yield None
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    # Unbuffered, so that closing it has nothing left to write.
    with open(path, "ab", buffering=0) as file:
        yield _Lines(path, file, note)


class _Lines:
    """Writes each line at once, so that what is there can be read while the run goes on."""

    def __init__(self, path: Path, file: BinaryIO, note: Callable[[str], None]):
        self._path, self._file, self._note = path, file, note
        self._line = _of_csv if path.suffix == ".csv" else _of_json
        self._is_whole = True
        if path.suffix == ".csv" and not file.tell():
            file.write(_of_csv(FIELDS))

    def __call__(self, name: str, value: float, step: int) -> None:
        if not self._is_whole:
            return
        try:
            self._file.write(self._line((round(time.time(), 3), step, name, value)))
        except OSError as error:
            self._is_whole = False
            self._note(
                f"{self._path} ends before step {step} ({error.strerror}); the run goes on "
                "without it."
            )


def _of_csv(values: Sequence[Any]) -> bytes:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerow(values)
    return text.getvalue().encode()


def _of_json(values: Sequence[Any]) -> bytes:
    return f"{json.dumps(dict(zip(FIELDS, values, strict=True)))}\n".encode()
