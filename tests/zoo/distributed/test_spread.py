"""The same run on one device, on several, and in several processes; and one that loses a process.

Each runs on JAX in processes of its own, with virtual devices of the processor.
"""

import os
import shutil
import signal
import socket
import subprocess
import sys
import time

import numpy as np
import pytest

from tests.slow import mostly_slow

KINDS = ("classifier", "translator", "writer", "image")
PLACES = {"data": 4, "fsdp": 4, "data,model:2": 4, "model:2": 2}


def start(tables, out, kind, *options, devices=1):
    out.mkdir(exist_ok=True)
    environment = {
        **os.environ, "KERAS_BACKEND": "jax", "JAX_PLATFORMS": "cpu",
        "XLA_FLAGS": f"--xla_force_host_platform_device_count={devices}",
    }  # fmt: skip
    command = [sys.executable, "-m", "tests.zoo.distributed.program", tables, out, kind, *options]
    return subprocess.Popen(
        list(map(str, command)), env=environment, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip


def ended(process):
    """What a process printed last, once it has ended well."""
    printed, said = process.communicate(timeout=600)
    assert process.returncode == 0, said
    return printed.splitlines()[-1]


def start_two(tables, out, kind, *options, dies_at=None, others=None):
    """Starts a run of two processes, of which the second may die at a step, or have other data."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    together = ("--distribute", "data", "--coordinator", f"127.0.0.1:{port}", "--processes", "2")
    dying = () if dies_at is None else ("--dies-at", dies_at)
    return [
        start(tables, out, kind, *together, *options, "--process", 0),
        start(others or tables, out, kind, *together, *options, "--process", 1, *dying),
    ]


def weights(out, process=0):
    with np.load(out / f"{process}.npz") as file:
        return dict(file)


def check_equal(one, other, tolerance):
    assert one.keys() == other.keys()
    for path, value in one.items():
        # A constant added to all keys of a query changes nothing: their bias has no gradient but
        # rounding errors, which Adam brings to the size of any other.
        if not path.endswith("key|bias"):
            np.testing.assert_allclose(other[path], value, rtol=0, atol=tolerance, err_msg=path)


@pytest.fixture(scope="module")
def alone(tables, tmp_path_factory):
    """Function from a kind of model to the weights of its run on one device."""
    found = {}

    def of(kind):
        if kind not in found:
            out = tmp_path_factory.mktemp("alone")
            ended(start(tables, out, kind))
            found[kind] = weights(out)
        return found[kind]

    return of


@pytest.mark.slow
@pytest.mark.parametrize(
    ("kind", "distribute"),
    mostly_slow(
        [(kind, place) for kind in KINDS for place in PLACES], [("classifier", "data,model:2")]
    ),
)
def test_several_devices_learn_what_one_does(kind, distribute, alone, tables, tmp_path):
    process = start(
        tables, tmp_path, kind, "--distribute", distribute, devices=PLACES[distribute]
    )
    num_cut = int(ended(process))
    assert (num_cut > 0) == (distribute != "data")
    check_equal(alone(kind), weights(tmp_path), 1e-6)


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_two_processes_learn_what_one_does(kind, alone, tables, tmp_path):
    for process in start_two(tables, tmp_path, kind):
        ended(process)
    check_equal(alone(kind), weights(tmp_path), 1e-6)
    check_equal(weights(tmp_path), weights(tmp_path, 1), 0)
    assert sorted(os.listdir(tmp_path)) == ["0.npz", "1.npz", kind]


def test_a_run_that_loses_a_process_is_resumed(alone, tables, tmp_path):
    first, second = start_two(tables, tmp_path, "classifier", dies_at=12)
    _, said = second.communicate(timeout=600)
    assert second.returncode == 9, said
    died = time.monotonic()
    _, said = first.communicate(timeout=600)
    assert time.monotonic() - died < 30
    assert first.returncode not in (0, -signal.SIGKILL)
    assert "LostError: Another process of the run ended" in said
    assert not (tmp_path / "classifier").exists()
    for process in start_two(tables, tmp_path, "classifier", "--resume"):
        ended(process)
    check_equal(alone("classifier"), weights(tmp_path), 1e-6)


@pytest.mark.slow
def test_a_run_goes_on_with_another_number_of_devices(alone, tables, tmp_path):
    for process in start_two(tables, tmp_path, "classifier", dies_at=12):
        process.communicate(timeout=600)
    assert (tmp_path / "classifier.training" / "state").exists()
    ended(
        start(tables, tmp_path, "classifier", "--distribute", "data", "--resume", devices=4)
    )
    check_equal(alone("classifier"), weights(tmp_path), 1e-6)


@pytest.mark.slow
def test_processes_with_other_data_are_refused(tables, tmp_path):
    other = shutil.copytree(tables, tmp_path / "tables")
    first, *rows, _ = (other / "train.tsv").read_text(encoding="utf-8").splitlines(keepends=True)
    (other / "train.tsv").write_text("".join([first, *rows, rows[0]]), encoding="utf-8")
    for process in start_two(tables, tmp_path, "classifier", others=other):
        _, said = process.communicate(timeout=600)
        assert process.returncode != 0
        wrong = "Expected all processes of the run to have the same training data, got another one"
        assert f"{wrong} in process 1 than in process 0." in said
    assert not (tmp_path / "classifier").exists()
