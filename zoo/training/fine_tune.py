"""Training a checkpoint on, in another form: what quantization and pruning have in common."""

import dataclasses
import functools
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np

from keras_transformer.zoo.checkpoint import Checkpoint
from keras_transformer.zoo.data.batches import Batches, SampledBatches
from keras_transformer.zoo.data.pairs import SentencePairs
from keras_transformer.zoo.data.tables import Examples
from keras_transformer.zoo.models.predict import model_inputs
from keras_transformer.zoo.progress import Report
from keras_transformer.zoo.recipe import Recipe
from keras_transformer.zoo.recipe.training_data import resolved
from keras_transformer.zoo.tasks.run_data import RunData
from keras_transformer.zoo.training.fit import Fit
from keras_transformer.zoo.training.run_data import run_data_of, training_batches
from keras_transformer.zoo.training.train import save_run, working_folder

# What a run that goes on from trained weights has of its own.
DEFAULTS = {
    "schedule": "linear",
    "warmup": 0.05,
    "patience": 0,
    "ema": 0.0,
    "average": 0,
    "steps": 0,
    "dtype": "float32",
    "xla": False,
    "distill": None,
}


def changed_recipe(
    recipe: Recipe, changes: Mapping[str, Any], defaults: Mapping[str, Any] | None = None
) -> Recipe:
    """Returns a recipe with defaults in place of its own values, and changes in place of those.

    Args:
        recipe: of the checkpoint.
        changes: by name; `train` and `validation` may be paths, or None for what stands there.
        defaults: by name.
    """
    values = {**(defaults or {}), **changes}
    for name in ("train", "validation"):
        path = values.pop(name, None)
        if path is not None:
            values[name] = str(path)
    return recipe.replace(**values)


@dataclasses.dataclass(kw_only=True)
class Retraining:
    """A run that goes on from a checkpoint's weights, with the data of the checkpoint's recipe.

    Args:
        checkpoint: the checkpoint.
        recipe: of the new run; its training file is the checkpoint's, or one that was given.
        out: the new checkpoint folder; None keeps all in memory.
        resume, overwrite, report, scalars: see `train.train`.

    Attributes:
        data: the run's data.

    Raises:
        InputError: the data does not fit.
        FileExistsError: `out` exists, or an unfinished run of it.
    """

    checkpoint: Checkpoint
    recipe: Recipe
    out: str | Path | None
    resume: bool = False
    overwrite: bool = False
    report: Report | None = None
    scalars: Callable[[str, float, int], None] | None = None
    data: RunData = dataclasses.field(init=False)

    def __post_init__(self):
        self.report = self.report or Report()
        self.folder = working_folder(self.out, resume=self.resume, overwrite=self.overwrite)
        self.recipe = resolved(self.recipe)
        self.data = run_data_of(self.checkpoint, self.recipe)
        self.data.report_cuts(self.report)
        keras.utils.set_random_seed(self.recipe.training.seed)

    @property
    def total_steps(self) -> int:
        """Steps of the run."""
        return self.recipe.training.total_steps(len(self.batches))

    @functools.cached_property
    def batches(self) -> Batches | SampledBatches:
        """The run's training batches."""
        return training_batches(self.data, self.recipe)

    def follow(self, train: Examples | SentencePairs) -> None:
        """Trains on these rows instead; before `batches` are used."""
        self.data = dataclasses.replace(self.data, train=train)

    def fit(
        self, model: keras.Model, learner: keras.Model | None = None,
        companions: Sequence[keras.Variable] = (),
    ) -> Fit:  # fmt: skip
        """Returns the run of a model, gone back to its last state where it is resumed.

        Args:
            model: built, with the weights to begin with.
            learner, companions: see `Fit`.
        """
        fit = Fit(
            model, self.checkpoint.task, self.recipe, self.batches, self.data.validator(),
            folder=self.folder, report=self.report, scalars=self.scalars, learner=learner,
            companions=companions,
        )  # fmt: skip
        if self.resume:
            fit.resume()
        return fit

    def finish(
        self,
        fit: Fit,
        what: str,
        bits: Mapping[str, Any] | None = None,
        settle: Callable[[keras.Model, Mapping[str, np.ndarray]], None] | None = None,
        keep: Sequence[str] = (),
        **metrics: Any,
    ) -> Checkpoint:
        """Trains to the end, and writes the checkpoint folder if there is to be one.

        Args:
            fit: of `fit`.
            what: the run's name in reports.
            bits: of a quantized model.
            settle: called with the trained model and its probes, which it may change once more.
            keep: patterns of the layers that stay float in a quantized model.
            **metrics: to write beside those of the validation data.
        """
        self.report.start(what, fit.total_steps)
        best = fit.run()
        checkpoint, probes = self.checkpoint, self.data.probes(self.recipe.training.seed)
        if settle is not None:
            settle(fit.model, model_inputs(fit.model, probes))
            best = fit.validate(fit.model)
        result = Checkpoint(
            config=checkpoint.config, task=checkpoint.task, modality=checkpoint.modality,
            model=fit.model, recipe=self.recipe, metrics={"validation": best, **metrics},
            probes=probes, bits=dict(bits or {}), keep=tuple(keep),
        )  # fmt: skip
        result.metrics["validation"] |= self.data.written_metrics(result)
        save_run(result, self.out, self.folder, overwrite=self.overwrite)
        return result
