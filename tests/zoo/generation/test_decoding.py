"""The settings of generation: what is checked, and what each message says."""

import numpy as np
import pytest

from keras_transformer.zoo.errors import InputError
from keras_transformer.zoo.generation.decoding import Decoding


def test_defaults_are_greedy():
    assert Decoding() == Decoding(
        max_tokens=128,
        beams=1,
        length_penalty=1.0,
        temperature=0.0,
        top_k=0,
        top_p=1.0,
        repetition_penalty=1.0,
        no_repeat_ngram=0,
        seed=0,
    )


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (
            {"max_tokens": 0},
            "Expected max_tokens to be an integer of at least 1, got max_tokens=0.",
        ),
        ({"beams": -3}, "Expected beams to be an integer of at least 1, got beams=-3."),
        ({"beams": True}, "Expected beams to be an integer of at least 1, got beams=True."),
        ({"beams": 2.0}, "Expected beams to be an integer of at least 1, got beams=2.0."),
        ({"top_k": -1}, "Expected top_k to be an integer of at least 0, got top_k=-1."),
        (
            {"no_repeat_ngram": -2},
            "Expected no_repeat_ngram to be an integer of at least 0, got no_repeat_ngram=-2.",
        ),
        ({"seed": -1}, "Expected seed to be an integer of at least 0, got seed=-1."),
        ({"seed": "1"}, "Expected seed to be an integer of at least 0, got seed='1'."),
        (
            {"length_penalty": np.inf},
            "Expected length_penalty to be a finite number, got length_penalty=inf.",
        ),
        (
            {"length_penalty": -11},
            "Expected length_penalty to be from -10 to 10, got length_penalty=-11.",
        ),
        (
            {"temperature": float("nan")},
            "Expected temperature to be a finite number, got temperature=nan.",
        ),
        (
            {"temperature": True},
            "Expected temperature to be a finite number, got temperature=True.",
        ),
        ({"temperature": -0.5}, "Expected temperature not to be negative, got temperature=-0.5."),
        ({"top_p": "0.9"}, "Expected top_p to be a finite number, got top_p='0.9'."),
        ({"top_p": 0.0}, "Expected top_p to be above 0 and at most 1, got top_p=0.0."),
        ({"top_p": 1.5}, "Expected top_p to be above 0 and at most 1, got top_p=1.5."),
        (
            {"repetition_penalty": 0},
            "Expected repetition_penalty to be above 0, got repetition_penalty=0.",
        ),
        (
            {"beams": 4, "temperature": 0.7},
            "Expected beams to be 1 where tokens are sampled, got beams=4, temperature=0.7.",
        ),
        (
            {"top_k": 5},
            "Expected a temperature above 0 with top_k or top_p, "
            "got temperature=0, top_k=5, top_p=1.0.",
        ),
        (
            {"top_p": 0.9},
            "Expected a temperature above 0 with top_k or top_p, "
            "got temperature=0, top_k=0, top_p=0.9.",
        ),
    ],
)
def test_impossible_settings(values, message):
    with pytest.raises(InputError) as raised:
        Decoding(**values)
    assert str(raised.value) == message


def test_options_by_name():
    assert Decoding.of(beams=3) == Decoding(beams=3)
    with pytest.raises(TypeError) as caught:
        Decoding.of(beam=3)
    assert str(caught.value) == (
        "Expected options of generation among max_tokens, beams, length_penalty, temperature, "
        "top_k, top_p, repetition_penalty, no_repeat_ngram, seed, got beam=3."
    )
