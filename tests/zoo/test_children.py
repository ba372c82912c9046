"""Processes of our own: a file in the current folder never takes a module's place in them."""

import importlib
import re
from pathlib import Path

import pytest

import keras_transformer.cli
import keras_transformer.edge
import keras_transformer.zoo
from keras_transformer.zoo.worker import Worker

BROKEN = 'raise ImportError("a file of the user\'s")\n'
ROOMS = (keras_transformer.cli, keras_transformer.edge, keras_transformer.zoo)
STARTED = re.compile(r"\[\s*sys\.executable,\s*(\S+)")


def test_each_is_started_without_the_current_folder():
    paths = [path for room in ROOMS for path in Path(room.__file__).parent.rglob("*.py")]
    first = [
        (path.stem, word)
        for path in paths for word in STARTED.findall(path.read_text(encoding="utf-8"))
    ]  # fmt: skip
    assert {"worker", "vela", "benchmark", "trial"} < {name for name, _ in first}
    assert [name for name, word in first if word != '"-P",'] == []


class Found:
    """Where the process finds a module of the current folder."""

    def place(self, name):
        return importlib.import_module(name).__file__


def test_a_workers_modules_are_those_of_its_parent(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "struct.py").write_text(BROKEN)
    (tmp_path / "of_the_user.py").write_text("")
    worker = Worker(Found)
    try:
        assert worker.call("place", "json")
        with pytest.raises(ModuleNotFoundError, match="of_the_user"):
            worker.call("place", "of_the_user")
        worker.end()
        # As in a notebook, or after `python -c`.
        (tmp_path / "struct.py").unlink()
        monkeypatch.syspath_prepend("")
        assert worker.call("place", "of_the_user") == str(tmp_path / "of_the_user.py")
    finally:
        worker.end()
