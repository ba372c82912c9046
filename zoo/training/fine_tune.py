"""Fine-tuning of a checkpoint: the shared base of quantization, pruning and distillation."""

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
from keras_transformer.zoo.data.rows import Examples, Rows
from keras_transformer.zoo.data.sources import Source
from keras_transformer.zoo.distributed.devices import current, is_writer
from keras_transformer.zoo.errors import InputError
from keras_transformer.zoo.models.running.predict import model_inputs
from keras_transformer.zoo.progress import Report, default_report
from keras_transformer.zoo.recipe import OPTIONS, Recipe
from keras_transformer.zoo.recipe.training_data import data_options, resolved, rows_given
from keras_transformer.zoo.storage.files import weights_digest
from keras_transformer.zoo.tasks.run_data import RunData
from keras_transformer.zoo.training.fit import Fit
from keras_transformer.zoo.training.multi_task import learner_of
from keras_transformer.zoo.training.run_data import (
    deciding,
    in_memory,
    run_data_of,
    training_batches,
    validation_unknown,
)
from keras_transformer.zoo.training.run_folder import save_run, stop_if_finished, working_folder

# Default options of a run that continues from trained weights.
DEFAULTS = {
    "schedule": "linear",
    "warmup": 0.05,
    "patience": 0,
    "ema": 0.0,
    "average": 0,
    "steps": 0,
    "dtype": "float32",
    "xla": False,
    "loss_chunk": 0,
    "remat": False,
    "flash_attention": False,
    "distill": None,
    "freeze": "",
    "layer_decay": 1.0,
    "lora": 0,
    "lora_layers": "*",
    "adapter": False,
}


def changed_recipe(
    recipe: Recipe, changes: Mapping[str, Any], defaults: Mapping[str, Any] | None = None
) -> Recipe:
    """Returns a recipe updated with defaults, and then with changes.

    Args:
        recipe: recipe of the checkpoint.
        changes: changes by option name; `train` and `validation` as in `quantize`, None for the
            recipe's own.
        defaults: defaults by option name.

    Raises:
        InputError: if a value is impossible.
        TypeError: if a name is unknown.
    """
    values = {**(defaults or {}), **changes}
    places = data_options(**{name: values.pop(name, None) for name in ("train", "validation")})
    # The task has what the first run learned.
    others = ["columns", "prune_vocabulary", "pruned"]
    others += [name for name, option in OPTIONS.items() if option.of_task]
    known = [name for name in (*OPTIONS, *recipe.data.columns) if name not in others]
    for name, value in values.items():
        # A part that the run removes is not an option.
        if name not in known and value is not None:
            raise TypeError(
                f"Expected changes to the recipe among {', '.join(known)}, got {name}={value!r}."
            )
    return recipe.replace(**values, **places)


