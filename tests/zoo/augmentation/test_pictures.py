"""Augmented batches: what each kind may change, and that a run repeats them."""

import numpy as np
import pytest

import keras_transformer as kt
from keras_transformer.zoo.augmentation.names import kinds_of
from keras_transformer.zoo.augmentation.pictures import KINDS, AugmentedBatches
from keras_transformer.zoo.data.batches import Batches
from keras_transformer.zoo.errors import InputError
from keras_transformer.zoo.losses.label_sets import LabelSetLoss
from keras_transformer.zoo.losses.losses import ClassLoss
from keras_transformer.zoo.modalities.image import Image
from keras_transformer.zoo.tasks.classification import Classification
from tests.zoo.modalities.test_image import CONFIG, pictures

SETTINGS = {"height": 16, "width": 16, "patch": 4}
SPECS = Image(max_length=17, settings=SETTINGS).inputs()
ROWS = np.random.default_rng(0).integers(1, 256, (24, 16, 16, 3), np.uint8)
TARGETS = np.arange(24, dtype=np.int32) % 3


def batches(names, **options):
    plain = Batches({"pixels": list(ROWS)}, TARGETS, specs=SPECS, batch_tokens=17 * 8)
    return AugmentedBatches(plain, names, **{"seed": 3, "classes": 3, **options})


def pairs(names, epoch=0):
    """Each picture with what became of it, and both targets."""
    for batch in batches(names).epoch(epoch):
        for place, index in enumerate(batch.index):
            yield ROWS[index], batch.inputs["pixels"][place], TARGETS[index], batch.targets[place]


def test_flips():
    flipped = [np.array_equal(new, old[:, ::-1]) for old, new, *_ in pairs("flip")]
    same = [np.array_equal(new, old) for old, new, *_ in pairs("flip")]
    assert all(np.logical_xor(flipped, same))
    assert 4 < sum(flipped) < 20  # about half of 24


def test_crops():
    shifts = set()
    for old, new, *targets in pairs("crop"):
        wide = np.pad(old, ((2, 2), (2, 2), (0, 0)))
        found = [
            (y, x) for y in range(5) for x in range(5)
            if np.array_equal(wide[y : y + 16, x : x + 16], new)
        ]  # fmt: skip
        assert len(found) == 1
        assert targets[0] == targets[1]
        shifts |= set(found)
    assert len(shifts) > 5


def test_erased_rectangles():
    changed = [(old != new).any(axis=-1) for old, new, *_ in pairs("erase")]
    assert 2 < sum(one.any() for one in changed) < 24
    for one in filter(np.any, changed):
        rows, columns = one.any(axis=1), one.any(axis=0)
        # All within one rectangle; a random value may be the old one.
        assert one[np.ix_(rows, columns)].mean() > 0.9


def test_mixed_pictures_have_mixed_labels():
    mixed = list(pairs("mixup"))
    assert all(new.dtype == np.float32 and new.shape == (3,) for *_, new in mixed)
    np.testing.assert_allclose([new.sum() for *_, new in mixed], 1.0, atol=1e-6)
    shares = np.array([new[old] for *_, old, new in mixed])
    assert (shares > 0.0).all()
    assert (shares < 1.0).any()
    for old, new, target, share in pairs("cutmix"):
        kept = (old == new).all(axis=-1).mean()
        # The share of the label is that of the picture, up to rounding of the rectangle's sides.
        assert abs(kept - share[target]) < 0.15 or share[target] == 1.0


@pytest.mark.parametrize("names", [*KINDS, ",".join(KINDS)])
def test_an_epoch_has_the_same_batches_again(names):
    made = batches(names)
    first = list(made.epoch(1))
    assert all(one.inputs["pixels"].dtype == np.uint8 for one in first)
    for again, skipped in ((batches(names).epoch(1), 0), (made.epoch(1, start=2), 2)):
        for one, two in zip(first[skipped:], again, strict=True):
            np.testing.assert_array_equal(one.inputs["pixels"], two.inputs["pixels"])
            np.testing.assert_array_equal(one.targets, two.targets)
    other = next(batches(names).epoch(2))
    assert not np.array_equal(other.inputs["pixels"], first[0].inputs["pixels"])


def test_the_loss_of_mixed_labels_is_the_mean_of_both():
    logits = np.random.default_rng(1).normal(size=(6, 3)).astype("float32")
    one, other = TARGETS[:6], TARGETS[1:7]
    mixed = 0.7 * np.eye(3, dtype="float32")[one] + 0.3 * np.eye(3, dtype="float32")[other]
    for options in ({}, {"label_smoothing": 0.1}, {"weights": (1.0, 2.0, 0.5)}):
        if "weights" in options:
            # The weight of a mixed row is the mean of both.
            nats = -np.log(np.exp(logits) / np.exp(logits).sum(1, keepdims=True))
            expected = ((mixed * nats).sum(1) * (mixed @ [1.0, 2.0, 0.5])).mean()
        else:
            expected = 0.7 * ClassLoss(**options)(one, logits) + 0.3 * ClassLoss(**options)(
                other, logits
            )
        np.testing.assert_allclose(ClassLoss(**options)(mixed, logits), expected, rtol=1e-5)


def test_a_model_trains_on_them():
    rows, labels = pictures(96)
    trained = kt.train(
        CONFIG, Classification(), train=(rows, labels), validation=0.25, epochs=5,
        learning_rate=3e-3, batch_tokens=13 * 16, augment="crop,flip,mixup,cutmix",
    )  # fmt: skip
    assert trained.metrics["validation"]["accuracy"] > 0.9
    assert trained.recipe.data.augment == "crop,flip,mixup,cutmix"


def test_sets_of_labels_are_mixed_as_they_are():
    rows, _ = pictures(96)
    sets = [["falls", "rises"][: 1 + k % 2] for k in range(96)]
    trained = kt.train(
        CONFIG, "multi-label", train=(rows, sets), validation=0.25, epochs=1,
        batch_tokens=13 * 16, augment="mixup", focal=1.0,
    )  # fmt: skip
    assert np.isfinite(trained.metrics["validation"]["micro_f1"])


def test_the_loss_of_mixed_sets_is_the_mean_of_both():
    rng = np.random.default_rng(1)
    logits = rng.normal(size=(6, 3)).astype("float32")
    one, other = rng.integers(0, 2, (2, 6, 3)).astype("float32")
    for options in ({}, {"label_smoothing": 0.1}):
        loss = LabelSetLoss(**options)
        expected = 0.7 * loss(one, logits) + 0.3 * loss(other, logits)
        np.testing.assert_allclose(loss(0.7 * one + 0.3 * other, logits), expected, rtol=1e-5)


def test_what_cannot_be_augmented():
    assert kinds_of("", KINDS) == ()
    assert kinds_of("crop, flip", KINDS) == ("flip", "crop")
    for wrong in ("blur", "flip,flip", "flip,"):
        with pytest.raises(InputError, match="Expected augment to name some of flip, crop,"):
            kinds_of(wrong, KINDS)
    with pytest.raises(InputError, match="without mixup and cutmix for targets that are no"):
        batches("mixup", classes=0)
    with pytest.raises(InputError, match="Expected augment only for images and sounds, got"):
        kt.train(
            "bert_tiny", train=(["a", "b"] * 8, ["x", "y"] * 8), validation=0.5, augment="flip",
            settings={"num_layers": 1, "hidden_dim": 16, "num_heads": 2},
        )  # fmt: skip
