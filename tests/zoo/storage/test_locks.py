import errno
import fcntl
import os
import re
import subprocess
import sys
import threading
import time
import types
from pathlib import Path

import pytest

from keras_transformer.zoo.storage import locks
from keras_transformer.zoo.storage.beside import new_beside
from keras_transformer.zoo.storage.files import check_file_target, write_file, write_folder
from keras_transformer.zoo.storage.locks import clear_abandoned, only_run, written_aside

HOLDER = """
import sys
from pathlib import Path
from keras_transformer.zoo.storage.locks import only_run, written_aside
with only_run(sys.argv[1]), written_aside(Path(sys.argv[1]), Path.mkdir):
    print("held", flush=True)
    sys.stdin.read()
"""


def names(folder):
    return sorted(entry.name for entry in folder.iterdir())


@pytest.fixture
def holder(tmp_path):
    """A process that holds the lock of `out` and has begun to write it."""
    command = [sys.executable, "-c", HOLDER, str(tmp_path / "out")]
    process = subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    with process:
        assert process.stdout.readline() == "held\n"
        yield process
        process.kill()


def test_a_second_run_is_told_of_the_first(tmp_path, holder):
    with pytest.raises(FileExistsError) as caught, only_run(tmp_path / "out"):
        raise AssertionError
    assert re.fullmatch(
        rf"A run that writes {re.escape(str(tmp_path))}/out is under way in process {holder.pid} "
        rf"on {re.escape(os.uname().nodename)} since [-\d]+ [:\d]+; wait for its end, or choose "
        r"another path\.",
        str(caught.value),
    )
    (tmp_path / "link").symlink_to("out")
    with pytest.raises(FileExistsError, match="is under way"), only_run(tmp_path / "link"):
        raise AssertionError


def test_the_lock_of_a_run_that_was_killed_holds_nobody(tmp_path, holder):
    holder.kill()
    holder.wait()
    assert len(names(tmp_path)) == 2
    with only_run(tmp_path / "out"):
        pass
    clear_abandoned(tmp_path / "out")
    assert names(tmp_path) == []


def test_what_others_are_writing_is_left_alone(tmp_path, holder):
    clear_abandoned(tmp_path / "out")
    held = names(tmp_path)
    check_file_target(tmp_path / "out", overwrite=True)
    write_file(tmp_path / "out", b"", overwrite=True)
    assert (len(held), names(tmp_path)) == (2, [*held, "out"])
    # Somebody else's path begins with ours.
    others = tmp_path / ".out.more.0123456789abcdef.partial"
    others.touch()
    holder.kill()
    holder.wait()
    clear_abandoned(tmp_path / "out")
    assert names(tmp_path) == [".out.lock", others.name, "out"]


def test_a_lock_is_gone_after_a_run_and_after_a_failure(tmp_path):
    with only_run(tmp_path / "new" / "out"):
        assert names(tmp_path / "new") == [".out.lock"]
        (tmp_path / "new" / "out").mkdir()
    assert names(tmp_path / "new") == ["out"]
    with pytest.raises(RuntimeError), only_run(tmp_path / "other" / "out"):
        raise RuntimeError
    assert names(tmp_path) == ["new"]


def test_a_lock_that_was_given_back_while_it_was_opened_is_made_anew(tmp_path, monkeypatch):
    path, real, first = tmp_path / ".out.lock", locks.lock, []

    def lock(descriptor):
        if not first:
            # Its holder ends between the two calls.
            first.append(path.unlink())
        return real(descriptor)

    monkeypatch.setattr(locks, "lock", lock)
    with only_run(tmp_path / "out"):
        assert path.read_text().startswith(f"process {os.getpid()} on ")
        with pytest.raises(FileExistsError, match=f"process {os.getpid()} on "):
            with only_run(tmp_path / "out"):
                raise AssertionError


def test_a_full_disk_where_the_lock_is_written(tmp_path, monkeypatch):
    def write(descriptor, data):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "write", write)
    with pytest.raises(OSError, match=f"No space left on device: '{tmp_path}/new/out'"):
        with only_run(tmp_path / "new" / "out"):
            raise AssertionError
    assert names(tmp_path) == []


def test_an_error_of_locking_is_raised(tmp_path, monkeypatch):
    def flock(descriptor, operation):
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(fcntl, "flock", flock)
    with pytest.raises(OSError, match="Input/output error"), only_run(tmp_path / "out"):
        raise AssertionError
    assert names(tmp_path) == []


def test_a_disk_without_locks(tmp_path, monkeypatch):
    def flock(descriptor, operation):
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(fcntl, "flock", flock)
    with only_run(tmp_path / "out"):
        write_file(tmp_path / "out", b"1")
    young, old = (new_beside(tmp_path / "out", "partial") for _ in range(2))
    for path in (young, old):
        path.mkdir()
    os.utime(old, (time.time() - 4000,) * 2)
    write_file(tmp_path / "out", b"2", overwrite=True)
    assert names(tmp_path) == sorted([young.name, "out"])


def test_windows_locks_a_byte_that_nobody_reads(tmp_path, monkeypatch):
    """By a module like Windows' own, over the locks of this system."""
    asked = []

    def locking(descriptor, mode, length):
        asked.append((mode, length, os.lseek(descriptor, 0, os.SEEK_CUR)))
        try:
            fcntl.lockf(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB, length)
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise PermissionError(errno.EACCES, "Permission denied") from None

    windows = types.SimpleNamespace(locking=locking, LK_NBLCK=2)
    monkeypatch.setattr(locks, "fcntl", None)
    monkeypatch.setattr(locks, "msvcrt", windows, raising=False)
    with only_run(tmp_path / "out"):
        write_folder(tmp_path / "out", {"a": b""})
        with pytest.raises(FileExistsError, match=f"under way in process {os.getpid()} on "):
            with only_run(tmp_path / "out"):
                raise AssertionError
    assert asked == [(2, 1, 2**30)] * 2
    old = new_beside(tmp_path / "out", "partial")
    old.mkdir()
    os.utime(old, (time.time() - 4000,) * 2)
    clear_abandoned(tmp_path / "out")
    assert names(tmp_path) == ["out"]


def test_what_is_cleared_before_it_is_locked_is_made_again(tmp_path):
    made = []

    def make(path):
        path.mkdir()
        made.append(path)
        if len(made) == 1:
            clear_abandoned(tmp_path / "out")

    with written_aside(tmp_path / "out", make) as partial:
        assert (len(made), partial) == (2, made[1])
        assert names(tmp_path) == [partial.name]


@pytest.mark.parametrize("folder", [False, True])
def test_several_write_one_path(tmp_path, folder):
    """The last one's stays, whole, and nobody fails."""
    out, errors = tmp_path / "out", []

    def write(number):
        data = bytes([number]) * 100_000
        try:
            for _ in range(15):
                if folder:
                    write_folder(out, {"a": data, "b": data}, overwrite=True)
                else:
                    write_file(out, data, overwrite=True)
        except OSError as error:
            errors.append(error)

    threads = [threading.Thread(target=write, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    assert names(tmp_path) == ["out"]
    data = (out / "a" if folder else out).read_bytes()
    assert data == data[:1] * 100_000
    assert not folder or (out / "b").read_bytes() == data


@pytest.mark.skipif(not Path("/proc/self").exists(), reason="there is no /proc")
def test_a_folder_in_which_no_file_can_be_made():
    with pytest.raises(OSError, match="/proc/no$|'/proc/no'"):
        with locks.only_run("/proc/no"):
            pass
