"""A small classifier trained on made text, in float and with QAT, and files of random models."""

import dataclasses
import functools
from pathlib import Path

import numpy as np
import pytest

from keras_transformer.edge.precision import PRECISIONS
from keras_transformer.edge.quantize.qat import quantize
from keras_transformer.edge.targets.convert import convert
from keras_transformer.zoo.checkpoint import Checkpoint
from keras_transformer.zoo.data.rows import Examples
from keras_transformer.zoo.recipe import Recipe
from keras_transformer.zoo.tasks.classification import Classification
from keras_transformer.zoo.training.train_recipe import train_recipe
from tests.edge import generators
from tests.zoo import tiny

TOPICS = {
    "food": "bread soup apple cheese pepper",
    "music": "violin song rhythm drum choir",
    "weather": "rain cloud storm wind frost",
}
FILLERS = "the a we saw some more of this today again very".split()


@dataclasses.dataclass(frozen=True, kw_only=True)
class Runs:
    """Checkpoints and where they and their data stand."""

    folder: Path
    trained: Checkpoint
    quantized: Checkpoint
    examples: Examples

    def value_of(self, predictor):
        """The accuracy of a checkpoint or a file."""
        return self.trained.task.evaluate(predictor, self.examples)["accuracy"]


def write_rows(path, count, seed):
    rng = np.random.default_rng(seed)
    lines = ["text\tlabel"]
    for row in range(count):
        label = list(TOPICS)[row % len(TOPICS)]
        words = [*rng.choice(TOPICS[label].split(), 2), *rng.choice(FILLERS, rng.integers(2, 7))]
        lines.append(f"{' '.join(rng.permutation(words))}\t{label}")
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")


@pytest.fixture(scope="module")
def tables(tmp_path_factory):
    """The folder of training and validation data for each kind of task."""
    folder = tmp_path_factory.mktemp("tables")
    tiny.write_data(folder)
    return folder


@pytest.fixture(scope="session")
def runs(tmp_path_factory):
    folder = tmp_path_factory.mktemp("edge")
    write_rows(folder / "train.tsv", 300, 0)
    write_rows(folder / "validation.tsv", 90, 1)
    recipe = Recipe.of_task(
        Classification, model="bert_tiny",
        settings={"hidden_dim": 32, "intermediate_dim": 64, "dropout": 0.0},
        train=str(folder / "train.tsv"), validation=str(folder / "validation.tsv"),
        vocab_size=120, max_length=16, epochs=4, learning_rate=4e-3, batch_tokens=256, bucket=16,
    )  # fmt: skip
    trained = train_recipe(recipe, folder / "float")
    quantized = quantize(trained, out=folder / "int8", epochs=2)
    examples = trained.task.read(recipe.data.validation)
    return Runs(folder=folder, trained=trained, quantized=quantized, examples=examples)


@pytest.fixture(scope="session")
def files(runs):
    """Paths by precision; int8 is of the quantized checkpoint."""
    paths = {}
    for precision in ("float32", "float16", "dynamic_int8", "int8"):
        checkpoint = runs.quantized if precision == "int8" else runs.trained
        paths[precision] = runs.folder / f"{precision}.tflite"
        paths[precision].write_bytes(bytes(convert(checkpoint, precision)))
    return paths


@pytest.fixture(scope="session")
def written(tmp_path_factory):
    """Writes the file of a random generating model, each only once, and returns its path."""

    @functools.cache
    def write(kind, precision="float32", lengths=generators.LENGTHS):
        is_static = PRECISIONS[precision].is_static
        batches = generators.calibration(kind) if is_static else None
        converted = convert(
            generators.generator(kind, **generators.changes_for(precision)), precision,
            calibration=batches, lengths=lengths,
        )  # fmt: skip
        path = tmp_path_factory.mktemp("generating") / f"{kind}.tflite"
        path.write_bytes(bytes(converted))
        return path

    return write
