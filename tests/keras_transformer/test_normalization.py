import keras
import numpy as np
import pytest

from keras_transformer import LayerNorm, RMSNorm
from keras_transformer.normalization import make_norm
from tests import reference
from tests.keras_transformer.checks import (
    GRADIENT_ATOL,
    GRADIENT_RTOL,
    assert_close,
    built,
    check_gradients,
    check_precision,
    check_round_trip,
    gradients,
    normal,
    values,
)

NORMS = {"layer_norm": LayerNorm, "rms_norm": RMSNorm}
KERAS = {
    "layer_norm": keras.layers.LayerNormalization,
    "rms_norm": keras.layers.RMSNormalization,
}
X = 3.0 * normal(2, 3, 8) + 1.0
kinds = pytest.mark.parametrize("kind", NORMS)


@kinds
@pytest.mark.parametrize("epsilon", [1e-6, 0.1])
def test_equals_the_reference(kind, epsilon):
    layer = built(NORMS[kind](epsilon=epsilon), X)
    assert_close(layer(X), reference.NORMS[kind](values(layer), X, epsilon))


@kinds
def test_equals_keras_with_the_same_weights(kind):
    layer, other = built(NORMS[kind](), X), KERAS[kind](epsilon=1e-6)
    other(X)
    other.set_weights(layer.get_weights())
    assert_close(layer(X), keras.ops.convert_to_numpy(other(X)))
    (of_input,), of_weights = gradients(layer, [X])
    (their_input,), their_weights = gradients(other, [X])
    assert_close(of_input, their_input, GRADIENT_RTOL, GRADIENT_ATOL)
    for one, two in zip(of_weights.values(), their_weights.values(), strict=True):
        assert_close(one, two, GRADIENT_RTOL, GRADIENT_ATOL)


@kinds
def test_gradients(kind):
    check_gradients(built(NORMS[kind](), X), reference.NORMS[kind], X)


@kinds
def test_constant_and_huge_inputs_stay_finite(kind):
    x = np.stack([np.zeros(8), np.full(8, 5.0), 1e4 * normal(8)]).astype("float32")
    layer = built(NORMS[kind](), x)
    # A mean of fives that is off by one unit in the last place is 5e-7 against sqrt(epsilon) 1e-3.
    assert_close(layer(x), reference.NORMS[kind](values(layer), x), atol=1e-3)


@kinds
def test_round_trip(tmp_path, kind):
    check_round_trip(tmp_path, NORMS[kind](epsilon=0.01), X)


@kinds
@pytest.mark.parametrize("policy", ["mixed_float16", "mixed_bfloat16"])
def test_precision(policy, kind):
    check_precision(policy, NORMS[kind], X)


@kinds
def test_weights_are_not_rounded_under_mixed_precision(kind):
    layer = NORMS[kind](dtype="mixed_bfloat16")
    x = np.array([[1.0, -1.0]], "float32")
    layer(x)
    layer.gamma.assign(np.full(2, 256.5))
    if kind == "layer_norm":
        layer.beta.assign(np.full(2, -256.0))
    # In bfloat16 gamma would be 256, and the sum 0 instead of a half.
    expected = {"layer_norm": [[0.5, -512.5]], "rms_norm": [[256.5, -256.5]]}[kind]
    outputs = keras.ops.convert_to_numpy(keras.ops.cast(layer(x), "float32"))
    np.testing.assert_allclose(outputs, expected, rtol=2**-8, atol=2e-3)


@kinds
def test_float64_is_kept(kind):
    if keras.backend.result_type("float64", "float32") != "float64":
        pytest.skip(f"Keras has no float64 on {keras.backend.backend()}")
    x = X.astype("float64")
    layer = built(NORMS[kind](dtype="float64"), x)
    assert_close(
        keras.ops.convert_to_numpy(layer(x)), reference.NORMS[kind](values(layer), x), 1e-12, 1e-12
    )


def test_norms_are_made_by_name():
    assert type(make_norm("layer_norm")) is LayerNorm
    assert type(make_norm("rms_norm", epsilon=0.5)) is RMSNorm
    with pytest.raises(ValueError, match="one of layer_norm, rms_norm, got norm='batch'"):
        make_norm("batch")
