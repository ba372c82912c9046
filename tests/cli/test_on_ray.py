"""`--engine ray` on two processors of this machine, with processes that are killed.

They take minutes, and Ray itself: pip install ".[ray]".
"""

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.cli.calls import call, error_of

pytestmark = pytest.mark.slow
pytest.importorskip("ray")

RUN = "from keras_transformer.cli.main import run; run()"
RAY = ("--engine", "ray", "--workers", "2")


def start(*words):
    environment = {
        **os.environ, "JAX_PLATFORMS": "cpu", "XLA_FLAGS": "",
        "PYTHONPATH": os.pathsep.join([str(Path(__file__).parents[2]), *sys.path]),
    }  # fmt: skip
    environment.pop("KERAS_BACKEND", None)
    return subprocess.Popen(
        [sys.executable, "-c", RUN, *map(str, words)], env=environment, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip


def ended(process, exit_code=0):
    printed, said = process.communicate(timeout=600)
    assert process.returncode == exit_code, said
    return printed, said


def processes(parent, *names):
    """Processes of Ray's with a title, below a parent."""
    parents, titles = {}, {}
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            # Behind the name, which may have spaces.
            fields = (folder / "stat").read_text().rpartition(")")[2].split()
            parents[int(folder.name)] = int(fields[1])
            titles[int(folder.name)] = (folder / "cmdline").read_text()
        except (OSError, IndexError):
            continue
    below, found = {parent}, []
    for one in sorted(parents):
        above = one
        while above in parents and above not in below:
            above = parents[above]
        if above in below and titles[one].startswith(tuple(f"ray::{name}" for name in names)):
            found.append(one)
    return found


def wait_until(condition, command):
    for _ in range(3000):
        if found := condition():
            return found
        assert command.poll() is None, command.communicate()
        time.sleep(0.1)
    raise TimeoutError


def contents(folder):
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*") if path.is_file()
    }  # fmt: skip


@pytest.fixture(scope="module")
def arguments(data):
    return [
        "train", *data.arguments, "--set", "dropout=0.1", "--save-every", 5, "--steps", 300,
        "--no-baseline", *RAY,
    ]  # fmt: skip


@pytest.fixture(scope="module")
def unbroken(arguments, tmp_path_factory):
    out = tmp_path_factory.mktemp("unbroken") / "model"
    printed, said = ended(start(*arguments, "--out", out))
    return out, printed, said


def killed_once(arguments, out, number):
    """Starts a run, and kills one of its processes by number once there is a state."""
    command = start(*arguments, "--out", out)
    wait_until((out.parent / f"{out.name}.training" / "state").exists, command)
    time.sleep(random.random())
    workers = processes(command.pid, "RayTrainWorker")
    assert len(workers) == 2
    os.kill(workers[number], signal.SIGKILL)
    return command


def test_a_run_prints_as_elsewhere(unbroken):
    out, printed, said = unbroken
    assert printed.splitlines()[0].split() == ["Validation", "metric", "Value"]
    assert printed.splitlines()[-1] == f"Wrote {out}"
    assert said.splitlines()[0].startswith("Device: cpu:0, cpu:")
    lines = said.splitlines()[1:]
    assert [line for line in lines if not line.startswith(("Note: ", "Epoch "))] == []
    assert [path.name for path in out.parent.iterdir()] == ["model"]


@pytest.mark.parametrize("number", [0, 1])
def test_a_run_that_loses_a_process_is_started_again_by_ray(
    number, arguments, unbroken, tmp_path
):
    command = killed_once(arguments, tmp_path / "model", number)
    _, said = ended(command)
    assert "Note: A process was lost; Ray starts all again (1)." in said
    assert "Note: Resuming after step " in said
    assert contents(tmp_path / "model") == contents(unbroken[0])
    assert [path.name for path in tmp_path.iterdir()] == ["model"]


def test_a_run_without_restarts_is_resumed(arguments, unbroken, tmp_path):
    command = killed_once([*arguments, "--restarts", 0], tmp_path / "model", 1)
    _, said = ended(command, 1)
    assert said.splitlines()[-1] == (
        "Error: A process of the run was lost after 0 restarts; go on from the last state with "
        "--resume, and more of --restarts."
    )
    ended(start(*arguments, "--out", tmp_path / "model", "--resume"))
    assert contents(tmp_path / "model") == contents(unbroken[0])


def test_a_mistake_that_the_processes_find_is_one_sentence_and_tried_once(arguments, tmp_path):
    command = start(*arguments, "--rows-multiple", 3, "--out", tmp_path / "model")
    _, said = ended(command, 2)
    assert said.splitlines()[-1] == (
        "Error: Expected --rows-multiple to be a multiple of the 2 replicas, which share the rows "
        "of a batch, got --rows-multiple 3."
    )
    assert said.count("Device: ") == 1
    assert not (tmp_path / "model").exists()


def test_ctrl_c_ends_a_run(arguments, tmp_path):
    command = start(*arguments, "--out", tmp_path / "model")
    wait_until((tmp_path / "model.training" / "state").exists, command)
    command.send_signal(signal.SIGTERM)
    _, said = ended(command, 143)
    assert said.splitlines()[-1] == "Error: Ended by SIGTERM."
    assert not list(tmp_path.glob(".model.*.partial"))


def test_more_processes_than_processors_are_refused(data, tmp_path):
    arguments = [*data.arguments, "--engine", "ray", "--workers", 4096, "--out", tmp_path / "out"]
    code, error = error_of(call("train", *arguments))
    assert code == 2
    assert error.startswith("Error: Expected --workers to be at most the number of Ray's ")
    assert error.endswith("got --workers 4096.")


def test_a_search_whose_trials_are_killed_has_the_files_of_one_in_turn(
    checkpoint, data, tmp_path
):
    arguments = [
        "search", checkpoint, "--data", data.validation, "--precisions", "float16,int8", "--qat",
        "--sparsity", "0.5", "--runs", 2,
    ]  # fmt: skip
    ended(start(*arguments, "--out", tmp_path / "alone"))
    command = start(*arguments, "--out", tmp_path / "ray", *RAY)
    for _ in range(2):
        wait_until(lambda: processes(command.pid, "_train", "_measure"), command)
        time.sleep(4)
        for one in processes(command.pid, "_train", "_measure")[:1]:
            os.kill(one, signal.SIGKILL)
    _, said = ended(command)
    assert "Note: sparse-0.5-int8-qat, 8 of 8." in said

    def files(folder):
        return {
            name: value for name, value in contents(folder).items()
            if name.endswith((".tflite", ".safetensors"))
        }  # fmt: skip

    assert files(tmp_path / "ray") == files(tmp_path / "alone")
    assert len(files(tmp_path / "ray")) > 8
    # What it has is not made again.
    _, said = ended(start(*arguments, "--out", tmp_path / "ray", *RAY, "--resume"))
    assert "8 of 8" not in said
