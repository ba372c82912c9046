"""Commands on tiny models in forked processes, which a file operation or the clock may kill."""

import atexit
import codecs
import dataclasses
import os
import random
import shutil
import signal
import sys
import tempfile
import time
import traceback
from collections.abc import Sequence
from pathlib import Path

from tests.zoo import tiny
from tests.zoo.pretrained.tiny import REFERENCES
from tests.zoo.training.test_fine_tuning import write_words

SETTINGS = [word for name, value in tiny.SETTINGS.items() for word in ("--set", f"{name}={value}")]
# What changes something on the disk. `open` is one of them where it may write.
OPERATIONS = {"os.rename", "os.remove", "os.rmdir", "os.mkdir", "os.link", "os.truncate"}


@dataclasses.dataclass(frozen=True)
class Job:
    """A command that writes to `--out`.

    Attributes:
        name: of the command, and what sets it apart.
        words: of the command, but for `--out`.
    """

    name: str
    words: tuple[str, ...]


def jobs(folder: Path) -> list[Job]:
    """Returns the commands, for data and a checkpoint in a folder."""
    model = str(folder / "model")
    validation = str(folder / "validation.tsv")
    return [
        Job("train", train_words(folder)),
        Job("train adapter", adapter_words(folder)),
        Job("quantize", ("quantize", model, "--epochs", "2")),
        Job("prune sparsity", ("prune", model, "--sparsity", "0.5", "--epochs", "2")),
        Job("prune heads", ("prune", model, "--heads", "1", "--epochs", "2")),
        Job("prune clusters", ("prune", model, "--clusters", "8", "--epochs", "2")),
        Job("distill", ("distill", model, "bert_tiny", *SETTINGS, "--epochs", "2")),
        Job(
            "search",
            ("search", model, "--data", validation, "--precisions", "int8", "--qat", "--runs", "2"),
        ),
    ]


def train_words(folder: Path) -> tuple[str, ...]:
    """Returns the words of a run of `train`, but for `--out`."""
    return (
        "train", "bert_tiny", "--train", str(folder / "train.tsv"), "--validation",
        str(folder / "validation.tsv"), *SETTINGS, "--vocab-size", "80", "--max-length", "16",
        "--batch-tokens", "256", "--bucket", "16", "--learning-rate", "0.01", "--epochs", "3",
        "--save-every", "2", "--ema", "0.8", "--token-dropout", "0.1",
    )  # fmt: skip


def adapter_words(folder: Path) -> tuple[str, ...]:
    """Returns the words of a run of `train` that saves an adapter, but for `--out`."""
    return (
        "train", str(folder / "bert"), "--train", str(folder / "words" / "train.tsv"),
        "--validation", str(folder / "words" / "validation.tsv"), "--lora", "2", "--adapter",
        "--learning-rate", "0.02", "--batch-tokens", "60", "--epochs", "3", "--save-every", "2",
        "--ema", "0.8",
    )  # fmt: skip


def write_data(folder: Path) -> None:
    """Writes the data of all jobs, and the published model of the adapter."""
    tiny.write_tables(folder)
    (folder / "words").mkdir(exist_ok=True)
    write_words(folder / "words")
    shutil.copytree(REFERENCES / "bert", folder / "bert", dirs_exist_ok=True)


class Killer:
    """Ends its process at a file operation, or counts them all.

    Args:
        number: of the operation before which it ends; None for none.
        rng: draws how much of a file that is written is on the disk by then.
    """

    def __init__(self, number: int | None, rng: random.Random):
        self.number, self.rng, self.count = number, rng, 0
        self.sync = os.fsync
        os.fsync = self._fsync
        sys.addaudithook(self._hear)

    def _hear(self, event: str, args: tuple) -> None:
        if event in OPERATIONS or (event == "open" and self._writes(args)):
            self._meet()

    def _writes(self, args: tuple) -> bool:
        flags = args[2]
        return bool(flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT)) and args[0] != os.devnull

    def _fsync(self, descriptor: int) -> None:
        if self.count + 1 == self.number and os.path.isfile(f"/proc/self/fd/{descriptor}"):
            size = os.fstat(descriptor).st_size
            os.ftruncate(descriptor, self.rng.randint(0, size))
        self._meet()
        self.sync(descriptor)

    def _meet(self) -> None:
        self.count += 1
        if self.count == self.number:
            os.kill(os.getpid(), signal.SIGKILL)


def run(
    words: Sequence[str], log: Path, *, operation: int | None = None, seconds: float | None = None,
    rng: random.Random | None = None, temporary: Path | None = None, user: int = 0,
) -> tuple[int, int]:  # fmt: skip
    """Runs a command in a forked process.

    Args:
        words: of the command.
        log: file of what it says.
        operation: see `Killer`.
        seconds: after which it is killed, if it has not ended.
        rng: see `Killer`.
        temporary: where temporary folders are made; by default where the system has them.
        user: as whom it runs; 0 for the one who asks.

    Returns:
        The exit code, -9 where it was killed, and the number of file operations if it was not.
    """
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        if temporary is not None:
            os.environ["TMPDIR"], tempfile.tempdir = str(temporary), None
        if user:
            codecs.lookup("ascii")  # Python's own modules may be closed to that user
            log.touch()
            os.chown(log, user, user)
            os.setgroups([])
            os.setgid(user)
            os.setuid(user)
        _be_command(words, log, writer, operation, rng or random.Random(0))
    os.close(writer)
    if seconds is not None:
        end = time.monotonic() + seconds
        while time.monotonic() < end and not os.waitid(
            os.P_PID, child, os.WEXITED | os.WNOHANG | os.WNOWAIT
        ):
            time.sleep(0.005)
        os.kill(child, signal.SIGKILL)
    _, status = os.waitpid(child, 0)
    with os.fdopen(reader) as stream:
        counted = stream.read()
    return os.waitstatus_to_exitcode(status), int(counted or 0)


def _be_command(
    words: Sequence[str], log: Path, writer: int, operation: int | None, rng: random.Random
) -> None:
    from keras_transformer.cli.main import main

    code = 70
    try:
        with open(log, "a", encoding="utf-8") as out:
            os.dup2(out.fileno(), 1)
            os.dup2(out.fileno(), 2)
            out.write(f"\n$ {' '.join(map(str, words))}   # operation {operation}\n")
        killer = Killer(operation, rng)
        try:
            main([str(word) for word in words])
        except SystemExit as ended:
            code = ended.code or 0
        count = killer.count
        # A process that ends by itself clears away what libraries made: TensorFlow's sources.
        atexit._run_exitfuncs()
        sys.stdout.flush()
        os.write(writer, str(count).encode())
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stderr.flush()
        os._exit(code)
