import zipfile

import pytest

from keras_transformer.edge.runtime.packed import pack, unpack
from keras_transformer.zoo.errors import InputError

FLATBUFFER = b"\x20\0\0\0TFL3" + bytes(range(60))
FILES = {"labels.txt": b"ja\nnein\n", "vocab.txt": b"[PAD]\n[UNK]\n"}
FOREIGN = (
    "{} is not as keras-transformer convert wrote it: it was made by another program, "
    "cut short or changed."
)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "model.tflite"


def message(path):
    with pytest.raises(InputError) as caught:
        unpack(path)
    return str(caught.value)


def test_what_is_packed_comes_back(path):
    path.write_bytes(pack(FLATBUFFER, {"task": {"name": "classification"}}, FILES))
    flatbuffer, description, files = unpack(path)
    assert (flatbuffer, files) == (FLATBUFFER, FILES)
    assert description == {
        "format": "keras-transformer-zoo tflite 1",
        "flatbuffer_bytes": len(FLATBUFFER),
        "task": {"name": "classification"},
    }


def test_equal_contents_give_equal_bytes():
    assert pack(FLATBUFFER, {"a": 1}, FILES) == pack(FLATBUFFER, {"a": 1}, FILES)


def test_any_zip_reader_finds_the_files(path):
    path.write_bytes(pack(FLATBUFFER, {}, FILES))
    with zipfile.ZipFile(path) as archive:
        assert archive.namelist() == ["model.json", "labels.txt", "vocab.txt"]
        assert archive.read("labels.txt") == FILES["labels.txt"]
        assert archive.testzip() is None


def test_every_cut_and_every_changed_byte_is_found(path):
    data = pack(FLATBUFFER, {"a": 1}, FILES)
    for place in range(len(data)):
        damaged = [data[:place], bytearray(data)]
        damaged[1][place] ^= 0x40
        for contents in damaged:
            path.write_bytes(contents)
            is_named = contents[4:8] == b"TFL3"
            expected = FOREIGN.format(path) if is_named else f"{path} is no TFLite file."
            assert message(path) == expected, place


def test_files_of_others(path):
    path.write_bytes(b"text\tlabel\n")
    assert message(path) == f"{path} is no TFLite file."
    path.write_bytes(b"")
    assert message(path) == f"{path} is no TFLite file."
    path.write_bytes(FLATBUFFER)
    assert message(path) == FOREIGN.format(path)


def test_another_version_of_the_format(path):
    path.write_bytes(pack(FLATBUFFER, {"format": "keras-transformer-zoo tflite 9"}, FILES))
    assert message(path) == (
        f"{path} is of the format 'keras-transformer-zoo tflite 9', "
        "this version reads 'keras-transformer-zoo tflite 1'."
    )


def test_no_such_file(path):
    with pytest.raises(FileNotFoundError):
        unpack(path)
