import numpy as np
import pytest

from keras_transformer.edge.quantize.qat import grid_weights, qat_recipe, quantize
from keras_transformer.edge.quantize.ranges import learned_points
from keras_transformer.zoo.checkpoint import Checkpoint
from keras_transformer.zoo.errors import InputError
from keras_transformer.zoo.models.build import get_weights
from keras_transformer.zoo.recipe import Recipe
from keras_transformer.zoo.tasks.registry import TASKS


def test_the_best_weights_include_their_ranges(runs):
    loaded = Checkpoint.load(runs.folder / "int8")
    kept, ours = get_weights(loaded.model), get_weights(runs.quantized.model)
    assert kept.keys() == ours.keys()
    assert sum(path.endswith("/range_min") for path in kept) == len(learned_points(loaded.model))
    for path, value in ours.items():
        np.testing.assert_array_equal(kept[path], value)
    measured = loaded.task.evaluate(loaded, runs.examples)
    assert measured["accuracy"] == loaded.metrics["validation"]["accuracy"] > 0.9
    assert loaded.metrics["float"] == runs.trained.metrics["validation"]
    assert loaded.bits == {"kernel_bits": 8, "row_bits": 8, "activation_bits": 8}


def test_kernels_and_tables_are_written_on_their_grid(runs):
    weights, on_grid = get_weights(runs.quantized.model), grid_weights(runs.quantized.model)
    changed = [path for path in weights if not np.array_equal(weights[path], on_grid[path])]
    assert changed
    table = runs.quantized.model.get_layer("token_embedding")
    assert {path for path in changed if not path.endswith("/kernel")} == {table.embeddings.path}
    rows = weights[table.embeddings.path]
    step = np.abs(rows).max(axis=1, keepdims=True) / 127
    steps = on_grid[table.embeddings.path] / step
    np.testing.assert_allclose(steps, np.round(steps), atol=1e-3)
    assert (np.abs(on_grid[table.embeddings.path] - rows) <= step / 1.99).all()
    for path in (path for path in weights if path.endswith("/kernel")):
        scale = np.abs(weights[path]).max(axis=0) / 127
        steps = on_grid[path] / scale
        np.testing.assert_allclose(steps, np.round(steps), atol=1e-3)
        np.testing.assert_allclose(on_grid[path], weights[path], atol=scale.max() / 1.99)


def test_a_quantized_checkpoint_is_not_quantized_again(runs, tmp_path):
    with pytest.raises(InputError) as caught:
        quantize(runs.quantized, out=tmp_path / "twice")
    assert str(caught.value) == "Expected a float checkpoint to quantize, got a quantized one."
    assert list(tmp_path.iterdir()) == []


def test_an_existing_folder_is_kept(runs):
    with pytest.raises(FileExistsError, match="exists; choose another path or give --overwrite"):
        quantize(runs.trained, out=runs.folder / "int8")


def test_the_recipe_trains_on_briefly_and_in_float32():
    recipe = Recipe.of_task(
        TASKS["classification"], model="bert_tiny", train="a.tsv", validation="b.tsv", epochs=20,
        learning_rate=1e-3, dtype="mixed_bfloat16", ema=0.99, token_dropout=0.1,
    )  # fmt: skip
    changed = qat_recipe(recipe, {"learning_rate": 3e-5})
    training, optimizer, data = changed.training, changed.optimizer, changed.data
    assert (training.epochs, optimizer.learning_rate, training.dtype) == (4, 3e-5, "float32")
    assert (optimizer.ema, data.token_dropout, data.train) == (0.0, 0.1, "a.tsv")


@pytest.mark.slow
def test_calibration_alone_is_kept_where_training_spoils_it(runs, tmp_path):
    spoiled = quantize(runs.trained, out=tmp_path / "int8", epochs=1, learning_rate=50.0)
    kept = get_weights(spoiled.model)
    for path, value in get_weights(runs.trained.model).items():
        # Biases end on the grid of the file's integers, a thousandth of an output step away.
        tolerance = 1e-4 if path.endswith("/bias") else 0.0
        np.testing.assert_allclose(kept[path], value, rtol=0, atol=tolerance)
