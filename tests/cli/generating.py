"""Tiny models that generate, trained through the command itself, and their data."""

import dataclasses
from pathlib import Path

from tests.cli.calls import call, write_table

SETTINGS = {"hidden_dim": 16, "intermediate_dim": 32, "num_layers": 1, "num_heads": 2,
            "max_length": 32, "dropout": 0.0, "attention_dropout": 0.0}  # fmt: skip
NUMBERS = {"one": "eins", "two": "zwei", "three": "drei", "four": "vier", "five": "fünf"}
PAIRS = [(f"{a} {b}", f"{NUMBERS[a]} {NUMBERS[b]}") for a in NUMBERS for b in NUMBERS]
LINES = "one two three four five six\nsix five four three two one\n" * 12


@dataclasses.dataclass(frozen=True, kw_only=True)
class Run:
    """A trained model, and what it was trained and measured on.

    Attributes:
        train, validation: the data.
        checkpoint: the folder.
        file: the same as a float32 `.tflite`.
        printed: what `train` printed on stdout.
    """

    train: Path
    validation: Path
    checkpoint: Path
    file: Path
    printed: str


def training_arguments(train: Path, validation: Path) -> list[str]:
    """Those that both kinds of models share, but for the model, the task and `--out`."""
    sets = [word for name, value in SETTINGS.items() for word in ("--set", f"{name}={value}")]
    return [
        "--train", str(train), "--validation", str(validation), "--tokenizer", "characters",
        "--max-length", "16", "--batch-tokens", "256", "--epochs", "2", "--learning-rate", "0.01",
        *sets,
    ]  # fmt: skip


def translation_data(folder: Path) -> tuple[Path, Path]:
    train = write_table(folder / "train.tsv", PAIRS * 4, header=("en", "de"))
    return train, write_table(folder / "validation.tsv", PAIRS[::3], header=("en", "de"))


def plain_data(folder: Path) -> tuple[Path, Path]:
    paths = folder / "train.txt", folder / "validation.txt"
    paths[0].write_text(LINES, encoding="utf-8")
    paths[1].write_text(LINES[:150], encoding="utf-8")
    return paths


def trained(folder: Path, paths: tuple[Path, Path], *arguments: str, lengths: str) -> Run:
    """Trains and converts."""
    checkpoint, file = folder / "model", folder / "model.tflite"
    result = call("train", *arguments, *training_arguments(*paths), "--out", checkpoint)
    assert result.exit_code == 0, result.output
    converted = call(
        "convert", checkpoint, "--precision", "float32", "--lengths", lengths, "--out", file
    )
    assert converted.exit_code == 0, converted.output
    return Run(
        train=paths[0], validation=paths[1], checkpoint=checkpoint, file=file,
        printed=result.stdout,
    )  # fmt: skip
