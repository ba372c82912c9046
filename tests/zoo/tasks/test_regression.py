"""Regression of numbers of any size: standardized inside, in the targets' units outside."""

import dataclasses
import re

import keras
import numpy as np
import pytest

from keras_transformer.edge.compress.prune import prune
from keras_transformer.edge.distill.distill import distill
from keras_transformer.edge.quantize.qat import quantize
from keras_transformer.zoo.checkpoint import Checkpoint
from keras_transformer.zoo.errors import InputError
from keras_transformer.zoo.models.build import all_layers
from keras_transformer.zoo.models.heads import Head
from keras_transformer.zoo.tasks.registry import task_from_json
from keras_transformer.zoo.tasks.regression import Regression
from keras_transformer.zoo.training.train_recipe import train_recipe
from tests.zoo import tiny

ROWS = ["the iron box", "some old plum"]
# Of prices 26,000 apart, six of them.
VARIANCE = 26_000**2 * 35 / 12


def refused(message):
    return pytest.raises(InputError, match=f"^{re.escape(message)}$")


def explained(checkpoint):
    """The share of the variance of the validation prices that a model explains."""
    return 1 - checkpoint.metrics["validation"]["mean_squared_error"] / VARIANCE


def read(numbers):
    return Regression().read(([str(row) for row in range(len(numbers))], numbers))


@pytest.fixture(scope="module")
def priced(tables, tmp_path_factory):
    """The folder and the model of a run on prices from 120,000 to 250,000."""
    folder = tmp_path_factory.mktemp("prices")
    for name in ("train.tsv", "validation.tsv"):
        header, *rows = (tables / name).read_text(encoding="utf-8").splitlines()
        lines = [header]
        for row in rows:
            *others, number = row.split("\t")
            lines.append("\t".join([*others, str(int(number) * 26_000 + 120_000)]))
        (folder / name).write_text("\n".join(lines) + "\n", encoding="utf-8")
    recipe = tiny.recipe(folder, task="regression", label="number", epochs=12, learning_rate=0.02)
    return folder, train_recipe(recipe, folder / "out")


def test_prices_are_learned_and_written_in_their_own_units(priced, tmp_path):
    folder, trained = priced
    assert explained(trained) > 0.85
    scores = trained.scores(ROWS)[:, 0]
    assert 100_000 < scores[0] < 160_000 and 200_000 < scores[1] < 270_000
    loaded = Checkpoint.load(folder / "out")
    assert loaded.task.mean == pytest.approx(185_000, abs=15_000)
    assert (loaded.task.mean, loaded.task.deviation) == (trained.task.mean, trained.task.deviation)
    np.testing.assert_allclose(loaded.scores(ROWS)[:, 0], scores, rtol=1e-6)
    trained.model.save(tmp_path / "m.keras")
    inputs = {"ids": trained.probes["ids"]}
    np.testing.assert_array_equal(
        keras.models.load_model(tmp_path / "m.keras").predict_on_batch(inputs),
        trained.model.predict_on_batch(inputs),
    )


@pytest.mark.slow
@pytest.mark.parametrize(
    "of",
    [
        lambda trained: quantize(trained, epochs=2),
        lambda trained: quantize(trained, epochs=1, share=1.0),
        lambda trained: prune(trained, sparsity=0.3, epochs=3),
        lambda trained: distill(trained, trained, epochs=1),
        lambda trained: distill(trained, "bert_tiny", settings=tiny.SETTINGS, epochs=12),
    ],
    ids=["int8", "int8 of the float model", "pruned", "distilled on", "distilled anew"],
)
def test_what_goes_on_from_prices_stays_as_good(priced, of):
    _, trained = priced
    later = of(trained)
    assert explained(later) > 0.8


@pytest.mark.slow
def test_an_int8_output_has_its_steps_between_the_targets(priced):
    _, trained = priced
    int8 = quantize(trained, epochs=1)
    [point] = [one for one in all_layers(int8.model) if one.path == "head_point"]
    # From zero to 250,000 the steps are 1,000 apart.
    assert point.scale * trained.task.deviation < 900


@pytest.mark.slow
def test_prices_in_half_precision(priced):
    folder, _ = priced
    recipe = tiny.recipe(
        folder, task="regression", label="number", epochs=12, learning_rate=0.02,
        dtype="mixed_float16",
    )  # fmt: skip
    trained = train_recipe(recipe)
    assert explained(trained) > 0.8


@pytest.mark.parametrize("scale", [1e-30, 1.0, 1e30])
def test_mean_and_deviation_of_the_training_targets(scale):
    numbers = np.array([1.0, 2.0, 4.0, 5.0]) * scale
    task = Regression().learned_from(read(numbers))
    assert task.mean == pytest.approx(3 * scale)
    assert task.deviation == pytest.approx(np.sqrt(2.5) * scale)
    assert task.head() == Head(units=1, mean=task.mean, deviation=task.deviation)
    # In deviations, whatever the units are.
    outputs = np.full((4, 1), 3 * scale, "float32")
    assert float(task.loss()(numbers.astype("float32"), outputs)) == pytest.approx(1.0, rel=1e-5)
    apart = task.output_difference(None, outputs + np.float32(scale), outputs, 2.0)
    assert float(apart) == pytest.approx(1 / 2.5, rel=1e-5)


def test_targets_that_are_all_one_number():
    task = Regression().learned_from(read([7e6, 7e6, 7e6]))
    assert (task.mean, task.deviation) == (7e6, 1.0)


def test_numbers_that_float32_cannot_tell_apart():
    with refused(
        "data: expected numbers whose differences float32 can tell, got a deviation of 128 around "
        "1700000128; subtract a number from them, or give them in another unit."
    ):
        Regression().learned_from(read([1_700_000_000.0, 1_700_000_256.0]))
    with pytest.raises(InputError, match="^data: expected numbers whose differences float32 "):
        Regression().learned_from(read([1e-44, 2e-44, 4e-44]))


def test_training_data_without_numbers():
    with refused("data: expected a label column to train on."):
        Regression().learned_from(Regression().read((["a", "b"],), {"label": None}))


def test_json_round_trip():
    task = Regression(pair=True, mean=-3.25, deviation=0.1)
    value = task.to_json()
    assert value == {"name": "regression", "pair": True, "mean": -3.25, "deviation": 0.1}
    again = task_from_json(value, ())
    assert dataclasses.asdict(again) == dataclasses.asdict(task)
    # Of models of any units a student can learn.
    assert again == Regression(pair=True)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("mean", float("nan")), ("mean", "3"), ("mean", 1e300), ("mean", -(10**400)),
        ("deviation", 0.0), ("deviation", -1.0), ("deviation", 1e-320), ("deviation", 10**400),
        ("deviation", True),
    ],
)  # fmt: skip
def test_impossible_units(name, value):
    wanted = "a finite number" + (" above 0" if name == "deviation" else "")
    got = f"{name}={value!r}"
    sentence = InputError(f"Expected {name} to be {wanted} that float32 holds, got {got}.")
    with refused(str(sentence)):
        task_from_json({"name": "regression", "pair": False, name: value}, ())


def test_numbers_beyond_float32():
    for targets in ([3e38, -3e38, 3e38], [1e-40, 2e-40, 3e-40]):
        with pytest.raises(InputError, match="^data: expected numbers whose differences float32 h"):
            Regression().learned_from(read(targets))


def test_labels_of_a_task_without_labels():
    with refused("Expected no labels for regression, got 2: the task was changed."):
        task_from_json({"name": "regression", "pair": False}, ("bad", "good"))
