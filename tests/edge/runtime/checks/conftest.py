import pytest

from keras_transformer.edge.runtime.packed import unpack


@pytest.fixture(scope="module")
def flatbuffer(files):
    return unpack(files["int8"])[0]


@pytest.fixture(scope="module")
def floats(files):
    return unpack(files["float32"])[0]
