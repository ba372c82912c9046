import pytest

from keras_transformer.zoo.training.train_recipe import train_recipe
from tests.zoo import tiny


@pytest.fixture(scope="session")
def tables(tmp_path_factory):
    """The folder of training and validation data for each kind of task."""
    folder = tmp_path_factory.mktemp("tables")
    tiny.write_data(folder)
    return folder


@pytest.fixture(scope="session")
def learned(tables, tmp_path_factory):
    """The folder and the model of a run long enough to learn the task."""
    out = tmp_path_factory.mktemp("learned") / "checkpoint"
    return out, train_recipe(tiny.recipe(tables, epochs=8), out)
