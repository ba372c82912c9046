"""Calls of the command in a test's own process, and made data to call it with."""


import dataclasses
import errno
import os
from pathlib import Path

import click.testing

from keras_transformer.cli.main import main

SETTINGS = {"hidden_dim": 16, "intermediate_dim": 32, "num_layers": 1, "num_heads": 2,
            "max_length": 32, "dropout": 0.0, "pooling": "mean"}  # fmt: skip
GOOD = ("a fine film", "what a charming story", "good acting and a good score", "so very good")
BAD = ("a dull film", "what a boring story", "bad acting and a bad score", "so very bad")
SENTENCES = [(text, label) for texts, label in ((GOOD, "good"), (BAD, "bad")) for text in texts]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Data:
    """Paths of the made data and its columns, as arguments.

    Attributes:
        train: 32 rows of `sentence` and `verdict`.
        validation: 8 rows.
    """

    train: Path
    validation: Path

    @property
    def columns(self) -> list[str]:
        return ["--text", "sentence", "--label", "verdict"]

    @property
    def arguments(self) -> list[str]:
        """Those of a run of `train` on the tiny model, but for `--out`."""
        sets = [word for name, value in SETTINGS.items() for word in ("--set", f"{name}={value}")]
        return [
            "bert_tiny", "--train", str(self.train), "--validation", str(self.validation),
            *self.columns, "--vocab-size", "100", "--max-length", "16", "--learning-rate", "0.01",
            "--batch-tokens", "128", "--epochs", "8", *sets,
        ]  # fmt: skip


def write_table(path: Path, rows, header=("sentence", "verdict")) -> Path:
    path.write_text("".join("\t".join(row) + "\n" for row in (header, *rows)), encoding="utf-8")
    return path


def call(*arguments, **kwargs) -> click.testing.Result:
    """Runs `keras-transformer` with these arguments; a bug of ours is raised."""
    result = click.testing.CliRunner().invoke(main, [str(word) for word in arguments], **kwargs)
    if result.exception and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result


def error_of(result: click.testing.Result) -> tuple[int, str]:
    """The exit code and the last line of stderr."""
    assert result.stderr.strip(), result.stdout
    return result.exit_code, result.stderr.strip().splitlines()[-1]


def fill_disk(monkeypatch) -> None:
    """Lets every write to a disk fail as on a full one."""

    def fsync(_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", fsync)
