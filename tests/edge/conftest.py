"""A small classifier trained on made text, in float and with QAT, and files of random models."""

import dataclasses
import functools
import os
from collections.abc import Mapping
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


class Files(Mapping):
    """Paths by precision; a file is converted when a test asks for it."""

    names = ("float32", "float16", "dynamic_int8", "int8")

    def __init__(self, runs):
        self.runs = runs

    def __iter__(self):
        return iter(self.names)

    def __len__(self):
        return len(self.names)

    def __contains__(self, precision):
        return precision in self.names

    def __getitem__(self, precision):
        if precision not in self.names:
            raise KeyError(precision)
        path = self.runs.folder / f"{precision}.tflite"
        if not path.exists():
            checkpoint = self.runs.quantized if precision == "int8" else self.runs.trained
            path.write_bytes(bytes(convert(checkpoint, precision)))
        return path


@pytest.fixture(scope="session")
def files(runs):
    """Paths by precision; int8 is of the quantized checkpoint."""
    return Files(runs)


@pytest.fixture(scope="session")
def written(tmp_path_factory):
    """Writes the file of a random generating model, each only once, and returns its path.

    The workers of a run, whose folders stand side by side, share what one of them has written.
    """
    folder = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        folder = folder.parent / "generating"
        folder.mkdir(exist_ok=True)

    @functools.cache
    def write(kind, precision="float32", lengths=generators.LENGTHS):
        path = folder / f"{kind}_{precision}_{'_'.join(map(str, lengths))}.tflite"
        if path.exists():
            return path
        is_static = PRECISIONS[precision].is_static
        batches = generators.calibration(kind) if is_static else None
        converted = convert(
            generators.generator(kind, **generators.changes_for(precision)), precision,
            calibration=batches, lengths=lengths,
        )  # fmt: skip
        aside = path.with_suffix(f".{os.getpid()}")
        aside.write_bytes(bytes(converted))
        return aside.replace(path)

    return write
