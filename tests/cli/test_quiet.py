"""Log lines of TensorFlow and LiteRT do not reach the user; errors do."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from keras_transformer.cli.quiet import is_noise

NOISE = """\
I0000 00:00:1795858751.624427    5164 port.cc:153] oneDNN custom operations are on.
I0000 00:00:1795858751.624955    5164 cudart_stub.cc:31] Could not find cuda drivers on your machine
W0000 00:00:1795858751.624955    5164 tf_tfl_flatbuffer_helpers.cc:364] Ignored output_format.
E0000 00:00:1795859051.3 6049 cuda_platform.cc:52] failed call to cuInit: INTERNAL: CUDA error
2026-11-28 09:26:00.000001: I tensorflow/core/platform/cpu_feature_guard.cc:210] This TensorFlow
To enable the following instructions: AVX2 FMA, in other operations, rebuild TensorFlow
WARNING: All log messages before absl::InitializeLog() is called are written to STDERR
INFO: Created TensorFlow Lite XNNPACK delegate for CPU.
[2026-12-01 02:45:35,185 W 17721 17721] gcs_client.cc:210: Failed to get cluster ID from GCS server
"""
REAL = """\
E0000 00:00:1795859051.3 6049 executor.cc:52] Out of memory
F0000 00:00:1795859051.3 6049 graph.cc:52] Check failed: a == b
2026-11-28 09:26:00.000001: E tensorflow/core/framework.cc:210] Resource exhausted
ERROR: Regular TensorFlow ops are not supported by this interpreter.
Fatal Python error: Segmentation fault
free(): invalid pointer
"""


def ran(program: str, *arguments: str, **kwargs) -> subprocess.CompletedProcess:
    command = [sys.executable, "-c", program, *arguments]
    return subprocess.run(command, capture_output=True, text=True, **kwargs)


@pytest.mark.parametrize("line", NOISE.splitlines())
def test_noise(line):
    assert is_noise(line.encode() + b"\n")


@pytest.mark.parametrize("line", REAL.splitlines())
def test_errors_are_no_noise(line):
    assert not is_noise(line.encode() + b"\n")


PROGRAM = f"""
import os, sys
from keras_transformer.cli.quiet import quiet
with quiet(verbose="--verbose" in sys.argv):
    os.write(2, {NOISE.encode()!r})
    print("ours", file=sys.stderr)
    os.write(2, {REAL.encode()!r})
    END
print("after", file=sys.stderr)
"""


def test_noise_is_left_out_and_the_rest_arrives():
    result = ran(PROGRAM.replace("END", ""))
    lines = result.stderr.splitlines()
    # What Python writes does not go through the filter, so it may arrive first.
    assert sorted(lines[:-1]) == sorted(["ours", *REAL.splitlines()])
    assert lines[-1] == "after"


def test_verbose_lets_everything_through():
    result = ran(PROGRAM.replace("END", ""), "--verbose")
    assert result.stderr.splitlines() == [
        *NOISE.splitlines(), "ours", *REAL.splitlines(), "after"
    ]  # fmt: skip


LIBRARY = """
    import logging, warnings
    warnings.filterwarnings("always")
    warnings.warn("of a library")
    logging.getLogger("a_library").warning("of a library")
    logging.getLogger("a_library").error("an error")
"""


def test_warnings_and_records_of_libraries_are_left_out_and_errors_are_not():
    program = PROGRAM.replace("    END\n", LIBRARY)
    lines = ran(program).stderr.splitlines()
    assert "an error" in lines and "of a library" not in " ".join(lines)
    shown = ran(program, "--verbose").stderr
    assert shown.count("of a library") >= 2


def test_what_a_crash_writes_arrives():
    result = ran(PROGRAM.replace("END", "os.abort()"))
    assert result.returncode == -signal.SIGABRT
    assert set(result.stderr.splitlines()) == {"ours", *REAL.splitlines()}


@pytest.mark.slow
def test_the_exit_code_and_the_sentence_of_an_error_are_kept():
    program = "from keras_transformer.cli.main import run; import sys; sys.argv[0] = 'kt'; run()"
    result = ran(program, "evaluate", "nothing", "--data", __file__)
    assert result.returncode == 2
    [line] = result.stderr.splitlines()
    assert line.startswith("Error: ") and "nothing" in line


def stray_lines(folder, arguments):
    """Returns the lines on stderr of a command that ends well, but for those that are its own."""
    program = "from keras_transformer.cli.main import run; run()"
    environment = {**os.environ, "PYTHONPATH": "", "TF_CPP_MIN_LOG_LEVEL": "0"}
    result = ran(program, *arguments, cwd=folder, env=environment)
    assert result.returncode == 0, result.stderr
    own = ("Device: ", "Epoch ", "Note: ")
    return [line for line in result.stderr.splitlines() if not line.startswith(own)]


@pytest.mark.slow
def test_commands_print_no_stray_lines(tmp_path, data):
    """The console script's own lines are all that stands on stderr."""
    calls = [
        ["train", *data.arguments, "--epochs", "1", "--out", "model"],
        ["convert", "model", "--precision", "int8", "--calibration", str(data.train), "--out",
         "model.tflite"],
        ["run", "model.tflite", "a fine film"],
        ["compare", "model", "model.tflite", "--data", str(data.validation)],
        ["search", "model", "--data", str(data.validation), "--precisions", "dynamic_int8",
         "--out", "choice"],
    ]  # fmt: skip
    for arguments in calls:
        assert stray_lines(tmp_path, arguments) == [], arguments[0]
    assert Path(tmp_path / "model.tflite").exists()


@pytest.mark.slow
def test_the_quickstart_prints_no_stray_lines(tmp_path):
    assert stray_lines(tmp_path, ["quickstart"]) == []
