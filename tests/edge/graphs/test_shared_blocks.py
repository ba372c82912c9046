"""Tests of edge/graphs/shared_blocks.py."""

import contextlib

import numpy as np
import pytest
from keras import ops

from keras_transformer.edge.graphs.shared_blocks import _Graph, shared_blocks
from keras_transformer.quantization import Projection, QuantPoint
from keras_transformer.zoo.models.build import all_layers, build, get_weights, set_weights
from keras_transformer.zoo.models.running.stepwise import Stepwise
from tests.edge import generators


def rounding(kind, **changes):
    """A random model of four blocks whose kernels and rows are rounded."""
    trained = generators.generator(kind, num_layers=4, **changes)
    bits = {"kernel_bits": 8, "row_bits": 8}
    model = build(trained.config, trained.task, bits=bits)
    set_weights(model, get_weights(trained.model))
    return trained.config, model


def run(config, model, shared):
    """What the points observe, in order, and the logits of two tokens after a prompt."""
    seen, points = [], [one for one in all_layers(model) if isinstance(one, QuantPoint)]

    def observe(point, values):
        seen.append((point.path, ops.convert_to_numpy(values)))
        # As a file's values do that replace the model's.
        return ops.convert_to_tensor(values) + 0.125

    steps = Stepwise(model, config)
    cache, found = steps.new_cache(1, 16), []
    for point in points:
        point.observer = observe
    with shared_blocks(model) if shared else contextlib.nullcontext():
        for place, ids in ((0, [7, 8, 9]), (3, [10]), (4, [11])):
            x, cache = steps.decode(np.array([ids], np.int32), ops.convert_to_tensor(place), cache)
            found.append(ops.convert_to_numpy(steps.logits(x)))
    for point in points:
        point.observer = None
    return seen, found


@pytest.mark.parametrize("kind", ["llama", "gemma"])
def test_blocks_compute_and_show_what_they_do_eagerly(kind, monkeypatch):
    traced, trace = [], _Graph._trace
    monkeypatch.setattr(_Graph, "_trace", lambda *given: traced.append(1) or trace(*given))
    config, model = rounding(kind)
    seen, logits = run(config, model, shared=False)
    ours, found = run(config, model, shared=True)
    assert [path for path, _ in ours] == [path for path, _ in seen]
    for (path, values), (_, expected) in zip(ours, seen, strict=True):
        np.testing.assert_array_equal(values, expected, err_msg=path)
    np.testing.assert_array_equal(found[-1], logits[-1])
    # Local and global blocks, a prompt and a token: each is traced once.
    assert len(traced) == {"llama": 2, "gemma": 4}[kind]


def test_a_block_that_differs_is_called_as_it_is():
    config, model = rounding("llama")
    [last] = [
        layer for layer in all_layers(model)
        if isinstance(layer, Projection) and layer.path.endswith("block_3/feed_forward/sublayer/up")
    ]  # fmt: skip
    last.stay_float()
    _, logits = run(config, model, shared=False)
    _, found = run(config, model, shared=True)
    np.testing.assert_array_equal(found[-1], logits[-1])


def test_the_model_is_as_before_after_the_context():
    _, model = rounding("llama")
    stack = model.get_layer("decoder")
    with pytest.raises(RuntimeError, match="inside"), shared_blocks(model):
        assert stack.run_block is not None
        raise RuntimeError("inside")
    assert stack.run_block is None
