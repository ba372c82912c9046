"""Augmentation of pictures by Keras' own layers, batch by batch."""

import dataclasses
import functools
from collections.abc import Callable, Mapping
from typing import Any

import keras
import numpy as np

from keras_transformer.zoo.augmentation.augmented import Augmented
from keras_transformer.zoo.augmentation.names import kinds_of
from keras_transformer.zoo.data.batches import Batch, Batches, SampledBatches
from keras_transformer.zoo.errors import InputError

_PIXELS = "pixels"
_RANGE = (0, 255)


# Name -> a layer with a seed, of pictures alone; in the order in which they are applied.
_LAYERS: Mapping[str, Callable[[int], keras.layers.Layer]] = {
    "flip": functools.partial(keras.layers.RandomFlip, "horizontal"),
    # By whole pixels, of which none is mixed; Keras' RandomCrop moves all of a batch alike.
    "crop": functools.partial(
        keras.layers.RandomTranslation, 0.125, 0.125, fill_mode="constant", interpolation="nearest"
    ),
    "randaugment": functools.partial(keras.layers.RandAugment, value_range=_RANGE),
    "erase": functools.partial(keras.layers.RandomErasing, factor=0.5, value_range=_RANGE),
}
# Those that mix two pictures, and their labels.
_MIXES: Mapping[str, Callable[[int], keras.layers.Layer]] = {
    "mixup": keras.layers.MixUp,
    "cutmix": keras.layers.CutMix,
}
KINDS = (*_LAYERS, *_MIXES)


class AugmentedBatches(Augmented):
    """Training batches whose pictures are changed at random, differently in every epoch.

    - `flip`: mirrored, every second.
    - `crop`: moved by up to an eighth of its sides, before a black border (He et al. 2016,
      arXiv:1512.03385, section 4.2, where it is 4 of 32 pixels).
    - `randaugment`: two of a dozen changes of colours and shape (Cubuk et al. 2020,
      arXiv:1909.13719).
    - `erase`: a rectangle becomes noise, in every second (Zhong et al. 2020, arXiv:1708.04896).
    - `mixup`, `cutmix`: each picture is mixed with another one, or has a rectangle of it, and so
      are their labels (Zhang et al. 2018, arXiv:1710.09412; Yun et al. 2019, arXiv:1905.04899).
      With both, every batch has one of them.

    Args:
        batches: batches with uint8 `pixels`.
        names: kinds of augmentation, see `kinds_of`.
        seed: seed of the run.
        classes: number of labels, of which a row has one, or any number as (rows, labels); 0 for a
            task of other targets, which cannot be mixed.

    Raises:
        InputError: if a kind is unknown, or mixes targets that are not labels.
    """

    def __init__(self, batches: Batches | SampledBatches, names: str, *, seed: int, classes: int):
        super().__init__(batches, seed)
        self._classes = classes
        kinds = kinds_of(names, KINDS)
        self._mixes = [_MIXES[name](seed=seed) for name in kinds if name in _MIXES]
        if self._mixes and not classes:
            raise InputError(
                "Expected augment without mixup and cutmix for targets that are no labels, and for "
                f"images with texts or sounds, got augment={names!r}."
            )
        self._layers = [_LAYERS[name](seed=seed) for name in kinds if name in _LAYERS]

    def _changed(self, batch: Batch, rng: np.random.Generator) -> Batch:
        pixels = keras.ops.cast(batch.inputs[_PIXELS], "float32")
        for layer in self._layers:
            pixels = _applied(layer, pixels, rng)
        targets = batch.targets
        if self._mixes:
            labels = np.asarray(targets, np.float32)
            if labels.ndim == 1:
                labels = np.eye(self._classes, dtype=np.float32)[targets]
            mix = self._mixes[rng.integers(len(self._mixes))]
            mixed = _applied(mix, {"images": pixels, "labels": labels}, rng)
            pixels, targets = mixed["images"], keras.ops.convert_to_numpy(mixed["labels"])
        pixels = np.clip(np.rint(keras.ops.convert_to_numpy(pixels)), *_RANGE).astype(np.uint8)
        inputs = {**batch.inputs, _PIXELS: pixels}
        return dataclasses.replace(batch, inputs=inputs, targets=targets)


def _applied(layer: keras.layers.Layer, inputs: Any, rng: np.random.Generator) -> Any:
    """The outputs of a layer whose random numbers begin anew."""
    if not layer.built:
        layer(inputs, training=True)  # its generators exist from now on
    for state in layer.variables:
        if "seed_generator_state" in state.path:
            state.assign(rng.integers(0, 2**31, state.shape).astype("uint32"))
    return layer(inputs, training=True)