@dataclasses.dataclass(kw_only=True)
class Retraining:
    """A run that continues from a checkpoint's weights, with the checkpoint's data or other data.

    Args:
        checkpoint: checkpoint to continue from.
        recipe: recipe of the new run, with the checkpoint's data files or the given ones.
        train, validation: data in place of the checkpoint's, see `train.train`.
        out: new checkpoint folder; None to write nothing.
        resume, overwrite, report, scalars: see `train.train`.
        origin: whose validation metrics the new checkpoint has beside its own, if not this one's.

    Attributes:
        data: data of the run.
        rows: those of the data that are in memory, see `Checkpoint`.

    Raises:
        InputError: if the data does not fit.
        FileExistsError: if `out` exists, or an unfinished run of it.
    """

    checkpoint: Checkpoint
    recipe: Recipe
    out: str | Path | None
    train: Source | None = None
    validation: Source | float | None = None
    resume: bool = False
    overwrite: bool = False
    report: Report | None = None
    scalars: Callable[[str, float, int], None] | None = None
    origin: Checkpoint | None = None
    data: RunData = dataclasses.field(init=False)
    rows: dict[str, Rows] = dataclasses.field(init=False)

    def __post_init__(self):
        for name in ("loss_chunk", "remat", "flash_attention"):
            if value := getattr(self.recipe.training, name):
                raise InputError(
                    f"Expected no {name} for a model that is trained on, got {name}={value}."
                )
        self.report = (self.report or default_report()) if is_writer() else Report()
        self.folder = working_folder(self.out, resume=self.resume, overwrite=self.overwrite)
        self.origin = self.origin or self.checkpoint
        began = (self.checkpoint.model.weights, self.origin.model.weights)
        self._began_from = "" if self.folder is None else weights_digest(*began)
        given = self._in_memory()
        devices = current()
        if devices is not None and self.recipe.data.rows_multiple % devices.replicas:
            self.recipe = self.recipe.replace(rows_multiple=devices.rows_multiple())
        self.recipe = resolved(self.recipe, in_memory=given)
        self.data = run_data_of(self.checkpoint, self.recipe, **given)
        self.recipe, self.rows = in_memory(self.recipe, self.data)
        stop_if_finished(
            self.recipe, self.out, self.folder, self.rows, resume=self.resume,
            overwrite=self.overwrite, report=self.report, origin=self.origin,
        )  # fmt: skip
        self.data.report_cuts(self.report)
        keras.utils.set_random_seed(self.recipe.training.seed)

    def _in_memory(self) -> dict[str, Source | Rows]:
        """The data in memory: the given data, else the checkpoint's rows."""
        kept = dict(self.checkpoint.rows)
        if self.train is not None:
            kept.pop("train", None)
            if self.recipe.data.validation_share:
                # A validation share is split off from the new training data.
                kept.pop("validation", None)
        if self.validation is not None:
            kept.pop("validation", None)
        return kept | rows_given(train=self.train, validation=self.validation)

    @property
    def total_steps(self) -> int:
        """Number of steps of the run."""
        return self.recipe.training.total_steps(len(self.batches))

    @functools.cached_property
    def batches(self) -> Batches | SampledBatches:
        """The run's training batches."""
        return training_batches(self.data, self.recipe)

    def follow(self, train: Examples | SentencePairs) -> None:
        """Trains on the given rows instead; to be called before `batches` is used."""
        self.data = dataclasses.replace(self.data, train=train)

    def fit(
        self, model: keras.Model, learner: keras.Model | None = None,
        companions: Sequence[keras.Variable] = (),
    ) -> Fit:  # fmt: skip
        """Returns the training loop of a model, restored to its last state if resuming.

        Args:
            model: built model with the initial weights.
            learner, companions: see `Fit`; a model of several tasks has a learner of its own.
        """
        fit = Fit(
            model, self.checkpoint.task, self.recipe, self.batches, self.data.validator(),
            folder=self.folder, report=self.report, scalars=self.scalars,
            learner=learner or learner_of(model, self.checkpoint.config, self.data),
            companions=companions, metric=deciding(self.data, self.report),
        )  # fmt: skip
        # A state holds what became of the weights that the run went on from.
        fit.progress.data += self._began_from
        if self.resume:
            fit.resume()
        if (devices := current()) is not None:
            # The same data may lie elsewhere on another machine.
            placeless = self.recipe.replace(train="", validation="", digest="")
            devices.check_run(
                self.recipe.data.rows_multiple, placeless.to_json(), fit.progress.data
            )
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
        """Trains to the end, and writes the checkpoint folder if `out` is set.

        Args:
            fit: training loop from `fit`.
            what: name of the run in reports.
            bits: bit widths of a quantized model.
            settle: callback with the trained model and its probes, which may modify the model.
            keep: patterns of the layers that stay float in a quantized model.
            **metrics: metrics to record in addition to those of the validation data.
        """
        self.report.start(what, fit.total_steps)
        best = fit.run()
        checkpoint, probes = self.checkpoint, self.data.probes(self.recipe.training.seed)
        if settle is not None:
            settle(fit.model, model_inputs(fit.model, probes))
            best = fit.validate(fit.model)
        task, measured = checkpoint.task.tuned(self.data, fit.model, best)
        result = Checkpoint(
            config=checkpoint.config, task=task, modality=checkpoint.modality,
            model=fit.model, recipe=self.recipe,
            metrics={"validation": measured, **metrics}, probes=probes,
            bits=dict(bits or {}), keep=tuple(keep), rows=self.rows,
        )  # fmt: skip
        result.metrics["validation"] |= self.data.written_metrics(result)
        result.metrics["validation"] |= validation_unknown(self.data)
        save_run(result, self.out, self.folder, overwrite=self.overwrite)
        return result
