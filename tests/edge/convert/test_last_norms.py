"""Norms before logits: what they add is a part of the rows that an int8 file rounds."""

import numpy as np
import pytest

import keras_transformer as kt
from keras_transformer.zoo.models.build import get_weights
from tests.edge import generators


@pytest.mark.parametrize("kind", ["gpt", pytest.param("transformer", marks=pytest.mark.slow)])
def test_logits_with_a_bias(kind):
    # With a bias behind the kernel the converter moved what the norm adds into it, and the file
    # rounded other rows than the model does: it was refused.
    trained = generators.generator(kind, pre_norm=True, num_layers=1, logits_bias=True)
    assert np.abs(get_weights(trained.model)["decoder/final_norm/beta"]).max() > 0.1
    file = kt.convert(
        trained, "int8", calibration=generators.calibration(kind), smooth="none"
    )
    assert file.description["layers"]["decode"]["logits_point"] > 0
    assert file.parity.departing == 0
