"""Runs every command that writes where it cannot, and through links; needs the right to mount.

    python -m tests.kills.full_disk

Each command writes to a disk in memory of several sizes, from nothing to nearly enough, once anew
and once over what is there; its temporary folders are on a full disk in a third turn. It has to
end with one sentence, to leave what was there, and to leave nothing new but the states of a run,
from which `--resume` goes on to the same files once there is room. Then it writes as a user who may
not write there, which is one sentence too, and to a link that leads to nothing yet, which stays.
"""

import argparse
import dataclasses
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from tests.edge.demo.pages import install_litertjs
from tests.kills.jobs import SETTINGS, jobs, run, train_words, write_data
from tests.kills.killing import contents, differing, warm_up
from tests.zoo import tiny

SHARES = (0.0, 0.4, 0.9)
PLENTY = 256 * 2**20
NOBODY = 65534
RESUMED = ("train", "quantize", "prune", "distill", "search")
# Files that hold a time, of their making or of what was measured.
_TIMED = (".litertlm", ".onnx", "MODEL_CARD.md", ".json", ".pb", ".html", ".pt", ".png", ".svg",
          "variables.data-00000-of-00001", "variables.index")  # fmt: skip
# TensorFlow's, which forgets it where the disk is full.
_NOT_OURS = "__autograph_generated_file"


@dataclasses.dataclass(frozen=True)
class Case:
    """A command that writes.

    Attributes:
        name: of the command.
        words: of the command, but for the path.
        option: that takes the path.
        out: name of the path.
        overwrite: whether it has `--overwrite`.
    """

    name: str
    words: tuple[str, ...]
    option: str = "--out"
    out: str = "out"
    overwrite: bool = True


def cases(work: Path) -> list[Case]:
    """Returns the commands, for data, checkpoints and a file in a folder."""
    model, file = str(work / "model"), str(work / "model.tflite")
    calibration = ("--calibration", str(work / "train.tsv"))
    convert = [
        ("plain", "model.tflite", ("--precision", "int8", *calibration)),
        ("mediapipe", "model.tflite", ()), ("text", "model.tflite", ()),
        ("micro", "model.tflite", ("--precision", "integer", *calibration)),
        ("onnx", "out", ()), ("torchscript", "out", ()), ("saved_model", "out", ()),
    ]  # fmt: skip
    return [
        *(Case(job.name, job.words) for job in jobs(work) if "clusters" not in job.name),
        *(
            Case(f"convert {target}", ("convert", model, "--target", target, *more), out=out)
            for target, out, more in convert
        ),
        Case(
            "convert litertlm", ("convert", str(work / "writer"), "--target", "litertlm"),
            out="model.litertlm",
        ),
        Case("demo", ("demo", file, "--litert", str(work / "npm")), "--export", overwrite=False),
        Case(
            "sensitivity", ("sensitivity", model, "--data", str(work / "validation.tsv")),
            "--plot", "plot.png",
        ),
        Case(
            "tensorboard", (*train_words(work), "--overwrite", "--out", str(work / "curves")),
            "--tensorboard", overwrite=False,
        ),
    ]  # fmt: skip


class Disk:
    """A file system in memory."""

    def __init__(self, folder: Path):
        self.folder = folder
        folder.mkdir(exist_ok=True)
        subprocess.run(["mount", "-t", "tmpfs", "tmpfs", str(folder)], check=True)

    def resize(self, size: int) -> None:
        """Sets the size in bytes; what is there has to fit."""
        # tmpfs takes 0 for no limit.
        size = max(4096, size)
        subprocess.run(["mount", "-o", f"remount,size={size}", str(self.folder)], check=True)

    @property
    def used(self) -> int:
        """Bytes that are taken."""
        return shutil.disk_usage(self.folder).used

    def close(self) -> None:
        """Unmounts it, and all that is on it is gone."""
        subprocess.run(["umount", str(self.folder)], check=True)


