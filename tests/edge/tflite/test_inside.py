"""Tensors of a signature that is run whole and in pieces."""

import numpy as np
import pytest

from keras_transformer.edge.runtime.packed import unpack
from keras_transformer.edge.targets.convert import convert
from keras_transformer.edge.tflite import inside
from keras_transformer.edge.tflite.inside import Inside, unpacked
from tests.edge.models import random_model


@pytest.fixture(scope="module")
def flatbuffer():
    return unpack(bytes(convert(random_model(num_layers=6), "float32")))[0]


@pytest.mark.slow
def test_pieces_compute_what_the_whole_does(flatbuffer, monkeypatch):
    inputs = {"ids": np.arange(1, 13, dtype=np.int32)[None]}
    whole = Inside(unpacked(flatbuffer), "predict").run(inputs)
    values = {place: tensor.values for place, tensor in whole.items()}
    monkeypatch.setattr(inside, "_LEAST", 1)
    parts = Inside(unpacked(flatbuffer), "predict", most_pieces=6).run(inputs)
    seen, most = set(), 0
    while not seen >= set(values):
        for place, tensor in parts.items():
            np.testing.assert_array_equal(tensor.values, values[place])
        last = set(parts) - seen
        assert last, "reached does not go on"
        seen |= last
        most = max(most, len(parts))
        parts.reached([max(last)])
    # Three of six pieces at most are held.
    assert most < 0.7 * len(values)
    np.testing.assert_array_equal(parts.outputs()["output"], whole.outputs()["output"])


def test_a_tensor_of_an_earlier_piece_moves_nothing(flatbuffer, monkeypatch):
    monkeypatch.setattr(inside, "_LEAST", 1)
    parts = Inside(unpacked(flatbuffer), "predict", most_pieces=6).run(
        {"ids": np.ones((1, 12), np.int32)}
    )
    before = list(parts)
    parts.reached([before[0], before[-1]])
    assert list(parts) == before
    # Those of a size are found among all pieces that are here.
    for size in {tensor.values.size for tensor in parts.values()} | {10**9}:
        found = [place for place, _ in parts.of_size(size)]
        assert found == [place for place in before if parts[place].values.size == size]
