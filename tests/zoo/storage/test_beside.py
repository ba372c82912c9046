import errno
import os
import re
import shutil
import tempfile
from pathlib import Path

import pytest

from keras_transformer.zoo.errors import InputError
from keras_transformer.zoo.storage.beside import (
    check_writable,
    new_beside,
    parents_made,
    resolved,
    target,
)
from keras_transformer.zoo.storage.files import (
    check_file_target,
    check_folder_target,
    new_folder,
    read_folder,
    write_file,
    write_folder,
)

NOBODY = 65534


def names(folder):
    return sorted(entry.name for entry in folder.iterdir())


@pytest.mark.parametrize("exists", [True, False])
def test_links_are_followed_to_a_folder(tmp_path, exists):
    (tmp_path / "there").mkdir()
    (tmp_path / "link").symlink_to("there/model")
    if exists:
        write_folder(tmp_path / "there" / "model", {"a": b"1"})
    for content in (b"2", b"3"):
        write_folder(tmp_path / "link", {"a": content}, overwrite=True)
        assert read_folder(tmp_path / "there" / "model") == {"a": content}
        assert read_folder(tmp_path / "link") == {"a": content}
        assert os.readlink(tmp_path / "link") == "there/model"
        assert (names(tmp_path), names(tmp_path / "there")) == (["link", "there"], ["model"])


@pytest.mark.parametrize("exists", [True, False])
def test_links_are_followed_to_a_file(tmp_path, exists):
    (tmp_path / "link").symlink_to("there/file")
    if exists:
        write_file(tmp_path / "there" / "file", b"1")
    write_file(tmp_path / "link", b"2", overwrite=True)
    assert (tmp_path / "there" / "file").read_bytes() == b"2"
    assert (names(tmp_path), names(tmp_path / "there")) == (["link", "there"], ["file"])


def test_a_link_that_leads_nowhere_gets_its_new_folder(tmp_path):
    (tmp_path / "link").symlink_to("there")
    with new_folder(tmp_path / "link") as folder:
        (folder / "a").touch()
    assert (names(tmp_path), names(tmp_path / "there")) == (["link", "there"], ["a"])


def test_a_link_to_itself(tmp_path):
    (tmp_path / "link").symlink_to("link")
    with pytest.raises(OSError, match=re.escape(str(tmp_path / "link"))) as caught:
        write_file(tmp_path / "link", b"", overwrite=True)
    assert caught.value.errno == errno.ELOOP


def test_other_paths_stay_as_they_were_given(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert str(resolved("model")) == "model"
    assert target("x/../model") == tmp_path / "model"


@pytest.mark.parametrize("path", ["/", "a\0b", "a\ud800"])
def test_what_is_no_path(path):
    for check in (check_file_target, check_folder_target):
        with pytest.raises(InputError, match=f"got '?{re.escape(repr(path)[1:-1])}"):
            check(path, overwrite=True)


@pytest.mark.parametrize("name", ["n" * 256, "missing/" + "ü" * 128, "/".join(["n" * 250] * 20)])
def test_a_name_that_is_too_long_is_said_before_the_work(tmp_path, name):
    for check in (check_file_target, check_folder_target):
        with pytest.raises(OSError, match=name[:20]) as caught:
            check(tmp_path / name, overwrite=False)
        assert caught.value.errno == errno.ENAMETOOLONG
    assert names(tmp_path) == []


@pytest.mark.parametrize("name", ["n" * 255, "ü" * 127])
def test_the_longest_names_can_be_written(tmp_path, name):
    for content in (b"1", b"2"):
        write_folder(tmp_path / "folder" / name, {"a": content}, overwrite=True)
        write_file(tmp_path / "file" / name, content, overwrite=True)
    assert names(tmp_path / "folder") == names(tmp_path / "file") == [name]
    # Encrypted file systems have shorter names.
    assert len(os.fsencode(new_beside(tmp_path / name, "partial").name)) < 143


def test_a_parent_that_is_a_file(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(NotADirectoryError, match="file"):
        check_writable(tmp_path / "file" / "a" / "b")


def test_folders_above_are_removed_where_the_work_fails(tmp_path):
    (tmp_path / "own").mkdir()
    path = tmp_path / "own" / "a" / "b"
    with pytest.raises(RuntimeError, match="work"), parents_made(path):
        assert path.parent.is_dir()
        raise RuntimeError("work")
    assert names(tmp_path / "own") == []


@pytest.fixture
def powerless(tmp_path):
    """A folder whose files belong to a user without rights, as whom the test runs."""
    folder = Path(tempfile.mkdtemp())
    if os.geteuid() == 0:
        os.chown(folder, NOBODY, NOBODY)
        os.seteuid(NOBODY)
        yield folder
        os.seteuid(0)
    else:
        yield folder
    for path in (folder, *folder.rglob("*")):
        path.chmod(0o700)
    shutil.rmtree(folder)


def test_a_folder_that_may_not_be_written_is_said_before_the_work(powerless):
    write_folder(powerless / "own" / "model", {"a": b"1", "b/c": b"2"})
    for closed in ("own", "own/model", "own/model/b"):
        (powerless / closed).chmod(0o555)
        with pytest.raises(PermissionError, match=f"'{powerless / closed}'"):
            check_folder_target(powerless / "own" / "model", overwrite=True)
        (powerless / closed).chmod(0o755)
    (powerless / "own").chmod(0o555)
    for check in (check_file_target, check_folder_target):
        for path in ("new", "missing/new"):
            with pytest.raises(PermissionError, match=f"'{powerless / 'own'}'"):
                check(powerless / "own" / path, overwrite=False)
    assert names(powerless / "own") == ["model"]
    assert read_folder(powerless / "own" / "model") == {"a": b"1", "b/c": b"2"}
