import keras
import numpy as np
import pytest

from keras_transformer.edge.quantize.qat import quantized_model
from keras_transformer.edge.quantize.rounding import round_biases, validated_as_stored
from keras_transformer.edge.runtime.runner import Runner
from keras_transformer.edge.targets.convert import convert
from keras_transformer.quantization import Projection, QuantPoint
from keras_transformer.zoo.errors import RunError
from keras_transformer.zoo.models.build import get_weights, set_weights
from keras_transformer.zoo.models.running.stepwise import Stepwise
from tests.edge.generators import LENGTH, calibration, generator, padded, random_ids


def model_of(point):
    """One projection behind a point, its bias far from any grid."""
    keras.utils.set_random_seed(0)
    inputs, projection = keras.Input((6,), name="x"), Projection(4, bits={"kernel_bits": 8})
    model = keras.Model({"x": inputs}, projection(point(inputs)))
    projection.bias.assign([0.1234, -0.777, 1e-5, 3.0])
    return model, projection


def test_a_bias_is_a_whole_number_of_products():
    point = QuantPoint(8)
    model, projection = model_of(point)
    point.set_range(-1.0, 2.0)
    before = np.array(projection.bias.value)
    round_biases(model, {"x": np.ones((3, 6), "float32")})
    after = np.array(projection.bias.value, "float64")
    largest = np.abs(np.array(projection.kernel.value)).max(axis=0)
    grid = 3 / 255 * largest / 127
    np.testing.assert_allclose(after / grid, np.round(before / grid), atol=1e-3)
    assert np.abs(after - before).max() <= grid.max() / 2 + 1e-7
    round_biases(model, {"x": np.ones((3, 6), "float32")})
    np.testing.assert_array_equal(np.array(projection.bias.value), after.astype("float32"))


def test_what_no_point_has_rounded():
    model, _ = model_of(keras.layers.Rescaling(1 / 3))
    with pytest.raises(RunError, match="^Expected .* to read a rounded tensor; none was found.$"):
        round_biases(model, {"x": np.ones((3, 6), "float32")})
    assert all(layer.observer is None for layer in model.layers if isinstance(layer, Projection))


def flips(model, runner, sources):
    """Share of a file's memory of sources that is another step than the model's."""
    trained = generator("transformer")
    made = Stepwise(model, trained.config).encode(padded(sources))
    cache = runner.steps.encode(sources)
    found, total = 0, 0
    for block, pair in enumerate(made):
        for kind, expected in zip("kv", pair, strict=True):
            for row, source in enumerate(sources):
                file = cache[row].memory[f"memory_{kind}_{block}"][0, : len(source)]
                steps = np.diff(np.unique(file))
                step = steps[steps > 1e-5].min()
                found += (np.abs(np.array(expected)[row, : len(source)] - file) > step / 2).sum()
                total += file.size
    return found / total


@pytest.mark.slow
def test_the_simulation_follows_the_file_step_for_step(tmp_path):
    trained, batches = generator("transformer"), calibration("transformer")
    path = tmp_path / "model.tflite"
    # Ties of row-wise rounding, which int8 has too, are not those of the file.
    path.write_bytes(bytes(convert(trained, "static_int8", calibration=batches)))
    runner, sources = Runner(path), random_ids([LENGTH, 20, 7, 25], seed=3)
    model = quantized_model(trained, batches, "static_int8")
    free = flips(model, runner, sources)
    rounded = quantized_model(trained, batches, "static_int8")
    set_weights(rounded, get_weights(model))
    round_biases(rounded, trained.probes)
    assert flips(rounded, runner, sources) < min(0.01, free / 3)


def test_a_model_is_validated_with_the_biases_of_its_file():
    point = QuantPoint(8)
    model, projection = model_of(point)
    point.set_range(-1.0, 2.0)
    inputs = {"x": np.ones((3, 6), "float32")}
    before = np.array(projection.bias.value)
    seen = validated_as_stored(lambda one: {"bias": np.array(projection.bias.value)}, inputs)(model)
    np.testing.assert_array_equal(np.array(projection.bias.value), before)
    round_biases(model, inputs)
    np.testing.assert_array_equal(seen["bias"], np.array(projection.bias.value))
    assert np.abs(seen["bias"] - before).max() > 0
