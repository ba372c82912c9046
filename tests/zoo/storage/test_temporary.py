import errno

import pytest

from keras_transformer.zoo.storage.temporary import temporary_folder


def test_it_is_gone_afterwards(tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    with temporary_folder() as folder:
        (folder / "a").mkdir()
        assert folder.parent == tmp_path
    with pytest.raises(KeyError), temporary_folder():
        raise KeyError
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT])
def test_a_full_disk_is_an_error_of_the_system(number):
    text = {errno.ENOSPC: "No space left on device", errno.EDQUOT: "Disk quota exceeded"}[number]
    with pytest.raises(OSError, match=f"{text}: '.*keras-transformer-") as caught:
        with temporary_folder():
            raise RuntimeError(f"RESOURCE_EXHAUSTED: variables.data; {text}")
    assert caught.value.errno == number


def test_other_errors_stay_as_they_are():
    with pytest.raises(RuntimeError, match="^other$"), temporary_folder():
        raise RuntimeError("other")