def sentences(log: Path) -> list[str]:
    """Returns what is wrong with the last words of a command."""
    lines = log.read_text(encoding="utf-8", errors="replace").splitlines()
    wrong = ["a traceback"] if any("Traceback" in line for line in lines) else []
    errors = [line for line in lines if line.startswith("Error: ")]
    if len(errors) != 1 or lines[-1] != errors[0]:
        wrong.append(f"no one sentence at the end: {lines[-1:]}")
    return wrong


def same(found: dict[str, bytes], expected: dict[str, bytes]) -> bool:
    """Whether two results have the same files, and in them the same but for times."""
    return not [name for name in differing(found, expected) if not name.endswith(_TIMED)]


def try_case(case: Case, work: Path, expected: dict[str, bytes], size: int, share: float,
             over: dict[str, bytes]) -> tuple[int, list[str]]:  # fmt: skip
    """Runs a case on one size of disk.

    Args:
        case: the case.
        work: folder of the data.
        expected: what it writes where there is room.
        size: of the disk that it needs.
        share: of that size which there is.
        over: what is there before, by name.

    Returns:
        Its exit code, and what was wrong.
    """
    disk = Disk(work / "disk")
    log = work / "disk.log"
    log.unlink(missing_ok=True)
    try:
        for name, data in over.items():
            path = disk.folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)
        disk.resize(disk.used + int(size * share))
        words = [*case.words, case.option, disk.folder / case.out]
        code, _ = run([*words, *(["--overwrite"] if over else [])], log)
        if code == 0:
            return code, []
        wrong = sentences(log)
        left = contents(disk.folder)
        goes_on = case.name.split()[0] in RESUMED
        known = (".training/", "results.json", "checkpoints/", ".tflite")
        more = [name for name in left if name not in over]
        if [name for name in more if not (goes_on and any(part in name for part in known))]:
            wrong.append(f"left behind: {more}")
        if not more and sorted(disk.folder.iterdir()) != sorted(
            {disk.folder / Path(name).parts[0] for name in over}
        ):
            wrong.append(f"left behind: {sorted(path.name for path in disk.folder.iterdir())}")
        if case.name != "search" and {name: left.get(name) for name in over} != over:
            wrong.append("what was there is gone")
        if goes_on:
            disk.resize(PLENTY)
            more = ["--overwrite"] if over else []
            again, _ = run([*words, "--resume", *more], log)
            found = {
                name: data for name, data in contents(disk.folder).items()
                if name in expected or "training" in name or "/." in name
            }  # fmt: skip
            if again or not same(found, expected):
                wrong.append(f"--resume exits {again} and gives {differing(found, expected)}")
        return code, wrong
    finally:
        disk.close()


def try_temporary(case: Case, work: Path, size: int) -> tuple[int, list[str]]:
    """Runs a case while temporary folders are on a full disk."""
    disk, log, out = Disk(work / "disk"), work / "disk.log", work / "elsewhere"
    log.unlink(missing_ok=True)
    out.mkdir()
    try:
        disk.resize(size)
        code, _ = run([*case.words, case.option, out / case.out], log, temporary=disk.folder)
        if code == 0:
            return code, []
        temporary = (one for one in disk.folder.iterdir() if not one.name.startswith(_NOT_OURS))
        left = [*temporary, *(() if "search" in case.name else out.iterdir())]
        wrong = sentences(log)
        return code, [*wrong, *(f"left behind: {path.name}" for path in left)]
    finally:
        disk.close()
        shutil.rmtree(out)


def try_closed(case: Case, work: Path) -> tuple[int, list[str]]:
    """Runs a case as a user who may not write to its folder."""
    out, log = work / "closed", work / "closed.log"
    log.unlink(missing_ok=True)
    out.mkdir(mode=0o755)
    try:
        code, _ = run([*case.words, case.option, out / "new" / case.out], log, user=NOBODY)
        wrong = sentences(log) if code else ["it exits 0"]
        return code, [*wrong, *(f"left behind: {path.name}" for path in out.iterdir())]
    finally:
        shutil.rmtree(out)


