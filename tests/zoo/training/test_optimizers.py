import math

import keras
import numpy as np
import pytest
from keras import ops

from keras_transformer.embeddings import TokenEmbedding
from keras_transformer.quantization import Projection
from keras_transformer.zoo.errors import InputError
from keras_transformer.zoo.models.build import all_layers, build, get_weights
from keras_transformer.zoo.recipe import Recipe
from keras_transformer.zoo.tasks.registry import TASKS
from keras_transformer.zoo.training.optimizers import WarmupSchedule, make_optimizer, regularize
from tests.slow import mostly_slow
from tests.zoo import tiny

NEEDED = {"model": "bert_tiny", "train": "a.tsv", "validation": "b.tsv"}
TASK = TASKS["classification"]
TOTAL = 50
# The rate, as a share of the peak, of step 1, 2, ... once the rise of `warmup` steps is over.
AFTER = {
    "linear": lambda step, warmup: (TOTAL + 1 - step) / (TOTAL + 1 - warmup),
    "cosine": lambda step, warmup: (
        0.5 * (1 + math.cos(math.pi * (step - warmup) / (TOTAL + 1 - warmup)))
    ),
    "inverse_sqrt": lambda step, warmup: math.sqrt(warmup / step),
    "constant": lambda step, warmup: 1.0,
}


def curve(schedule, steps):
    return np.array([float(ops.convert_to_numpy(schedule(step))) for step in range(steps)])


@pytest.mark.parametrize("kind", AFTER)
@pytest.mark.parametrize("warmup", [0, 1, 10, 49])
def test_whole_curves(kind, warmup):
    rise = max(1, warmup)
    expected = [
        3e-4 * (step / rise if step < rise else AFTER[kind](step, rise))
        for step in range(1, TOTAL + 1)
    ]
    actual = curve(WarmupSchedule(kind, 3e-4, warmup, TOTAL), TOTAL)
    # The rates are float32, and 1 minus a cosine near 1 loses digits: 1e-6 of the peak.
    np.testing.assert_allclose(actual, expected, rtol=1e-5, atol=3e-10)


@pytest.mark.parametrize("kind", ["linear", "cosine"])
def test_no_step_has_a_rate_of_zero_and_none_below_it(kind):
    values = curve(WarmupSchedule(kind, 1.0, 10, TOTAL), TOTAL + 5)
    assert (values[:TOTAL] > 0).all()
    np.testing.assert_allclose(values[TOTAL:], 0.0, atol=1e-7)


def test_schedule_survives_its_config():
    schedule = WarmupSchedule("cosine", 0.1, 3, 20)
    again = WarmupSchedule.from_config(schedule.get_config())
    np.testing.assert_array_equal(curve(again, 20), curve(schedule, 20))


@pytest.mark.parametrize(
    ("name", "kind", "momentum"),
    [("adam", "Adam", None), ("adamw", "AdamW", None), ("sgd", "SGD", 0), ("momentum", "SGD", 0.9)],
)
def test_names(name, kind, momentum):
    recipe = Recipe.of_task(TASK, **NEEDED, optimizer=name, ema=0.99, clip_norm=2.0)
    optimizer = make_optimizer(recipe, TOTAL)
    assert type(optimizer).__name__ == kind
    assert getattr(optimizer, "momentum", None) == momentum
    assert (optimizer.use_ema, optimizer.ema_momentum) == (True, 0.99)
    assert optimizer.global_clipnorm == 2.0
    unclipped = Recipe.of_task(TASK, **NEEDED, clip_norm=0.0)
    assert make_optimizer(unclipped, TOTAL).global_clipnorm is None


def test_warmup_is_a_share_of_the_steps():
    recipe = Recipe.of_task(TASK, **NEEDED, warmup=0.2, learning_rate=1.0)
    optimizer = make_optimizer(recipe, TOTAL)
    assert float(ops.convert_to_numpy(optimizer.learning_rate)) == pytest.approx(1 / 10)


def step_on_zero_gradients(model, recipe):
    optimizer = make_optimizer(recipe, TOTAL)
    optimizer.build(model.trainable_variables)
    zeros = [ops.zeros_like(variable) for variable in model.trainable_variables]
    optimizer.apply(zeros, model.trainable_variables)


def test_weight_decay_excludes_biases_and_norms():
    model = build(tiny.config(positions="t5"), tiny.TASK)
    # Biases start at zero, where decay would not show.
    for variable in model.trainable_variables:
        variable.assign(ops.ones_like(variable) * 0.5)
    recipe = Recipe.of_task(
        TASK, **NEEDED, optimizer="adamw", weight_decay=0.5, learning_rate=0.1, schedule="constant",
        warmup=0.0,
    )  # fmt: skip
    step_on_zero_gradients(model, recipe)
    decayed = {"kernel": True, "embeddings": True, "bias": False, "gamma": False, "beta": False}
    seen = set()
    for path, value in get_weights(model).items():
        name = path.rpartition("/")[2]
        seen.add(name)
        expected = 0.5 * (1 - 0.1 * 0.5) if decayed[name] else 0.5
        np.testing.assert_allclose(value, expected, rtol=1e-6, err_msg=path)
    assert seen == set(decayed)


def test_clip_norm_bounds_the_global_norm():
    recipe = Recipe.of_task(
        TASK, **NEEDED, optimizer="sgd", learning_rate=0.5, schedule="constant", warmup=0.0
    )
    variables = [keras.Variable(np.zeros(2, "float32")), keras.Variable(np.zeros(3, "float32"))]
    optimizer = make_optimizer(recipe, TOTAL)
    optimizer.build(variables)
    gradients = [np.array([3.0, 0.0], "float32"), np.array([0.0, 4.0, 0.0], "float32")]
    optimizer.apply([ops.convert_to_tensor(g) for g in gradients], variables)
    for variable, gradient in zip(variables, gradients, strict=True):
        np.testing.assert_allclose(variable.numpy(), -0.5 * gradient / 5, rtol=1e-6)


