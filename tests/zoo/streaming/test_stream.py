"""A trained model hears tones in long sounds, by its checkpoint and by its file."""

import numpy as np
import pytest

import keras_transformer as kt
from keras_transformer.zoo.errors import InputError
from tests.edge.models import random_model
from tests.keywords import LABELS, RATE, SETTINGS, long_sound, trained
from tests.zoo.streaming.test_detector import plain

OPTIONS = {"hop": 0.05, "smoothing": 0.15, "threshold": 0.6, "refractory": 0.7}


@pytest.fixture(scope="module")
def runner():
    return kt.Runner(kt.convert(trained()))


def in_chunks(sound, sizes):
    start = 0
    for size in sizes:
        yield sound[start : start + size]
        start += size
    yield sound[start:]


@pytest.mark.slow
def test_tones_are_heard_where_they_are(runner):
    sound, tones = long_sound()
    found = list(runner.stream([sound], **OPTIONS, ignore=["silence"]))
    assert [one.label for one in found] == [label for label, _, _ in tones]
    for one, (_, start, end) in zip(found, tones, strict=True):
        # Not before it begins, and while some of it is in a window of 0.3 seconds.
        assert start < one.seconds < end + 0.3
        assert OPTIONS["threshold"] <= one.score <= 1


def test_detections_are_those_of_a_plain_computation(runner):
    sound, _ = long_sound(seed=1)
    step, length = round(OPTIONS["hop"] * RATE), SETTINGS["samples"]
    ends = list(range(length, len(sound) + 1, step))
    predictions = runner.predict([sound[end - length : end] for end in ends])
    rows = [list(one.scores.values()) for one in predictions]
    expected = plain(rows, ends, 3, OPTIONS["threshold"], round(OPTIONS["refractory"] * RATE))
    found = list(runner.stream([sound], **OPTIONS))
    assert len(expected) > 3
    assert [(one.label, one.seconds) for one in found] == [
        (LABELS[label], end / RATE) for end, label, _ in expected
    ]
    scores = [one[2] for one in expected]
    np.testing.assert_allclose([one.score for one in found], scores, rtol=1e-5)
    # Neither the sizes of the chunks nor their type change anything, nor does the model's kind.
    sizes = np.random.default_rng(0).multinomial(len(sound) - 100, np.ones(70) / 70)
    assert list(runner.stream(in_chunks(sound, [*sizes, 0]), **OPTIONS)) == found
    floats = sound.astype(np.float32) / 32_768
    assert list(runner.stream([floats[:, None].repeat(2, axis=1)], **OPTIONS)) == found
    by_keras = list(trained().stream([sound], **OPTIONS))
    assert [one[::2] for one in by_keras] == [one[::2] for one in found]


def test_a_detection_is_there_when_its_samples_are(runner):
    """Nothing that comes after it is read first, as from a microphone."""
    sound, _ = long_sound()
    read = []

    def chunks():
        for start in range(0, len(sound), 100):
            read.append(start + 100)
            yield sound[start : start + 100]

    for one in runner.stream(chunks(), **OPTIONS):
        assert read[-1] == round(one.seconds * RATE)


@pytest.mark.parametrize(("options", "message"), [
    ({"hop": 0}, "hop to be from 0.000125 to 0.3 seconds, got hop=0"),
    ({"hop": 0.31}, "got hop=0.31"), ({"smoothing": float("nan")}, "got smoothing=nan"),
    ({"refractory": -1}, "got refractory=-1"), ({"threshold": 0}, "got threshold=0"),
    ({"threshold": 1.5}, "got threshold=1.5"),
    ({"ignore": ["noise"]}, "are high, low, silence; got ignore='noise'"),
    ({"ignore": ["low", "high", "silence"]}, "label that is heard, got ignore=low, high, silence"),
])  # fmt: skip
def test_options_are_checked_before_a_chunk_is_read(runner, options, message):
    def chunks():
        raise AssertionError("a chunk was read")
        yield

    with pytest.raises(InputError, match=message):
        runner.stream(chunks(), **options)


def test_chunks_that_hold_no_samples(runner):
    for chunk in (np.zeros(5, np.int64), np.full(5, np.nan), np.full(5, 3.0), np.zeros((1, 2, 3))):
        with pytest.raises(InputError, match="samples"):
            list(runner.stream([np.zeros(100), chunk]))


def test_models_that_hear_nothing():
    with pytest.raises(InputError, match="classifies sounds to read a stream, got .* reads texts"):
        random_model().stream([])
