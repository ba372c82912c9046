"""What every layer's tests need: deterministic weights, gradients, round trips, precision."""

import keras
import numpy as np

# Beside the relative tolerance: sums of a few dozen products of size one, in float32, are off by
# some units of 1e-7 where they cancel.
RTOL, ATOL = 1e-5, 3e-6
# A gradient sums over more terms than an output; the reference's differences are good to 1e-8.
GRADIENT_RTOL, GRADIENT_ATOL = 1e-4, 3e-5


def normal(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape).astype("float32")


def random_mask(*shape, seed=0):
    """True with probability 0.6, and in the first source position, so that no row is empty."""
    mask = np.random.default_rng(seed).random(shape) < 0.6
    mask[..., 0] = True
    return mask


def fill(layer, seed=0):
    """Gives a built layer weights without symmetries: no zero bias, no gamma of one."""
    random = np.random.default_rng(seed)
    for weight in layer.weights:
        if weight.name not in ("range_min", "range_max", "seed_generator_state"):
            start = 1.0 if weight.name == "gamma" else 0.0
            weight.assign(start + 0.3 * random.normal(size=weight.shape))
    return layer


def built(layer, *inputs, **kwargs):
    """The layer after one call, with filled weights."""
    layer(*inputs, **kwargs)
    return fill(layer)


def values(layer):
    """The layer's weights as the nested dict that `tests.reference` takes."""
    tree = {}
    for weight in layer.weights:
        *parents, name = weight.path.removeprefix(f"{layer.path}/").split("/")
        node = tree
        for parent in parents:
            node = node.setdefault(parent, {})
        node[name] = keras.ops.convert_to_numpy(weight.value).astype("float64")
    return tree


def assert_close(actual, expected, rtol=RTOL, atol=ATOL):
    if not isinstance(actual, np.ndarray):
        actual = keras.ops.convert_to_numpy(keras.ops.cast(actual, "float32"))
    np.testing.assert_allclose(actual, expected, rtol=rtol, atol=atol)


def gradients(layer, inputs, **kwargs):
    """Gradients of `sum(output * normal)` by float inputs and by the trainable weights' paths."""
    inputs = [keras.ops.convert_to_tensor(x) for x in inputs]
    weights = layer.trainable_variables

    def total(outputs):
        outputs = outputs[0] if isinstance(outputs, tuple) else outputs
        upstream = keras.ops.convert_to_tensor(normal(*outputs.shape, seed=99))
        return keras.ops.sum(outputs * upstream)

    floats = [
        i for i, x in enumerate(inputs) if "float" in keras.backend.standardize_dtype(x.dtype)
    ]
    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        sources = [inputs[i] for i in floats], [weight.value for weight in weights]
        with tf.GradientTape() as tape:
            tape.watch(sources)
            loss = total(layer(*inputs, **kwargs))
        of_inputs, of_weights = tape.gradient(loss, sources)
        of_weights = [tf.convert_to_tensor(gradient) for gradient in of_weights]
    elif keras.backend.backend() == "torch":
        import torch

        sources = [inputs[i].requires_grad_() for i in floats]
        every = [*sources, *(weight.value for weight in weights)]
        found = torch.autograd.grad(
            total(layer(*inputs, **kwargs)), every, materialize_grads=True
        )
        of_inputs, of_weights = found[: len(sources)], found[len(sources) :]
    else:
        import jax

        def loss(trainable, some):
            given = list(inputs)
            for i, x in zip(floats, some, strict=True):
                given[i] = x
            state = [variable.value for variable in layer.non_trainable_variables]
            return total(layer.stateless_call(trainable, state, *given, **kwargs)[0])

        trainable = [weight.value for weight in weights]
        of_weights, of_inputs = jax.grad(loss, (0, 1))(trainable, [inputs[i] for i in floats])
    paths = [weight.path.removeprefix(f"{layer.path}/") for weight in weights]
    as_array = keras.ops.convert_to_numpy
    by_path = {path: as_array(x) for path, x in zip(paths, of_weights, strict=True)}
    return [as_array(x) for x in of_inputs], by_path


