"""Where weights lie: every pattern cuts what it names, and nothing that cannot be divided."""

import re

import numpy as np
import pytest

from keras_transformer.zoo.distributed.layout import PATTERNS, SMALLEST_SHARED, axes_of
from keras_transformer.zoo.models.build import build
from tests.zoo import tiny


def cut(shapes, **kwargs):
    """The axes of each weight that is cut over devices."""
    axes = {path: axes_of(path, shape, **kwargs) for path, shape in shapes.items()}
    return {path: found for path, found in axes.items() if any(found)}


def shapes_of(**changes):
    model = build(tiny.config(**changes), tiny.TASK)
    return {weight.path: tuple(weight.shape) for weight in model.weights}


def test_each_pattern_cuts_weights_of_a_model():
    shapes = shapes_of(gated=True, num_layers=2)
    found = cut(shapes, replicas=1, model=2, is_shared=False)
    counts = {
        pattern: sum(bool(re.search(pattern, path)) for path in found) for pattern in PATTERNS
    }
    # Of two blocks; tokens, positions and segments have tables.
    assert list(counts.values()) == [10, 10, 4, 3]
    block = "encoder/block_1"
    assert found[f"{block}/attention/sublayer/query/kernel"] == (None, "model")
    assert found[f"{block}/attention/sublayer/output/kernel"] == ("model", None)
    assert found[f"{block}/feed_forward/sublayer/gate/bias"] == ("model",)
    assert found[f"{block}/feed_forward/sublayer/down/kernel"] == ("model", None)
    assert found["token_embedding/embeddings"] == (None, "model")
    whole = set(shapes) - set(found)
    assert {path.split("/")[-2] for path in whole if path.endswith("kernel")} == {"head", "pooler"}


def test_what_cannot_be_divided_is_whole():
    assert cut(shapes_of(), replicas=1, model=3, is_shared=False) == {}
    assert cut(shapes_of(), replicas=4, model=1, is_shared=False) == {}


@pytest.mark.parametrize(
    ("shape", "axes"),
    [
        ((512, 128), ("data", None)),
        ((128, 512), (None, "data")),
        # Of equal axes the first; of a prime number of rows the width.
        ((128, 128), ("data", None)),
        ((2613, 128), (None, "data")),
        ((SMALLEST_SHARED - 1,), (None,)),
    ],
)
def test_shared_weights_are_cut_along_their_longest_axis(shape, axes):
    assert axes_of("any", shape, replicas=4, model=1, is_shared=True) == axes


def test_a_weight_can_be_cut_both_ways():
    path = "encoder/block_0/feed_forward/sublayer/up/kernel"
    axes = axes_of(path, (128, 512), replicas=2, model=2, is_shared=True)
    assert axes == ("data", "model")
    assert np.prod([128 // 2, 512 // 2]) * 4 == 128 * 512
