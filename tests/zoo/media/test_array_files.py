import numpy as np
import pytest

from keras_transformer.zoo.errors import InputError
from keras_transformer.zoo.media.array_files import read_arrays


def test_arrays_by_name(tmp_path):
    pixels = np.arange(24, dtype=np.uint8).reshape(2, 4, 3)
    np.savez(tmp_path / "rows.npz", image=pixels, label=["a", "b"], rate=8000)
    found = read_arrays(tmp_path / "rows.npz")
    # A single number is no column.
    assert sorted(found) == ["image", "label"]
    np.testing.assert_array_equal(found["image"], pixels)
    assert list(found["label"]) == ["a", "b"]


def test_damaged_files(tmp_path):
    path = tmp_path / "rows.npz"
    with pytest.raises(FileNotFoundError, match="There is no file"):
        read_arrays(path)
    np.savez(path, image=np.array([{}, 1], object))
    with pytest.raises(InputError, match="expected arrays as numpy.savez writes them"):
        read_arrays(path)
    path.write_bytes(b"PK no zip")
    with pytest.raises(InputError, match="expected arrays as numpy.savez writes them"):
        read_arrays(path)
    np.savez(path, image=np.zeros(1000))
    path.write_bytes(path.read_bytes()[:300])
    with pytest.raises(InputError, match="expected arrays as numpy.savez writes them"):
        read_arrays(path)


def test_columns_of_one_value(tmp_path):
    np.savez(tmp_path / "rows.npz", name=np.array([b"cat", b"dog"]), label=[[3], [5]])
    found = read_arrays(tmp_path / "rows.npz")
    assert list(found["name"]) == ["cat", "dog"]
    assert list(found["label"]) == [3, 5]
