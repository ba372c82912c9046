"""Small models with weights drawn at random, for tests of conversion."""

import dataclasses

import keras
import numpy as np

from keras_transformer.quantization import QuantPoint
from keras_transformer.zoo.checkpoint import Checkpoint
from keras_transformer.zoo.data.batches import Batches
from keras_transformer.zoo.modalities.text import Text
from keras_transformer.zoo.models.build import build, get_weights, set_weights
from keras_transformer.zoo.models.config import TransformerConfig
from keras_transformer.zoo.recipe import Recipe
from keras_transformer.zoo.tasks.registry import TASKS
from keras_transformer.zoo.tokenizers.tokenizer import Encoded, Tokenizer, TokenizerConfig

LENGTH = 12
WORDS = [f"w{i}" for i in range(35)]
VOCABULARY = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *WORDS]


def random_rows(count, *, pair=False, seed=0):
    """Encoded rows of 3 to LENGTH tokens."""
    rng = np.random.default_rng(seed)
    ids = [rng.integers(1, len(VOCABULARY), n, np.int32) for n in rng.integers(3, LENGTH, count)]
    second = [np.arange(len(row)) >= len(row) // 2 for row in ids]
    segment_ids = [part.astype(np.int32) * pair for part in second]
    return Encoded(ids=ids, segment_ids=segment_ids)


def trained_on(checkpoint, length):
    """A checkpoint as if its rows had been cut to this length."""
    return dataclasses.replace(
        checkpoint, modality=dataclasses.replace(checkpoint.modality, max_length=length)
    )


def random_model(task_name="classification", *, pair=False, seed=0, **settings):
    """An untrained model as a checkpoint holds it, with biases and scales that are not 0 and 1."""
    config = TransformerConfig(
        **{
            "architecture": "encoder",
            "vocab_size": len(VOCABULARY),
            "max_length": 16,
            "hidden_dim": 32,
            "intermediate_dim": 64,
            "num_layers": 1,
            "num_heads": 4,
            "num_segments": 2,
            **settings,
        }
    )
    keras.utils.set_random_seed(seed)
    labels = {"labels": ("a", "b", "c")} if task_name == "classification" else {}
    task = TASKS[task_name](pair=pair, **labels)
    model = build(config, task)
    rng = np.random.default_rng(seed)
    weights = {
        path: value + rng.normal(0, 0.1, value.shape).astype("float32")
        for path, value in get_weights(model).items()
    }
    set_weights(model, weights)
    probes = random_rows(64, pair=pair, seed=1)
    return Checkpoint(
        config=config, task=task, model=model, metrics={},
        modality=Text(tokenizer=Tokenizer(TokenizerConfig(), VOCABULARY), max_length=LENGTH),
        recipe=Recipe.of_task(
            TASKS[task_name], model="bert_tiny", train="train.tsv", validation="validation.tsv"
        ),
        probes=dict(zip(("ids", "segment_ids"), probes.pad(), strict=True)),
    )  # fmt: skip


def with_outliers(trained, factor=1000.0):
    """The same function in float, by value vectors one entry of which is far larger than others."""
    weights = get_weights(trained.model)
    for path in [path for path in weights if path.endswith("attention/sublayer/value/kernel")]:
        layer = path.removesuffix("value/kernel")
        weights[path][:, 0] *= factor
        weights[f"{layer}value/bias"][0] *= factor
        weights[f"{layer}output/kernel"][0] /= factor
    model = build(trained.config, trained.task)
    set_weights(model, weights)
    return dataclasses.replace(trained, model=model)


def calibration(*, pair=False):
    """Batches for the ranges of a random model."""
    rows = random_rows(128, pair=pair, seed=2)
    columns = rows.columns if pair else {"ids": rows.ids}
    return Batches(columns, batch_tokens=512)


def one_point(minimum, maximum, **arguments):
    """A model of one point with a range, and the point."""
    model = keras.Sequential([keras.Input((50,)), QuantPoint(8, name="point", **arguments)])
    point = model.get_layer("point")
    point.set_range(minimum, maximum)
    return model, point


def range_of(point):
    return float(point.range_min), float(point.range_max)
