"""What TensorFlow and Keras import for features that no command uses is left out."""

import os
import subprocess
import sys

import pytest

from keras_transformer.cli.imports import NEEDLESS, LeanFinder

TRIES = """\
try:
    import wave
except ImportError:
    wave = None
"""


@pytest.fixture
def module(tmp_path, monkeypatch):
    (tmp_path / "tries_wave.py").write_text(TRIES)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "wave", raising=False)
    yield "tries_wave"
    sys.modules.pop("tries_wave", None)


def test_a_module_goes_without_a_package_that_others_import(module, monkeypatch):
    monkeypatch.setattr(sys, "meta_path", [LeanFinder({module: ("wave",)}), *sys.meta_path])
    assert __import__(module).wave is None
    import wave

    assert wave.open


def test_a_package_that_is_loaded_is_not_hidden(module, monkeypatch):
    import wave

    monkeypatch.setattr(sys, "meta_path", [LeanFinder({module: ("wave",)}), *sys.meta_path])
    assert __import__(module).wave is wave


def test_a_module_that_is_not_there_is_not_found(monkeypatch):
    monkeypatch.setattr(sys, "meta_path", [LeanFinder({"no_such": ("wave",)}), *sys.meta_path])
    with pytest.raises(ModuleNotFoundError, match="no_such"):
        __import__("no_such")


def test_commands_load_tensorflow_and_keras_alone():
    hidden = sorted({name for names in NEEDLESS.values() for name in names})
    code = f"""
import sys
from keras_transformer.cli import main
main.main = lambda: None
main.run()
import tensorflow, keras
assert not set(sys.modules) & set({hidden}), set(sys.modules) & set({hidden})
import sklearn.base
from keras_transformer.edge.targets import convert
"""
    # tfmot, which other tests import, sets it; TensorFlow then loads the old Keras too.
    environment = {**os.environ, "TF_USE_LEGACY_KERAS": "0"}
    subprocess.run([sys.executable, "-c", code], check=True, timeout=300, env=environment)
