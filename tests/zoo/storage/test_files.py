import errno
import json
import os
import re
from pathlib import Path

import pytest

from keras_transformer.zoo.errors import InputError
from keras_transformer.zoo.storage.files import (
    read_folder,
    write_file,
    write_folder,
)

FILES = {"config.json": b"{}", "weights.safetensors": bytes(range(256)), "empty": b""}
OTHER = {"config.json": b"[]"}


def names(folder):
    return sorted(entry.name for entry in folder.iterdir())


def fill_disk(monkeypatch, after=0):
    """Makes the system's sync fail as on a full disk, after some successes."""
    real, calls = os.fsync, iter(range(10**6))

    def fsync(descriptor):
        if next(calls) >= after:
            raise OSError(errno.ENOSPC, "No space left on device")
        real(descriptor)

    monkeypatch.setattr(os, "fsync", fsync)


def test_folder_round_trip(tmp_path):
    path = tmp_path / "new" / "model"
    write_folder(path, FILES)
    assert read_folder(path) == FILES
    assert names(path) == ["config.json", "empty", "manifest.json", "weights.safetensors"]
    assert names(path.parent) == ["model"]


def test_folder_is_readable_as_its_neighbours(tmp_path):
    (tmp_path / "plain").mkdir()
    write_folder(tmp_path / "model", FILES)
    assert (tmp_path / "model").stat().st_mode == (tmp_path / "plain").stat().st_mode


