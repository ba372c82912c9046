"""The process that reads damaged inputs one after the other; it may die, and another goes on.

`python -m tests.fuzz.worker KIND SEEDS FOLDER SEED FIRST COUNT` prints a line of JSON before each
input and one after it.
"""

import json
import os
import random
import resource
import shutil
import sys
import time
import traceback
from pathlib import Path

from keras_transformer.cli.errors import CommandError, in_one_sentence
from tests.fuzz.kinds import KINDS

MEMORY = 2 << 30
# So that a fault does not take the machine's memory before it is counted.
_ADDRESS_SPACE = 16 << 30
_WRITES = ("os.mkdir", "os.rename", "os.remove", "os.rmdir", "os.symlink", "os.link", "os.truncate")


def main(kind_name: str, seeds: Path, folder: Path, seed: str, first: int, count: int) -> None:
    """Reads inputs, each in an empty folder."""
    kind = KINDS[kind_name]
    home = folder / "home"
    home.mkdir(exist_ok=True)
    os.chdir(home)
    resource.setrlimit(resource.RLIMIT_AS, (_ADDRESS_SPACE, _ADDRESS_SPACE))
    # What reads them is imported before the first one is timed.
    outcome, text = _outcome(kind.read(seeds / kind.whole, random.Random(0)))
    if outcome != "fine":
        raise AssertionError(f"{seeds / kind.whole} is not whole: {text}")
    outside: list[str] = []
    sys.addaudithook(lambda event, args: _note_write(event, args, folder, outside))
    for number in range(first, first + count):
        rng = random.Random(f"{seed} {kind_name} {number}")
        place = folder / "input"
        shutil.rmtree(place, ignore_errors=True)
        place.mkdir()
        path = kind.make(seeds, place, rng)
        print(json.dumps({"begins": number}), flush=True)
        began, busy = time.monotonic(), time.process_time()
        outcome, text = _outcome(kind.read(path, rng))
        found = {
            "number": number, "outcome": outcome, "text": text,
            "seconds": time.monotonic() - began, "cpu": time.process_time() - busy,
            "bytes": max(
                _own_bytes(), 1024 * resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
            ),
            "outside": [*outside, *sorted(str(one) for one in home.iterdir())],
        }  # fmt: skip
        outside.clear()
        print(json.dumps(found), flush=True)
        if found["bytes"] > MEMORY:
            return  # the most that was used stays in the figures of this process


def _own_bytes() -> int:
    """The most memory that this process has used.

    Not `ru_maxrss`, which begins with the memory of the process that started this one, such as that
    of a whole test run.
    """
    with open("/proc/self/status") as lines:
        return 1024 * next(int(line.split()[1]) for line in lines if line.startswith("VmHWM:"))


def _outcome(steps) -> tuple[str, str]:
    """`fine`, `sentence` or `traceback`, and what was said."""
    said = "fine", ""
    for step in steps:
        try:
            with in_one_sentence():
                step()
        except CommandError as error:
            if not str(error.message).strip():
                return "traceback", "an error of no words"
            said = "sentence", error.message[:300]
        except Exception:
            return "traceback", traceback.format_exc()[-3000:]
    return said


def _note_write(event, args, folder, outside):
    """Notes paths outside the folder that something is written to."""
    paths = []
    if event == "open":
        path, mode, flags = args
        if isinstance(path, str | bytes | os.PathLike) and (
            set(mode or "") & set("wax+") or (flags or 0) & (os.O_WRONLY | os.O_RDWR | os.O_CREAT)
        ):
            paths = [path]
    elif event in _WRITES:
        paths = [one for one in args if isinstance(one, str | bytes | os.PathLike)]
    for one in paths:
        absolute = os.path.abspath(os.fsdecode(one))
        if not absolute.startswith((f"{folder}{os.sep}", "/dev/")) and absolute != str(folder):
            outside.append(absolute)


if __name__ == "__main__":
    name, seeds_at, folder_at, seed_of, first_of, count_of = sys.argv[1:]
    main(name, Path(seeds_at), Path(folder_at), seed_of, int(first_of), int(count_of))
