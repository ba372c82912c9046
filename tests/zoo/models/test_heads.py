import re

import pytest

from keras_transformer.zoo.errors import InputError
from keras_transformer.zoo.models.build import build
from keras_transformer.zoo.models.heads import Head, head_of
from keras_transformer.zoo.models.running.predict import model_inputs
from tests.zoo import tiny


def refused(message):
    return pytest.raises(InputError, match=f"^{re.escape(message)}$")


def test_a_model_takes_a_head_or_what_has_one():
    head = Head(units=2)
    assert head_of(head) is head
    assert head_of(tiny.TASK) == head
    assert head_of(None) is None
    for given in (head, tiny.TASK):
        assert build(tiny.config(), given).output_shape == (None, 2)


def test_segments_are_read_of_pairs_alone():
    columns = {"ids": 1, "segment_ids": 2}
    single, pairs = (build(tiny.config(), Head(units=1, pair=pair)) for pair in (False, True))
    assert model_inputs(single, columns) == {"ids": 1}
    assert model_inputs(pairs, columns) == columns


def test_impossible_heads():
    with refused("Expected kind to be one of pooled, tokens, vector, masked, tied, got 'span'."):
        Head(kind="span")
    with refused(
        "Expected units of a pooled or tokens head, or of a vector one, got kind='pooled', "
        "units=None."
    ):
        Head()
    with refused(
        "Expected units of a pooled or tokens head, or of a vector one, got kind='tied', units=3."
    ):
        Head(kind="tied", units=3)
    with refused("Expected a pooled head on encoder, got architecture='decoder'."):
        build(tiny.config("decoder"), Head(units=2))
    with refused(
        "Expected a tied head on decoder or encoder-decoder, got architecture='encoder'."
    ):
        build(tiny.config(), Head(kind="tied"))
