"""Rotation of the residual stream: the same function, without huge channels."""

import dataclasses

import numpy as np
import pytest
from keras import ops

from keras_transformer.edge.quantize.qat import quantized_model
from keras_transformer.edge.quantize.rotation import rotated, rotation
from keras_transformer.edge.targets.convert import convert
from keras_transformer.zoo.errors import InputError
from keras_transformer.zoo.models.build import build, get_weights, set_weights
from keras_transformer.zoo.models.running.predict import model_inputs
from tests.edge import generators
from tests.edge.models import random_model

HUGE = 5


def outputs(model, checkpoint):
    return ops.convert_to_numpy(model(model_inputs(model, checkpoint.probes), training=False))


def with_a_huge_channel(**changes):
    """A decoder in which one channel of the residual stream is far larger than the others.

    The gammas make up for it in part, as those of published models do.
    """
    checkpoint = generators.generator("llama", intermediate_dim=64, hidden_dim=32, **changes)
    model = build(checkpoint.config, checkpoint.task)
    weights = get_weights(checkpoint.model)
    for path, value in weights.items():
        if path.endswith(("embeddings", "output/kernel", "down/kernel")):
            value[..., HUGE] *= 60.0
        elif path.endswith("gamma"):
            value[HUGE] *= 0.05
    set_weights(model, weights)
    return dataclasses.replace(checkpoint, model=model)


@pytest.mark.parametrize("width", [1, 7, 12, 32, 576])
def test_the_matrix_is_orthogonal_and_even(width):
    turn = rotation(width)
    np.testing.assert_allclose(turn @ turn.T, np.eye(width), atol=1e-12)
    # Entries of a Hadamard matrix are 1, those of a Hartley transform up to the root of 2.
    assert np.abs(turn).max() * np.sqrt(width) <= np.sqrt(2.0) + 1e-9


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"tied_head": False},
        {"tied_head": False, "logits_bias": True, "hidden_dim": 24},
        {"use_bias": True, "logits_bias": True, "scale_embeddings": True},
        {"qk_norm": True, "parallel_residual": True, "gated": False, "activation": "relu"},
        {"positions": "alibi", "window": 8, "layer_pattern": "LG"},
    ],
    ids=str,
)
def test_outputs_are_the_same(changes):
    checkpoint = generators.generator("llama", intermediate_dim=64, **changes)
    before = get_weights(checkpoint.model)
    turned = rotated(checkpoint)
    assert not turned.config.tied_head
    expected, found = (outputs(one.model, checkpoint) for one in (checkpoint, turned))
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-5 * np.abs(expected).max())
    for path, value in get_weights(checkpoint.model).items():
        np.testing.assert_array_equal(value, before[path])
    gammas = [v for k, v in get_weights(turned.model).items() if k.endswith("/norm/gamma")]
    assert gammas and all((gamma == 1.0).all() for gamma in gammas)


def test_a_model_with_a_huge_channel_loses_less():
    checkpoint, batches = with_a_huge_channel(), generators.calibration("llama")
    exact = outputs(checkpoint.model, checkpoint)

    def error(one):
        model = quantized_model(one, batches, "dynamic_int8")
        return np.square(outputs(model, checkpoint) - exact).mean()

    assert error(rotated(checkpoint)) < 0.7 * error(checkpoint)


@pytest.mark.slow
def test_a_file_is_written():
    told = []
    report = type("Told", (), {"note": lambda self, text: told.append(text)})()
    checkpoint = generators.generator("llama", intermediate_dim=64)
    artifact = convert(checkpoint, "dynamic_int8", rotate=True, lengths=[8], report=report)
    assert artifact.parity.rows
    assert told == [
        "Rotated the residual stream of 32 channels; the logits have a kernel of their own, 261 "
        "columns more."
    ]
    convert(rotated(checkpoint), "dynamic_int8", rotate=True, lengths=[8], report=report)
    assert told[1:] == ["Rotated the residual stream of 32 channels."]


@pytest.mark.parametrize(
    ("kind", "got"),
    [
        ("t5", "architecture=encoder-decoder"), ("gpt", "norm=layer_norm"),
        ("gemma", "sandwich_norms=True"),
    ],
)  # fmt: skip
def test_models_that_it_does_not_fit(kind, got):
    with pytest.raises(InputError) as caught:
        rotated(generators.generator(kind))
    assert str(caught.value) == (
        "Expected a decoder with an RMS norm before each layer and no others to rotate, got "
        f"{got}; leave --rotate out."
    )


def test_what_else_is_refused():
    with pytest.raises(InputError, match="got architecture=encoder"):
        rotated(random_model())
    with pytest.raises(InputError, match="got positions=learned"):
        rotated(generators.generator("llama", positions="learned"))
    llama = generators.generator("llama")
    with pytest.raises(InputError, match="rounds kernels, got rotate for float16"):
        convert(llama, "float16", rotate=True)
    quantized = dataclasses.replace(llama, bits={"kernel_bits": 8, "row_bits": 8})
    with pytest.raises(InputError, match="a float checkpoint to rotate, got a quantized one"):
        convert(quantized, rotate=True)
