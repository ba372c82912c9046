import pytest

from keras_transformer.zoo.errors import InputError
from keras_transformer.zoo.media.class_folders import inside, read_class_folder

SUFFIXES = (".png",)


def write(folder, *names):
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"")


def test_files_have_the_names_of_their_folders(tmp_path):
    write(tmp_path, "cat/2.png", "cat/1.PNG", "dog/old/3.png", "cat/.hidden", ".git/4.png")
    files, names = read_class_folder(tmp_path, SUFFIXES)
    assert [str(one.relative_to(tmp_path)) for one in files] == [
        "cat/1.PNG", "cat/2.png", "dog/old/3.png",
    ]  # fmt: skip
    assert names == ["cat", "cat", "dog"]


def test_a_relative_folder(tmp_path, monkeypatch):
    write(tmp_path, "data/cat/1.png")
    monkeypatch.chdir(tmp_path)
    [file], _ = read_class_folder("data", SUFFIXES)
    assert file.is_file()


def test_what_is_no_folder_of_classes(tmp_path):
    with pytest.raises(InputError, match="a folder of files for each class, got none"):
        read_class_folder(tmp_path, SUFFIXES)
    write(tmp_path, "cat/1.png")
    (tmp_path / "dog").mkdir()
    with pytest.raises(InputError, match=r"dog: expected files of the class 'dog' \(.png\), got"):
        read_class_folder(tmp_path, SUFFIXES)
    write(tmp_path, "dog/notes.txt")
    with pytest.raises(InputError, match=r"notes.txt: expected a file that ends in .png"):
        read_class_folder(tmp_path, SUFFIXES)
    write(tmp_path, "readme.md")
    with pytest.raises(InputError, match="got the file readme.md"):
        read_class_folder(tmp_path, SUFFIXES)


def test_paths_stay_inside(tmp_path):
    folder = tmp_path / "data"
    write(folder, "a/1.png")
    write(tmp_path, "secret.png")
    assert inside("a/1.png", folder) == folder / "a/1.png"
    (folder / "link.png").symlink_to(tmp_path / "secret.png")
    for path in ("../secret.png", tmp_path / "secret.png", "link.png", "a/../../secret.png"):
        with pytest.raises(InputError, match="which leaves it; copy the file there"):
            inside(path, folder)
    (folder / "a/link.png").symlink_to(tmp_path / "secret.png")
    (folder / "link.png").unlink()
    with pytest.raises(InputError, match="which leaves it"):
        read_class_folder(folder, SUFFIXES)
