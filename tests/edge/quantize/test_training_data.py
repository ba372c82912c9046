"""What goes on from a checkpoint trains on the data that the checkpoint was trained on."""

import dataclasses
import re
from pathlib import Path

import pytest

from keras_transformer.edge.choose.candidates import Workshop
from keras_transformer.edge.choose.sensitivity import sensitivity
from keras_transformer.edge.compress.prune import prune
from keras_transformer.edge.distill.distill import distill, new_student
from keras_transformer.edge.quantize.qat import quantize
from keras_transformer.zoo.checkpoint import Checkpoint
from keras_transformer.zoo.errors import InputError
from keras_transformer.zoo.recipe.training_data import file_digest, rows_digest
from keras_transformer.zoo.training.train_recipe import train_recipe
from tests.zoo import tiny


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A folder in which a model was trained on relative paths, and another one's data."""
    folder = tmp_path_factory.mktemp("home")
    for name, seed in (("ours", 0), ("theirs", 5)):
        (folder / name).mkdir()
        tiny.write_tables(folder / name, seed=seed)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder / "ours")
        train_recipe(tiny.recipe(Path("."), epochs=1), "model")
    return folder


@pytest.fixture
def ours(folder):
    return Checkpoint.load(folder / "ours" / "model")


def refused(message):
    return pytest.raises(InputError, match=f"^{re.escape(message)}$")


def ways_on(checkpoint, out, **given):
    """Calls that train a checkpoint on."""
    return (
        lambda: quantize(checkpoint, out=out, **given),
        lambda: prune(checkpoint, out, sparsity=0.5, **given),
        lambda: distill(
            checkpoint, new_student(checkpoint, "bert_tiny", tiny.SETTINGS), out, **given
        ),
    )


@pytest.mark.slow
def test_the_data_of_another_folder_is_not_taken(folder, ours, tmp_path, monkeypatch):
    monkeypatch.chdir(folder / "theirs")
    made = quantize(ours, out=tmp_path / "int8", epochs=1)
    assert made.recipe.data == ours.recipe.data
    assert made.recipe.data.train == str(folder / "ours" / "train.tsv")
    assert made.recipe.data.validation == str(folder / "ours" / "validation.tsv")
    assert made.recipe.data.digest == file_digest("../ours/train.tsv")
    assert made.recipe.data.digest != file_digest("train.tsv")


@pytest.mark.slow
def test_other_data_is_taken_only_where_it_is_given(folder, ours, tmp_path):
    path = str(folder / "theirs" / "train.tsv")
    # The file under the checkpoint's own path is another one now.
    data = dataclasses.replace(ours.recipe.data, train=path)
    moved = dataclasses.replace(ours, recipe=dataclasses.replace(ours.recipe, data=data))
    ours_is, theirs_is = data.digest, file_digest(path)
    message = (
        f"Expected {path} to be the training data of the recipe (SHA-256 {ours_is[:12]}), got "
        f"other data (SHA-256 {theirs_is[:12]}); bring that back, or give --train FILE (train= in "
        "Python) for a run on other data."
    )
    for call in ways_on(moved, tmp_path / "out"):
        with refused(message):
            call()
    with refused(message):
        Workshop(moved, tmp_path / "search").check_data()
    with refused(message):
        sensitivity(moved, data.validation, columns=moved.columns)
    assert list(tmp_path.iterdir()) == []
    Workshop(moved, tmp_path / "search", train=Path(path)).check_data()
    made = quantize(moved, out=tmp_path / "out", epochs=1, train=path)
    assert (made.recipe.data.train, made.recipe.data.digest) == (path, theirs_is)


def test_data_that_came_from_memory_has_to_be_given(folder, ours, tmp_path):
    digest = rows_digest([("an iron box", "métal")])
    recipe = ours.recipe.replace(train="", digest=digest)
    of_rows = dataclasses.replace(ours, recipe=recipe)
    message = (
        f"The training data was in memory (SHA-256 {digest[:12]}), which no checkpoint holds: give "
        "--train FILE (train= in Python)."
    )
    for call in ways_on(of_rows, tmp_path / "out"):
        with refused(message):
            call()
    with refused(message):
        Workshop(of_rows, tmp_path / "search").check_data()
    assert list(tmp_path.iterdir()) == []


