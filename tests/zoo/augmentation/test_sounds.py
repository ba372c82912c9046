"""Augmentation of sounds: what each kind changes, and that an epoch repeats."""

import numpy as np
import pytest

import keras_transformer as kt
from keras_transformer.zoo.augmentation.sounds import KINDS, AugmentedSounds
from keras_transformer.zoo.data.batches import Batches
from keras_transformer.zoo.errors import InputError
from keras_transformer.zoo.modalities.modality import InputSpec
from tests.zoo.modalities.test_audio_files import CONFIG, sounds

LENGTH, ROWS, RATE = 200, 40, 8000
SPEC = InputSpec(name="waveform", dtype="float32", shape=(LENGTH,))


def batches(names, seed=0):
    rows = np.random.default_rng(1).uniform(-1, 1, (ROWS, LENGTH)).astype(np.float32)
    columns = {"waveform": list(rows)}
    plain = Batches(columns, np.arange(ROWS), specs=(SPEC,), batch_tokens=10)
    return rows, AugmentedSounds(plain, names, seed=seed, rate=RATE)


def epoch(names, number=0):
    """The rows, and what the kinds make of each."""
    rows, augmented = batches(names)
    found = np.zeros_like(rows)
    for batch in augmented.epoch(number):
        assert batch.inputs["waveform"].dtype == np.float32
        found[batch.targets] = batch.inputs["waveform"]
    return rows, found


def test_shift():
    for row, found in zip(*epoch("shift"), strict=True):
        wide = np.pad(row, LENGTH // 10)
        assert any(np.array_equal(found, wide[k : k + LENGTH]) for k in range(LENGTH // 5 + 1))


def test_level():
    rows, found = epoch("level")
    factor = found[:, :1] / rows[:, :1]
    np.testing.assert_allclose(found, rows * factor, rtol=1e-5)
    assert (factor >= 0.25).all() and (factor <= 4).all() and factor.std() > 0.3


def test_noise():
    rows, found = epoch("noise")
    size = np.square(found - rows).mean(axis=1) / np.square(rows).mean(axis=1)
    changed = size[size > 0]
    assert ROWS / 4 < len(changed) < 3 * ROWS / 4
    # Of 200 samples the variance is known to a third.
    assert (changed < 1.4 * 0.1).all() and (changed > 0.6 * 1e-4).all()


def test_mask():
    rows, found = epoch("mask")
    silent = found == 0
    np.testing.assert_array_equal(found[~silent], rows[~silent])
    assert 0 < silent.sum(axis=1).max() <= LENGTH // 10
    edges = np.abs(np.diff(np.pad(silent, ((0, 0), (1, 1))).astype(int), axis=1)).sum(axis=1)
    assert edges.max() == 2  # one stretch


def test_frequency():
    rows, found = epoch("frequency")
    before, after = np.abs(np.fft.rfft(rows)), np.abs(np.fft.rfft(found))
    removed = after < 1e-4
    np.testing.assert_allclose(after[~removed], before[~removed], atol=1e-4)
    edges = np.abs(np.diff(np.pad(removed, ((0, 0), (1, 1))).astype(int), axis=1)).sum(axis=1)
    assert edges.max() == 2  # one stretch
    mels = 2595 * np.log10(1 + np.arange(LENGTH // 2 + 1) * RATE / LENGTH / 700)
    widths = [np.ptp(mels[row]) for row in removed if row.any()]
    assert mels[-1] / 20 < np.max(widths) <= mels[-1] / 5


def test_epochs_repeat_and_differ_whichever_batch_they_start_with():
    names = ",".join(KINDS)
    _, first = epoch(names)
    np.testing.assert_array_equal(first, epoch(names)[1])
    assert (first != epoch(names, 1)[1]).any()
    _, augmented = batches(names)
    for one, two in zip(list(augmented.epoch(2))[2:], augmented.epoch(2, start=2), strict=True):
        np.testing.assert_array_equal(one.inputs["waveform"], two.inputs["waveform"])
    assert len(augmented) == 4 and augmented.largest() == (10, 1)
    assert len(augmented.fingerprint()) > 8
    [shape] = [one.inputs["waveform"].shape for one in augmented.one_of_each_shape()]
    assert shape == (10, LENGTH)


def test_unknown_kinds():
    for wrong in ("flip", "shift,shift", "shift,"):
        with pytest.raises(InputError, match="Expected augment to name some of shift, level,"):
            batches(wrong)


@pytest.mark.slow
def test_a_model_trains_on_them():
    trained = kt.train(
        CONFIG, train=sounds(96), validation=0.25, epochs=5, learning_rate=3e-3,
        batch_tokens=15 * 16, augment="shift,noise",
    )  # fmt: skip
    assert trained.metrics["validation"]["accuracy"] > 0.9
