"""Kills runs at random file operations and by the clock, resumes them, and compares.

    python -m tests.kills.killing --kills 200 --seed 0

A job runs once unbroken, and then again and again: it is killed, once to four times, before a
file operation, in the middle of writing a file, or by the clock, and then resumed to the end. That
has to exit with 0, to give the same files, weights bit for bit, and to leave nothing else behind.
"""

import argparse
import importlib
import json
import random
import shutil
import sys
import tempfile
import time
from pathlib import Path

from keras_transformer.cli.main import COMMANDS
from tests.kills.jobs import Job, jobs, run, train_words, write_data

# What a run measures of time and memory, and no two are alike in.
_NOT_COMPARED = ("results.json", "report.html", "pareto.svg", "pareto.png")


def contents(out: Path) -> dict[str, bytes]:
    """Returns the files of what a job wrote, by name."""
    return {
        path.relative_to(out).as_posix(): path.read_bytes()
        for path in sorted(out.rglob("*")) if path.is_file()
    }  # fmt: skip


def differing(found: dict[str, bytes], expected: dict[str, bytes]) -> list[str]:
    """Returns the names of files that are missing, more, or others."""
    return [
        name for name in sorted({*found, *expected})
        if (name in found) != (name in expected)
        or (found[name] != expected[name] and name not in _NOT_COMPARED)
    ]  # fmt: skip


class Trial:
    """One job in a folder of its own, killed and resumed.

    Args:
        job: the job.
        folder: to work in.
        seconds, operations: of the unbroken run.
        expected: what that wrote.
    """

    def __init__(
        self, job: Job, folder: Path, seconds: float, operations: int, expected: dict[str, bytes]
    ):
        self.job, self.folder = job, folder
        self.seconds, self.operations, self.expected = seconds, operations, expected
        self.log = folder.with_suffix(".log")
        self.kills: list[str] = []
        self.wrong: list[str] = []

    def run(self, rng: random.Random) -> None:
        """Kills and resumes, and notes what is wrong."""
        self.folder.mkdir()
        words = [*self.job.words, "--out", str(self.folder / "out")]
        times = rng.choice((1, 1, 2, 3, 4))
        for number in range(times):
            given = [*words, "--resume"] if number else words
            if rng.random() < 0.7:
                operation = rng.randint(1, self.operations)
                code, _ = run(given, self.log, operation=operation, rng=rng)
                how = f"before operation {operation}"
            else:
                seconds = rng.uniform(0.2, self.seconds)
                code, _ = run(given, self.log, seconds=seconds)
                how = f"after {seconds:.2f} s"
            if code == -9:
                self.kills.append(how)
            elif code:
                self.wrong.append(f"exit {code} where it was to be killed {how}")
        code, _ = run([*words, "--resume"], self.log)
        if code:
            self.wrong.append(f"--resume exits {code}")
        out = self.folder / "out"
        if out.exists():
            others = differing(contents(out), self.expected)
            if others:
                self.wrong.append(f"other files: {', '.join(others)}")
        left = sorted(path.name for path in self.folder.iterdir() if path != out)
        if left:
            self.wrong.append(f"left behind: {', '.join(left)}")


def unbroken(job: Job, folder: Path) -> tuple[float, int, dict[str, bytes]]:
    """Runs a job to its end: its seconds, its file operations and its files."""
    folder.mkdir()
    start = time.monotonic()
    code, operations = run([*job.words, "--out", folder / "out"], folder.with_suffix(".log"))
    if code:
        sys.exit(f"{job.name} exits {code}: {folder.with_suffix('.log')}")
    return time.monotonic() - start, operations, contents(folder / "out")


def warm_up() -> None:
    """Imports what the commands import, and computes nothing: processes are forked from this."""
    for module, _, _ in COMMANDS.values():
        importlib.import_module(module)
    for module in (
        "cli.display", "cli.memory", "edge.choose.search", "edge.choose.report",
        "edge.choose.figures", "edge.compress.prune", "edge.distill.distill",
        "edge.quantize.qat", "zoo.training",
    ):  # fmt: skip
        importlib.import_module(f"keras_transformer.{module}")
    # Of zip files; a user who may not read the interpreter finds no more of it.
    importlib.import_module("encodings.cp437")


def main() -> None:
    """Reads the options, and prints the counts."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--jobs", default="", help="names with commas between; all by default")
    parser.add_argument("--folder", type=Path, help="kept, with the logs; else a temporary one")
    given = parser.parse_args()
    work = given.folder or Path(tempfile.mkdtemp(prefix="kills-"))
    work.mkdir(parents=True, exist_ok=True)
    write_data(work)
    warm_up()
    if not (work / "model").exists():
        run([*train_words(work), "--out", work / "model"], work / "model.log")
    chosen = [job for job in jobs(work) if not given.jobs or job.name in given.jobs.split(",")]
    known = {job.name: unbroken(job, work / job.name.replace(" ", "-")) for job in chosen}
    for name, (seconds, operations, _) in known.items():
        print(f"{name}: {seconds:.1f} s, {operations} file operations", flush=True)
    rng, trials, number = random.Random(given.seed), [], 0
    while sum(len(trial.kills) for trial in trials) < given.kills:
        # A search takes as long as ten of the others.
        order = [job for job in chosen if job.name != "search" or number % (3 * len(chosen)) < 7]
        job = order[number % len(order)]
        number += 1
        trial = Trial(job, work / f"trial-{number}", *known[job.name])
        trial.run(rng)
        trials.append(trial)
        print(f"{number} {job.name}: killed {trial.kills} {trial.wrong or 'same'}", flush=True)
        if not trial.wrong:
            shutil.rmtree(trial.folder)
            trial.log.unlink()
    wrong = [trial for trial in trials if trial.wrong]
    print(json.dumps({
        "runs": len(trials), "kills": sum(len(trial.kills) for trial in trials),
        "wrong": len(wrong),
    }))  # fmt: skip
    if not given.folder and not wrong:
        shutil.rmtree(work)
    sys.exit(bool(wrong))


if __name__ == "__main__":
    main()
