"""One tiny model, trained through the command itself, that the tests of all verbs share."""

from pathlib import Path

import pytest
from click.testing import Result

from tests.cli.calls import SENTENCES, Data, call, write_table


@pytest.fixture(scope="session")
def data(tmp_path_factory) -> Data:
    folder = tmp_path_factory.mktemp("data")
    return Data(
        train=write_table(folder / "train.tsv", SENTENCES * 4),
        validation=write_table(folder / "validation.tsv", SENTENCES),
    )


@pytest.fixture(scope="session")
def trained(tmp_path_factory, data) -> tuple[Path, Result]:
    """The checkpoint, and what the command printed."""
    out = tmp_path_factory.mktemp("checkpoint") / "model"
    result = call("train", *data.arguments, "--out", out)
    assert result.exit_code == 0, result.output
    return out, result


@pytest.fixture(scope="session")
def checkpoint(trained) -> Path:
    return trained[0]


@pytest.fixture(scope="session")
def file(tmp_path_factory, checkpoint) -> Path:
    """The checkpoint as a float32 `.tflite` file."""
    out = tmp_path_factory.mktemp("file") / "model.tflite"
    result = call("convert", checkpoint, "--precision", "float32", "--out", out)
    assert result.exit_code == 0, result.output
    return out
