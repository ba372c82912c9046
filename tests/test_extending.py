"""The worked examples of docs/extending.md, applied to a copy of the sources and run."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PAGE = (ROOT / "docs" / "extending.md").read_text(encoding="utf-8")
SECTIONS = dict(re.findall(r"^## (.*?)\n(.*?)(?=^## |\Z)", PAGE, re.MULTILINE | re.DOTALL))
BLOCK = re.compile(r"^```(python|diff)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
HEAD = re.compile(r"# ([\w/]+\.py)\n")
# Section -> new files and edited files.
ALLOWED = {"A model family": (1, 1), "A task": (1, 1), "A target": (1, 1), "A modality": (2, 2)}
MAX_LINES = 40


class Example:
    """What a section says to write, to change and to run.

    Attributes:
        new: contents of new files by path.
        changes: path, lines that stand there, and what stands in their place.
        use: the program.
    """

    def __init__(self, text: str):
        self.new: dict[str, str] = {}
        self.changes: list[tuple[str, str, str]] = []
        self.use = ""
        for language, block in BLOCK.findall(text):
            head = HEAD.match(block)
            body = block[head.end() :] if head else block
            if language == "diff":
                lines = body.splitlines()
                before = "".join(f"{line[1:]}\n" for line in lines if line[0] in " -")
                after = "".join(f"{line[1:]}\n" for line in lines if line[0] in " +")
                self.changes.append((head[1], before, after))
            elif head:
                self.new[head[1]] = body
            else:
                self.use += body

    @property
    def added(self) -> int:
        """Lines that the reader writes."""
        new = sum(text.count("\n") for text in self.new.values())
        changed = sum(len(set(a.splitlines()) - set(b.splitlines())) for _, b, a in self.changes)
        return new + changed


def test_the_page_has_an_example_of_each():
    assert set(SECTIONS) == set(ALLOWED)


@pytest.mark.parametrize("name", SECTIONS)
def test_an_example_is_small(name):
    example = Example(SECTIONS[name])
    edited = {path for path, _, _ in example.changes}
    assert (len(example.new), len(edited)) == ALLOWED[name]
    assert example.added <= MAX_LINES * len(example.new)


@pytest.mark.slow
@pytest.mark.parametrize("name", SECTIONS)
def test_an_example_runs(name, tmp_path):
    package = tmp_path / "keras_transformer"
    shutil.copytree(ROOT / "keras_transformer", package)
    for folder in ("zoo", "edge", "cli"):
        shutil.copytree(ROOT / folder, package / folder)
    example = Example(SECTIONS[name])
    for path, text in example.new.items():
        assert not (package / path).exists()
        (package / path).parent.mkdir(exist_ok=True)
        (package / path).write_text(text, encoding="utf-8")
    for path, before, after in example.changes:
        source = (package / path).read_text(encoding="utf-8")
        assert source.count(before) == 1, f"{path} has not once:\n{before}"
        (package / path).write_text(source.replace(before, after), encoding="utf-8")
    # In the copy's folder, which comes before the installed package.
    environment = {**os.environ, "PYTHONPATH": str(tmp_path), "TF_CPP_MIN_LOG_LEVEL": "3"}
    program = (
        "import keras_transformer; from pathlib import Path; "
        f"assert Path(keras_transformer.__file__).parent == Path({str(package)!r})\n{example.use}"
    )
    ran = subprocess.run(
        [sys.executable, "-c", program], cwd=tmp_path, env=environment, capture_output=True,
        text=True,
    )  # fmt: skip
    assert ran.returncode == 0, ran.stderr[-3000:]