def try_link(case: Case, work: Path, expected: dict[str, bytes]) -> tuple[int, list[str]]:
    """Runs a case with a link that leads to nothing yet."""
    out, log = work / "linked", work / "linked.log"
    log.unlink(missing_ok=True)
    out.mkdir()
    try:
        (out / case.out).symlink_to(Path("there") / case.out)
        code, _ = run([*case.words, case.option, out / case.out], log)
        found = contents(out / "there") if (out / "there").exists() else {}
        wrong = [] if same(found, expected) else [f"other files: {differing(found, expected)}"]
        names = sorted(path.name for path in out.iterdir())
        if names != sorted([case.out, "there"]) or not (out / case.out).is_symlink():
            wrong.append(f"beside the link: {names}")
        return code, wrong
    finally:
        shutil.rmtree(out)


def prepare(work: Path) -> None:
    """Makes the data, the checkpoints and the file."""
    write_data(work)
    tiny.write_texts(work)
    log = work / "prepared.log"
    writer = (
        "train", "gpt_nano", "--task", "language-modeling", "--train", work / "text.txt",
        "--validation", work / "text_validation.txt", "--tokenizer", "sentencepiece",
        "--vocab-size", "300", *SETTINGS, "--max-length", "16", "--epochs", "1",
        "--out", work / "writer",
    )  # fmt: skip
    for words in (
        (*train_words(work), "--out", work / "model"), writer,
        ("convert", work / "model", "--out", work / "model.tflite"),
    ):  # fmt: skip
        code, _ = run(words, log)
        if code:
            sys.exit(log.read_text(encoding="utf-8"))
    install_litertjs(work / "npm")


def main() -> None:
    """Prints a line for each case, and what was wrong."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cases", default="", help="names with commas between; all by default")
    parser.add_argument("--no-disks", action="store_true", help="only users and links")
    given = parser.parse_args()
    work = Path(tempfile.mkdtemp(prefix="full-disk-"))
    work.chmod(0o755)
    warm_up()
    prepare(work)
    bad = tried = failed = 0
    for case in cases(work):
        if given.cases and case.name not in given.cases.split(","):
            continue
        disk = Disk(work / "disk")
        log = work / "disk.log"
        log.unlink(missing_ok=True)
        code, _ = run([*case.words, case.option, disk.folder / case.out], log)
        size, expected = disk.used, contents(disk.folder)
        disk.close()
        if code:
            sys.exit(f"{case.name} exits {code}: {log.read_text(encoding='utf-8')}")
        turns = [(share, over) for over in ({}, expected) for share in SHARES]
        results = [
            (f"{share:.0%} of {size}{', over' if over else ''}",
             try_case(case, work, expected, size, share, over))
            for share, over in turns
            if not given.no_disks and (not over or (case.overwrite and share == 0.4))
        ]  # fmt: skip
        results += [
            (f"temporary of {size}", try_temporary(case, work, size)) for size in (0, 40_000)
            if not given.no_disks and case.name.split()[0] in ("convert", "search", "demo")
        ]  # fmt: skip
        results.append(("closed", try_closed(case, work)))
        # TensorBoard's own files have the time in their names.
        if case.name != "tensorboard":
            results.append(("link", try_link(case, work, expected)))
        tried += len(results)
        failed += sum(code != 0 for _, (code, _) in results)
        for turn, (code, wrong) in results:
            bad += bool(wrong)
            print(f"{case.name}, {turn}: exit {code} {wrong or ''}", flush=True)
    print(f"{tried} turns, {failed} that could not be, {bad} wrong")
    shutil.rmtree(work)
    sys.exit(bool(bad))


if __name__ == "__main__":
    main()
