"""Importance against differences of the loss, and against models without the block."""

import numpy as np
import pytest

from keras_transformer.edge.compress.importance import (
    head_and_neuron_importance,
    least_costly_blocks,
)
from keras_transformer.edge.compress.structure import shortened
from keras_transformer.zoo.data.batches import NO_TARGET
from keras_transformer.zoo.models.build import build, get_weights, set_weights
from tests.edge.compress.test_structure import LAYERS, Given, model_of
from tests.slow import mostly_slow


def row_losses(model, task, data):
    """The loss of each row times the targets of its batch's mean, in order."""
    losses = []
    for batch in data.batches:
        outputs = np.asarray(model(batch.inputs))
        for row in range(len(batch.index)):
            targets = batch.targets[row : row + 1]
            loss = float(task.loss()(targets, outputs[row : row + 1]))
            losses.append(loss * (np.count_nonzero(targets != NO_TARGET) if task.generates else 1))
    return np.array(losses)


@pytest.mark.parametrize(
    "form", mostly_slow(["encoder", "grouped_decoder", "translator"], ["grouped_decoder"])
)
def test_importance_is_the_gradient_of_each_gate(form):
    model, config, task = model_of(form)
    data = Given(config, task)
    importance = head_and_neuron_importance(model, task.loss(), data)
    weights, step = get_weights(model), 1e-2

    def gated(path, rows):
        """Sum over rows of the absolute change of the loss by a gate, by central difference."""
        losses = []
        for factor in (1 + step, 1 - step):
            kernel = weights[path].copy()
            kernel[rows] *= factor
            set_weights(model, {**weights, path: kernel})
            losses.append(row_losses(model, task, data))
        return np.abs(losses[0] - losses[1]).sum() / (2 * step)

    stack = "decoder" if form != "encoder" else "encoder"
    places = {"attention"} | ({"cross_attention"} if form == "translator" else set())
    for place in places:
        path = f"{stack}/block_1/{place}/sublayer"
        assert importance.heads[path].shape == (config.num_heads,)
        for head in (0, 3):
            found = importance.heads[path][head]
            rows = slice(head * config.head_width, (head + 1) * config.head_width)
            # float32 losses over a step of a hundredth, whose own error is a ten-thousandth.
            expected = gated(f"{path}/output/kernel", rows)
            np.testing.assert_allclose(found, expected, rtol=2e-2, atol=1e-3)
    path = f"{stack}/block_0/feed_forward/sublayer"
    expected = gated(f"{path}/down/kernel", 7)
    np.testing.assert_allclose(importance.neurons[path][7], expected, rtol=2e-2, atol=1e-3)
    blocks = LAYERS * (2 if form == "translator" else 1)
    assert len(importance.neurons) == blocks
    assert len(importance.heads) == blocks + (LAYERS if form == "translator" else 0)


def test_the_block_is_left_out_without_which_the_loss_is_least():
    model, config, task = model_of("decoder")
    data = Given(config, task)
    losses = []
    for left_out in range(LAYERS):
        kept = {"decoder": [i for i in range(LAYERS) if i != left_out]}
        new, weights = shortened(config, get_weights(model), kept)
        smaller = build(new)
        set_weights(smaller, weights)
        losses.append(row_losses(smaller, task, data).sum())
    before = get_weights(model)
    kept = least_costly_blocks(model, task.loss(), data, LAYERS - 1)
    assert set(range(LAYERS)) - set(kept["decoder"]) == {int(np.argmin(losses))}
    for path, value in get_weights(model).items():
        np.testing.assert_array_equal(value, before[path])
