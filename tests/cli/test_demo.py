import os
import signal
import subprocess
import sys
import urllib.request
from functools import partial

import pytest

from tests.cli.calls import call, error_of
from tests.edge.demo.pages import install_litertjs, write_model
from tests.slow import mostly_slow


def test_export_writes_a_folder(tmp_path):
    litert = install_litertjs(tmp_path / "npm")
    files = [write_model(tmp_path / "float32.tflite"), write_model(tmp_path / "int8.tflite")]
    site = tmp_path / "site"
    result = call("demo", *files, "--export", site, "--litert", litert)
    assert (result.exit_code, result.stdout) == (0, f"Wrote {site / 'index.html'}\n")
    assert (site / "model-2.tflite").read_bytes() == files[1].read_bytes()
    again = call("demo", *files, "--export", site, "--litert", litert)
    assert error_of(again) == (2, f"Error: {site} exists; choose another path.")


def test_files_that_do_not_fit_are_refused_before_anything_is_fetched(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    files = [write_model(tmp_path / "a.tflite"), write_model(tmp_path / "b.tflite", max_length=9)]
    code, sentence = error_of(call("demo", *files, "--export", tmp_path / "site"))
    assert code == 2
    assert sentence.startswith("Error: Expected files of the same length to stand side by side;")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.tflite", "b.tflite"]


SIGNALS = [signal.SIGINT, signal.SIGTERM, signal.SIGHUP]


@pytest.mark.parametrize("number", mostly_slow(SIGNALS, [signal.SIGTERM]))
def test_the_page_is_served_until_it_is_ended(tmp_path, number):
    litert = install_litertjs(tmp_path / "npm")
    path = write_model(tmp_path / "model.tflite")
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    program = "from keras_transformer.cli.main import run; run()"
    served = subprocess.Popen(
        [sys.executable, "-c", program, "demo", path, "--port", "0", "--litert", litert],
        stdout=subprocess.PIPE, text=True, env={**os.environ, "TMPDIR": str(temporary)},
        # A shell that runs the tests in the background lets its children ignore it.
        preexec_fn=partial(signal.signal, number, signal.SIG_DFL),
    )  # fmt: skip
    line = served.stdout.readline()
    assert line.startswith("The demo is at http://127.0.0.1:")
    with urllib.request.urlopen(f"{line.split()[4]}/model-1.tflite") as response:
        assert response.read() == path.read_bytes()
    served.send_signal(number)
    assert served.wait(60) == 0
    assert list(temporary.iterdir()) == []
