"""int8 files of models with a few huge channels, as published ones have them."""

import keras
import numpy as np
import pytest

from keras_transformer.edge.runtime.packed import unpack
from keras_transformer.edge.runtime.runner import Runner
from keras_transformer.edge.targets.convert import convert
from keras_transformer.edge.tflite.schema import kernels
from keras_transformer.zoo.errors import InputError
from keras_transformer.zoo.models.build import get_weights, set_weights
from keras_transformer.zoo.progress import Report
from tests.edge import generators
from tests.edge.models import calibration, random_model, random_rows


@pytest.fixture(scope="module")
def outliers():
    """A model whose feed-forward layers write 60 times as much into one channel."""
    made = random_model("embedding", num_layers=2, pooling="mean", pooler="none", seed=1)
    weights = get_weights(made.model)
    for path, value in weights.items():
        if path.endswith("sublayer/down/kernel"):
            value[:, 3] *= 60.0
    set_weights(made.model, weights)
    return made


@pytest.fixture(scope="module")
def errors(outliers):
    """Root mean squares of the differences of a file's vectors from the float model's."""
    rows = random_rows(40, seed=5)
    ids, _ = rows.pad(12)
    expected = keras.ops.convert_to_numpy(outliers.model({"ids": ids}, training=False))
    found = {}
    for precision in ("int8", "static_int8"):
        file = convert(outliers, precision, calibration=calibration(), lengths=[12])
        vectors = Runner(bytes(file)).run({"ids": ids})
        found[precision] = float(np.sqrt(np.mean(np.square(vectors - expected)))), bytes(file)
    return found


@pytest.mark.slow
def test_int8_is_nearer_to_the_float_model_than_stored_outputs(errors):
    (ours, _), (static, _) = errors["int8"], errors["static_int8"]
    # Measured 0.31, and 0.56 for another seed; 0.41 where the outputs of post-norms were stored.
    assert ours < 0.36 * static


@pytest.mark.slow
def test_all_kernels_are_integers(errors):
    for _, data in errors.values():
        assert {kernel.type for kernel in kernels(unpack(data)[0])} == {"INT8"}


def test_weights_that_are_no_numbers_are_named():
    broken = random_model("embedding")
    weights = get_weights(broken.model)
    [path] = [path for path in weights if path.endswith("block_0/feed_forward/sublayer/up/bias")]
    weights[path][4] = np.nan
    set_weights(broken.model, weights)
    with pytest.raises(InputError) as caught:
        convert(broken, "int8", calibration=calibration())
    assert str(caught.value) == (
        "Expected finite values to calibrate on, got nan in "
        "encoder/block_0/feed_forward/sublayer/up_point; the weights or the rows are broken."
    )


def test_attention_with_shared_keys_can_be_kept():
    """The converter would store its softmax between float ops."""
    made = random_model(num_layers=2, num_key_value_heads=2)
    keep = ["encoder/block_0/attention/*=float32"]
    assert convert(made, "int8", calibration=calibration(), keep=keep).parity.rows


def test_a_model_that_stores_no_activations_says_so():
    told = []
    made = generators.generator("llama", intermediate_dim=64)
    report = Report()
    report.note = told.append
    batches = generators.calibration("llama")
    options = {"calibration": batches, "smooth": "none", "lengths": [8], "report": report}
    file = convert(made, "int8", **options)
    assert [text for text in told if text.startswith("This model stores no activations in int8")]
    dynamic = convert(made, "dynamic_int8", lengths=[8])
    assert unpack(bytes(file))[0] == unpack(bytes(dynamic))[0]