def check_gradients(layer, function, *inputs, **kwargs):
    """Holds the layer's gradients equal to central differences of the float64 reference.

    Args:
        function: from the nested weights and the inputs to the reference's output.
    """
    of_inputs, of_weights = gradients(layer, inputs, **kwargs)
    weights = values(layer)
    inputs = [x.astype("float64") if x.dtype == np.float32 else x for x in inputs]
    upstream = normal(*function(weights, *inputs).shape, seed=99).astype("float64")

    def differences(array, step=1e-5):
        gradient = np.zeros_like(array)
        for index in np.ndindex(array.shape):
            value, sides = array[index], []
            for moved in (value + step, value - step):
                array[index] = moved
                sides.append((function(weights, *inputs) * upstream).sum())
            array[index] = value
            gradient[index] = (sides[0] - sides[1]) / (2 * step)
        return gradient

    floats = [x for x in inputs if x.dtype == np.float64]
    for actual, x in zip(of_inputs, floats, strict=True):
        assert_close(actual, differences(x), GRADIENT_RTOL, GRADIENT_ATOL)
    for path, actual in of_weights.items():
        array = weights
        for name in path.split("/"):
            array = array[name]
        assert_close(actual, differences(array), GRADIENT_RTOL, GRADIENT_ATOL)


def check_round_trip(folder, layer, *inputs, **kwargs):
    """Saves a functional model of the layer, loads it and compares outputs and weight paths."""
    inputs = [np.asarray(x) for x in inputs]
    tensors = {name: x for name, x in kwargs.items() if isinstance(x, np.ndarray)}
    others = {name: x for name, x in kwargs.items() if name not in tensors}

    def placeholder(x):
        return keras.Input(x.shape[1:], dtype=str(x.dtype))

    positional = [placeholder(x) for x in inputs]
    named = {name: placeholder(x) for name, x in tensors.items()}
    outputs = layer(*positional, **named, **others)
    model = keras.Model([*positional, *named.values()], outputs)
    fill(layer)
    model.save(folder / "model.keras")
    loaded = keras.saving.load_model(folder / "model.keras")
    arrays = [*inputs, *tensors.values()]
    expected, actual = model(arrays), loaded(arrays)
    for one, other in zip(keras.tree.flatten(expected), keras.tree.flatten(actual), strict=True):
        np.testing.assert_array_equal(*map(keras.ops.convert_to_numpy, (other, one)))
    symbolic = keras.tree.flatten(outputs)
    for output, array in zip(symbolic, keras.tree.flatten(expected), strict=True):
        assert tuple(output.shape[1:]) == tuple(array.shape[1:])
        assert output.dtype == keras.backend.standardize_dtype(array.dtype)
    assert [weight.path for weight in loaded.weights] == [weight.path for weight in model.weights]


def check_precision(policy, make, *inputs, **kwargs):
    """Runs `make(dtype=policy)`: outputs are finite, of the compute dtype, near float32's."""
    layer, exact = make(dtype=policy), make()
    outputs = layer(*inputs, **kwargs)
    exact(*inputs, **kwargs)
    fill(layer)
    fill(exact)
    outputs, expected = layer(*inputs, **kwargs), exact(*inputs, **kwargs)
    assert keras.backend.standardize_dtype(outputs.dtype) == policy.removeprefix("mixed_")
    assert {keras.backend.standardize_dtype(weight.dtype) for weight in layer.weights} <= {
        "float32", "uint32", "int64",
    }  # fmt: skip
    # bfloat16 keeps 8 bits of each of a few dozen terms; these layers' outputs are of size one.
    assert_close(outputs, keras.ops.convert_to_numpy(expected), rtol=0.1, atol=0.15)
