"""Trains tiny models in a process of its own, spread over devices, and writes their weights."""

import argparse
import itertools
import os
import sys
from contextlib import nullcontext
from pathlib import Path

import numpy as np

from keras_transformer.zoo.distributed import layout
from keras_transformer.zoo.distributed.devices import distributed
from keras_transformer.zoo.distributed.step import KeptStep
from keras_transformer.zoo.models.build import get_weights
from keras_transformer.zoo.training.train import train
from keras_transformer.zoo.training.train_recipe import train_recipe
from tests.zoo import tiny

COMMON = {
    "rows_multiple": 4, "learning_rate": 0.001, "epochs": 40, "steps": 20, "save_every": 3,
}  # fmt: skip


def image_rows():
    rng = np.random.default_rng(0)
    pictures = rng.integers(0, 255, (24, 16, 16, 3)).astype("uint8")
    return {"image": pictures, "label": ["ab"[place % 2] for place in range(24)]}


def trained(kind, tables, out, resume):
    """A trained checkpoint of a kind of model, with dropout and batches that nothing divides."""
    options = {"out": out, "resume": resume}
    if kind == "image":
        return train(
            "cct_2", train=image_rows(), validation=image_rows(), image="image", label="label",
            settings={"num_layers": 1, "hidden_dim": 16, "num_heads": 2, "dropout": 0.1},
            batch_tokens=600, **COMMON, **options,
        )  # fmt: skip
    recipe = {
        "classifier": tiny.recipe, "translator": tiny.translation_recipe,
        "writer": tiny.language_recipe,
    }[kind](tables, **COMMON, settings=tiny.SETTINGS | {"dropout": 0.1})  # fmt: skip
    return train_recipe(recipe, **options)


def die_at(step):
    """Ends the process before a step, as a machine that fails would."""
    taken, step_of = itertools.count(), KeptStep.__call__

    def counted(self, *batch):
        if next(taken) == step:
            os._exit(9)
        return step_of(self, *batch)

    KeptStep.__call__ = counted


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("tables", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("kinds")
    parser.add_argument("--distribute")
    parser.add_argument("--coordinator")
    parser.add_argument("--processes", type=int)
    parser.add_argument("--process", type=int)
    parser.add_argument("--dies-at", type=int)
    parser.add_argument("--resume", action="store_true")
    given = parser.parse_args()
    if given.dies_at:
        die_at(given.dies_at)
    # These models have no weight that is as large as those that are worth sharing.
    layout.SMALLEST_SHARED = 64
    spread = nullcontext()
    if given.distribute:
        spread = distributed(
            given.distribute, coordinator=given.coordinator, processes=given.processes,
            process=given.process,
        )  # fmt: skip
    with spread as devices:
        weights = {}
        for kind in given.kinds.split(","):
            checkpoint = trained(kind, given.tables, given.out / kind, given.resume)
            weights |= {f"{kind}/{k}": v for k, v in get_weights(checkpoint.model).items()}
        name = f"{0 if devices is None or given.process is None else given.process}.npz"
        np.savez(given.out / name, **{k.replace("/", "|"): v for k, v in weights.items()})
        print(0 if devices is None else shared(checkpoint.model))


def shared(model):
    """Number of the model's weights of which a device has a part alone."""
    return sum(not weight.value.sharding.is_fully_replicated for weight in model.weights)


if __name__ == "__main__":
    sys.exit(main())