def test_relative_paths(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_folder("model", FILES)
    monkeypatch.chdir(tmp_path / "model")
    assert read_folder(".") == FILES


def test_existing_folder_is_refused_then_replaced(tmp_path):
    path = tmp_path / "model"
    write_folder(path, FILES)
    with pytest.raises(FileExistsError) as error:
        write_folder(path, OTHER)
    assert str(error.value) == f"{path} exists; choose another path or give --overwrite."
    assert read_folder(path) == FILES
    write_folder(path, OTHER, overwrite=True)
    assert read_folder(path) == OTHER
    assert names(path) == ["config.json", "manifest.json"]
    assert names(tmp_path) == ["model"]


def test_overwrite_spares_what_is_no_checkpoint(tmp_path):
    path = tmp_path / "documents"
    path.mkdir()
    (path / "thesis.txt").write_text("years")
    with pytest.raises(FileExistsError) as error:
        write_folder(path, FILES, overwrite=True)
    assert str(error.value) == (
        f"{path} exists and is no checkpoint, so it is not overwritten; choose another path."
    )
    assert names(path) == ["thesis.txt"]


def test_overwrite_spares_a_foreign_file_in_a_checkpoint(tmp_path):
    path = tmp_path / "model"
    write_folder(path, FILES)
    (path / "notes.txt").write_text("mine")
    with pytest.raises(FileExistsError) as error:
        write_folder(path, OTHER, overwrite=True)
    assert str(error.value) == (
        f"{path} holds 'notes.txt', which is not part of the checkpoint, so it is not "
        "overwritten; move that away or choose another path."
    )
    assert read_folder(path) == FILES
    assert (path / "notes.txt").read_text() == "mine"


@pytest.mark.parametrize("after", range(6))
@pytest.mark.parametrize("existing", [False, True])
def test_full_disk_leaves_what_was_there(tmp_path, monkeypatch, after, existing):
    path = tmp_path / "model"
    if existing:
        write_folder(path, OTHER)
    with monkeypatch.context() as patch:
        fill_disk(patch, after)
        if after < 4:
            with pytest.raises(OSError, match="No space left on device"):
                write_folder(path, FILES, overwrite=True)
        else:
            # The files are safe by then; that a folder cannot be synced is no loss.
            write_folder(path, FILES, overwrite=True)
    if after >= 4:
        assert read_folder(path) == FILES
    elif existing:
        assert read_folder(path) == OTHER
    assert names(tmp_path) == (["model"] if existing or after >= 4 else [])


def test_failing_rename_brings_the_old_folder_back(tmp_path, monkeypatch):
    path = tmp_path / "model"
    write_folder(path, OTHER)
    real = Path.rename

    def rename(self, target):
        if self.name.endswith(".partial"):
            raise OSError(errno.EIO, "Input/output error")
        return real(self, target)

    monkeypatch.setattr(Path, "rename", rename)
    with pytest.raises(OSError, match="Input/output error"):
        write_folder(path, FILES, overwrite=True)
    assert read_folder(path) == OTHER
    assert names(tmp_path) == ["model"]


def test_writer_killed_between_the_renames(tmp_path):
    path = tmp_path / "model"
    write_folder(path, OTHER)
    write_folder(tmp_path / ".model.partial", FILES)
    path.rename(tmp_path / ".model.old")
    assert read_folder(path) == OTHER
    with pytest.raises(FileExistsError, match="exists; choose another path"):
        write_folder(path, FILES)
    assert read_folder(path) == OTHER
    write_folder(path, FILES, overwrite=True)
    assert read_folder(path) == FILES
    assert names(tmp_path) == ["model"]


def test_writer_killed_before_it_cleared_away(tmp_path):
    path = tmp_path / "model"
    write_folder(path, FILES)
    write_folder(tmp_path / ".model.old", OTHER)
    assert read_folder(path) == FILES
    write_folder(path, OTHER, overwrite=True)
    assert read_folder(path) == OTHER
    assert names(tmp_path) == ["model"]


def test_a_folder_of_another_kind_with_folders_inside(tmp_path):
    path = tmp_path / "export"
    files = {"graph/weights/0": b"0", "graph/model": b"1", "labels": b""}
    for overwrite in (False, True):
        write_folder(path, files, overwrite=overwrite, kind="export")
        assert {name: (path / name).read_bytes() for name in files} == files
    with pytest.raises(FileExistsError, match="export exists and is no checkpoint, so it is not"):
        write_folder(path, FILES, overwrite=True)
    (path / "graph" / "weights" / "mine").mkdir()
    with pytest.raises(FileExistsError, match="'graph/weights/mine', which is not part of the exp"):
        write_folder(path, files, overwrite=True, kind="export")


@pytest.mark.parametrize(
    "name", ["../escape", "/a", "a/../b", "a\\b", "..", ".", "", "manifest.json"]
)
def test_names_cannot_leave_the_folder(tmp_path, name):
    with pytest.raises(ValueError) as error:
        write_folder(tmp_path / "model", {name: b""})
    assert str(error.value) == (
        f"Expected plain file names other than manifest.json, got {name!r}."
    )
    assert names(tmp_path) == []


def test_missing_folder(tmp_path):
    with pytest.raises(FileNotFoundError) as error:
        read_folder(tmp_path / "model")
    assert str(error.value) == f"There is no checkpoint folder {tmp_path}/model."


def test_missing_and_edited_files(tmp_path):
    path = tmp_path / "model"
    write_folder(path, FILES)
    (path / "config.json").write_bytes(b"{ }")
    with pytest.raises(InputError) as error:
        read_folder(path)
    assert str(error.value) == (
        f"The checkpoint {path} was changed after it was written: config.json does not match "
        "manifest.json."
    )
    (path / "config.json").unlink()
    with pytest.raises(InputError) as error:
        read_folder(path)
    assert str(error.value) == f"The checkpoint {path} lacks its file config.json."


def test_no_checkpoint(tmp_path):
    with pytest.raises(InputError) as error:
        read_folder(tmp_path)
    assert str(error.value) == f"{tmp_path} is no checkpoint: it has no manifest.json."
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(InputError, match="file is no checkpoint: it has no manifest.json"):
        read_folder(tmp_path / "file")


@pytest.mark.parametrize("content", [b"{", b"\xff"])
def test_damaged_manifest(tmp_path, content):
    (tmp_path / "manifest.json").write_bytes(content)
    with pytest.raises(InputError) as error:
        read_folder(tmp_path)
    assert str(error.value) == f"The checkpoint {tmp_path} is damaged: manifest.json is not JSON."


@pytest.mark.parametrize(
    "manifest",
    [
        [],
        {},
        {"format": "other", "sha256": {}},
        {"format": "keras-transformer-zoo checkpoint", "sha256": {"../../etc/passwd": "0"}},
    ],
)
def test_foreign_manifest(tmp_path, manifest):
    (tmp_path / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(InputError) as error:
        read_folder(tmp_path)
    assert str(error.value) == f"{tmp_path} is no checkpoint: its manifest.json is not one of ours."


def test_file_round_trip(tmp_path):
    path = tmp_path / "new" / "a.tflite"
    write_file(path, b"one")
    with pytest.raises(FileExistsError) as error:
        write_file(path, b"two")
    assert str(error.value) == f"{path} exists; choose another path or give --overwrite."
    assert path.read_bytes() == b"one"
    write_file(path, b"two", overwrite=True)
    assert path.read_bytes() == b"two"
    assert names(path.parent) == ["a.tflite"]


def test_file_does_not_replace_a_folder(tmp_path):
    with pytest.raises(FileExistsError, match="is a folder; give the name of a file"):
        write_file(tmp_path, b"", overwrite=True)


def test_file_does_not_replace_a_pipe_or_a_device(tmp_path):
    path = tmp_path / "pipe"
    os.mkfifo(path)
    (tmp_path / "link").symlink_to(path)
    for place in (path, tmp_path / "link"):
        with pytest.raises(FileExistsError, match="is a device or a pipe; give the name of a file"):
            write_file(place, b"", overwrite=True)
    assert path.is_fifo()


def test_full_disk_leaves_the_old_file(tmp_path, monkeypatch):
    path = tmp_path / "a.tflite"
    write_file(path, b"one")
    fill_disk(monkeypatch)
    with pytest.raises(OSError, match="No space left on device"):
        write_file(path, b"two", overwrite=True)
    assert path.read_bytes() == b"one"
    assert names(tmp_path) == ["a.tflite"]


def test_really_full_device(tmp_path, monkeypatch):
    if not Path("/dev/full").exists():
        pytest.skip("needs /dev/full")
    # What is made for the file is a link to the device.
    monkeypatch.setattr(Path, "touch", lambda partial: partial.symlink_to("/dev/full"))
    with pytest.raises(OSError, match=re.escape(os.strerror(errno.ENOSPC))):
        write_file(tmp_path / "a", b"some")
    assert names(tmp_path) == []
