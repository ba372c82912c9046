"""The emulated machine: what it is made with, and what is said where it cannot be made."""

import os
from pathlib import Path

import pytest

from keras_transformer.edge.arm64 import machine
from keras_transformer.edge.arm64.cores import CORES
from keras_transformer.zoo.errors import InputError, RunError
from tests.arm64 import emulated
from tests.slow import mostly_slow


def fake(folder, name, script):
    path = folder / name
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)


@pytest.fixture
def tools(tmp_path, monkeypatch):
    """A folder in which alone programs are found, and the notes of `find_machine`."""
    folder = tmp_path / "tools"
    folder.mkdir()
    monkeypatch.setenv("PATH", str(folder))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return folder


def test_a_program_that_is_not_installed(tools):
    fake(tools, "qemu-aarch64", "exit 0")
    notes = []
    with pytest.raises(InputError) as caught:
        machine.find_machine(notes.append)
    assert str(caught.value) == (
        "Expected qemu-aarch64, mmdebstrap for --arm64, mmdebstrap is not installed; on Debian "
        "12, apt-get install qemu-user mmdebstrap gcc."
    )
    assert notes == []


def test_packages_that_cannot_be_fetched(tools):
    fake(tools, "qemu-aarch64", "exit 0")
    fake(tools, "mmdebstrap", 'echo "I: start" >&2\necho "E: no network" >&2\nexit 1')
    notes = []
    with pytest.raises(RunError) as caught:
        machine.find_machine(notes.append)
    assert str(caught.value) == "mmdebstrap could not fetch Debian's packages: E: no network"
    [note] = notes
    folder = machine.cache_folder()
    assert folder.is_relative_to(os.environ["XDG_CACHE_HOME"])
    assert f"into {folder} (180 MB)" in note
    assert list(folder.iterdir()) == []


def test_a_cache_that_is_relative_is_ignored(monkeypatch, tmp_path):
    """Programs in it run in folders of their own."""
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("XDG_CACHE_HOME", "caches")
    assert machine.cache_folder().is_relative_to(tmp_path / ".cache" / "keras-transformer")


def test_a_qemu_that_says_no_version(tools):
    fake(tools, "qemu-aarch64", 'echo "no such option" >&2\nexit 1')
    with pytest.raises(RunError) as caught:
        machine.qemu_version()
    assert str(caught.value) == "qemu-aarch64 --version failed: no such option"


def test_it_is_made_once(tools, monkeypatch):
    made = Path(machine.cache_folder(), "machine")
    made.mkdir(parents=True)
    notes = []
    # With no program at all.
    assert machine.find_machine(notes.append) == machine.Machine(folder=made)
    assert notes == []


@pytest.mark.parametrize("name", mostly_slow(CORES, ["cortex-a53"]))
def test_what_python_sees_of_a_core(name):
    program = "import platform, sys; print(platform.machine(), open('/proc/cpuinfo').read())"
    found = emulated().run(CORES[name], ["-c", program])
    assert found == f"aarch64 {CORES[name].cpuinfo}\n"


def test_a_program_that_fails_there():
    with pytest.raises(RunError) as caught:
        emulated().run(CORES["cortex-a53"], ["-c", "raise SystemExit('a reason')"])
    assert str(caught.value) == "Python on an emulated cortex-a53 failed: a reason"