@pytest.mark.parametrize(
    ("l1", "l2"), mostly_slow([(0.0, 0.1), (0.01, 0.0), (0.01, 0.1)], [(0.01, 0.1)])
)
def test_penalties_are_part_of_the_loss(tables, l1, l2):
    still = {"dropout": 0.0, "attention_dropout": 0.0}
    losses = {}
    for penalties in ({}, {"l1": l1, "l2": l2}):
        run = tiny.fit(tiny.recipe(tables, **penalties), model_changes=still)
        run.model.run_eagerly = True
        kernels = [
            ops.convert_to_numpy(layer.kernel.value).astype("float64")
            for layer in all_layers(run.model)
            if isinstance(layer, Projection)
        ]
        batch = next(run.batches.epoch(0))
        losses[bool(penalties)] = float(run.model.train_on_batch(batch.inputs, batch.targets))
    penalty = sum(l1 * np.abs(kernel).sum() + l2 * np.square(kernel).sum() for kernel in kernels)
    assert len(kernels) == 8  # q, k, v, output, up, down, pooler, head
    assert losses[True] - losses[False] == pytest.approx(penalty, rel=1e-5)


def test_no_penalty_leaves_kernels_alone():
    model = build(tiny.config(), tiny.TASK)
    regularize(model, 0.0, 0.0)
    assert model.losses == []


def test_weights_change_by_the_mean_gradient_of_several_steps():
    recipe = Recipe.of_task(
        TASK, **NEEDED, optimizer="sgd", schedule="constant", warmup=0.0, learning_rate=0.5,
        clip_norm=1.0, ema=0.81, accumulate=2,
    )  # fmt: skip
    optimizer = make_optimizer(recipe, 4)
    weight = keras.Variable([1.0, 2.0], name="kernel")
    optimizer.build([weight])
    gradients = np.array([[0.3, 0.0], [0.1, 0.4], [3.0, 0.0], [3.0, 8.0]], "float32")
    seen = []
    for gradient in gradients:
        optimizer.apply([ops.convert_to_tensor(gradient)], [weight])
        seen.append(ops.convert_to_numpy(weight.value))
    # The mean of the last two, (3, 4), is of norm 5 and clipped to 1.
    first = np.array([1.0, 2.0]) - 0.5 * np.array([0.2, 0.2])
    second = first - 0.5 * np.array([0.6, 0.8])
    np.testing.assert_allclose(seen, [[1.0, 2.0], first, first, second], rtol=1e-6)
    # The average begins with the first change, and is updated after each batch.
    average = ops.convert_to_numpy(optimizer._model_variables_moving_average[0].value)
    np.testing.assert_allclose(average, 0.9 * first + 0.1 * second, rtol=1e-6)


def test_a_run_of_fewer_steps_than_change_weights_once_is_refused():
    with pytest.raises(InputError, match="accumulate to be at most steps=3, .* got accumulate=4"):
        Recipe.of_task(TASK, **NEEDED, steps=3, accumulate=4)


def stepped(values, gradient, name, rate, steps, clip):
    """Steps of Kingma and Ba 2015, end of section 2, or of momentum, in float64."""
    gradient = gradient * min(1.0, clip / np.linalg.norm(gradient)) if clip else gradient
    first, second = np.zeros_like(values), np.zeros_like(values)
    for step in range(1, steps + 1):
        if name == "momentum":
            first = 0.9 * first - rate * gradient
            values = values + first
            continue
        first = 0.9 * first + 0.1 * gradient
        second = 0.999 * second + 0.001 * gradient**2
        corrected = rate * math.sqrt(1 - 0.999**step) / (1 - 0.9**step)
        values = values - corrected * first / (np.sqrt(second) + 1e-7)
    return values


@pytest.mark.parametrize("clip", [0.0, 1.0])
@pytest.mark.parametrize("name", ["adam", "momentum"])
def test_the_gradient_of_a_token_is_that_of_all_its_places(name, clip):
    """On TensorFlow it comes in slices, one for each place of a token in the batch."""
    ids = np.array([[1, 1, 1, 2], [1, 3, 3, 0]])
    slopes = np.array([0.5, -2.0, 3.0], "float32")
    keras.utils.set_random_seed(0)
    table = TokenEmbedding(5, 3)
    inputs = keras.Input((4,), dtype="int32")
    outputs = ops.sum(table(inputs) * slopes, axis=(1, 2), keepdims=False)
    model = keras.Model(inputs, outputs)
    before = ops.convert_to_numpy(table.embeddings).astype("float64")
    recipe = Recipe.of_task(
        TASK, **NEEDED, optimizer=name, beta_2=0.999, learning_rate=0.01, clip_norm=clip,
        warmup=0.0, schedule="constant",
    )  # fmt: skip
    model.compile(
        optimizer=make_optimizer(recipe, 3), loss=lambda y, outputs: outputs,
        jit_compile=keras.config.backend() == "jax",
    )  # fmt: skip
    for _ in range(3):
        model.train_on_batch(ids, np.zeros(2))
    # Of the mean over two rows.
    gradient = np.bincount(ids.ravel(), minlength=5)[:, None] * slopes.astype("float64") / 2
    expected = stepped(before, gradient, name, 0.01, 3, clip)
    # float32 weights below 1; rows that no token names stay as they are.
    after = ops.convert_to_numpy(table.embeddings)
    np.testing.assert_allclose(after, expected, rtol=0, atol=1e-6)
