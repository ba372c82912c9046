"""The types of what people import from Python, checked by mypy."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
FOLDERS = ("zoo", "edge", "cli")
# Modules and whole packages; each that is added is held to [tool.mypy] of pyproject.toml.
CHECKED = [
    "-p", "keras_transformer.zoo.generation",
    "-p", "keras_transformer.zoo.tokenizers",
    "-m", "keras_transformer",
    "-m", "keras_transformer.zoo.errors",
]  # fmt: skip
USE = """
from keras_transformer.zoo.tokenizers.tokenizer import Tokenizer

ids: list[list[int]] = Tokenizer.load("model").pieces(["a text"])
Tokenizer.load("model").decode("a text")
"""


@pytest.fixture(scope="module")
def mypy(tmp_path_factory):
    """Runs mypy on a tree of the packages under the names by which they are imported.

    mypy does not follow setup.cfg's package_dir, nor an editable installation.
    """
    tree = tmp_path_factory.mktemp("types")
    package = tree / "keras_transformer"
    package.mkdir()
    sources = [*(ROOT / "keras_transformer").glob("*.py*"), *(ROOT / name for name in FOLDERS)]
    for source in sources:
        (package / source.name).symlink_to(source)

    def run(*arguments):
        command = [sys.executable, "-m", "mypy", "--config-file", ROOT / "pyproject.toml"]
        done = subprocess.run(
            [*command, "--cache-dir", tree / "cache", *arguments],
            cwd=tree, capture_output=True, text=True,
        )  # fmt: skip
        return done.returncode, done.stdout + done.stderr

    return run


def test_the_public_modules_have_the_types_that_they_say(mypy):
    status, output = mypy(*CHECKED)
    assert (status, output.startswith("Success")) == (0, True), output


def test_wrong_use_is_found(mypy):
    """The types reach those who import the packages."""
    status, output = mypy("-c", USE)
    assert (status, output.count("error:")) == (1, 1), output
    assert "decode" in output


def test_the_package_says_that_it_has_types():
    assert (ROOT / "keras_transformer" / "py.typed").is_file()
    assert "keras_transformer =\n    py.typed\n" in (ROOT / "setup.cfg").read_text("utf-8")
