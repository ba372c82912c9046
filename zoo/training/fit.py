"""The training loop: steps, validation, early stopping and states for resuming."""

import contextlib
import dataclasses
import json
import math
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np
from keras import ops

from keras_transformer.zoo.augmentation.token_dropout import drop_tokens
from keras_transformer.zoo.data.batches import Batch, Batches, SampledBatches
from keras_transformer.zoo.distributed.devices import is_writer, whole
from keras_transformer.zoo.distributed.step import step_of
from keras_transformer.zoo.errors import InputError, RunError
from keras_transformer.zoo.evaluation.metric import Metric
from keras_transformer.zoo.models.build import get_weights, set_weights
from keras_transformer.zoo.models.memory import check_training
from keras_transformer.zoo.progress import Report
from keras_transformer.zoo.recipe import Recipe
from keras_transformer.zoo.storage.files import (
    read_folder,
    weights_from_bytes,
    weights_to_bytes,
    write_folder,
)
from keras_transformer.zoo.tasks.task import Task
from keras_transformer.zoo.training.optimizers import copies_of_weights, make_optimizer, regularize
from keras_transformer.zoo.training.run_state import Progress, from_one, in_one
from keras_transformer.zoo.training.watched.watch import Watch


class Fit:
    """A training run of a model, which can be interrupted and resumed.

    Args:
        model: built model.
        task: task of the model.
        recipe: recipe of the run.
        batches: training data.
        validate: function from the model to its validation metrics.
        folder: folder of saved states; None to save none.
        report: receives progress callbacks.
        scalars: callback `scalars(name, value, step)` for each curve.
        learner: model that the steps train: by default the model itself, else one that wraps it,
            which may have its own weights and loss.
        companions: further variables that change in the run.
        metric: metric that selects the best epoch; by default the task's `selection`.
        watch: watches the steps.

    Attributes:
        after_step: callback with the step's number after each step, which may change the weights.
        train_step: function of inputs and targets that does a step and returns its loss.
        first_kept_step: first step from which an epoch's weights may be selected; earlier epochs
            are only validated.
    """

    def __init__(
        self, model: keras.Model, task: Task, recipe: Recipe, batches: Batches | SampledBatches,
        validate: Callable[[keras.Model], dict[str, Any]], *, folder: Path | None = None,
        report: Report | None = None, scalars: Callable[[str, float, int], None] | None = None,
        learner: keras.Model | None = None, companions: Sequence[keras.Variable] = (),
        metric: Metric | None = None, watch: Watch | None = None,
    ):  # fmt: skip
        self.model = model
        self.learner = learner or model
        self.task = task
        self.metric = metric or task.selection
        self.watch = watch or Watch()
        self.recipe = recipe
        self.companions = companions
        self.batches = batches
        self.validate = validate
        self.folder = folder
        self.report = report or Report()
        self.scalars = scalars or (lambda name, value, step: None)
        self.progress = Progress(data=batches.fingerprint())
        self.after_step: Callable[[int], None] | None = None
        self.first_kept_step = 0
        self.best_weights: dict[str, np.ndarray] = {}
        self.recent_weights: list[dict[str, np.ndarray]] = []
        rows, length = batches.largest()
        check_training(model, rows * length, length, copies_of_weights(recipe))
        self.total_steps = recipe.training.total_steps(len(batches))
        paths = [weight.path for weight in model.weights]
        self.optimizer = make_optimizer(recipe, self.total_steps, paths)
        regularize(model, recipe.optimizer.l1, recipe.optimizer.l2)
        self.learner.compile(
            optimizer=self.optimizer, loss=task.loss(recipe.optimizer.label_smoothing),
            # On JAX a step that is not compiled runs one operation at a time.
            jit_compile=recipe.training.xla or keras.config.backend() == "jax",
        )  # fmt: skip
        # compile() may wrap the optimizer in a loss-scaling one.
        self.optimizer = self.learner.optimizer
        self.optimizer.build(self.learner.trainable_variables)
        step = step_of(self.learner)
        self.train_step, self._settle, self._ahead = step.__call__, step.settle, step.ahead

    def run(self) -> dict[str, Any]:
        """Trains to the end, and restores the best weights.

        Returns:
            The validation metrics of the best epoch.

        Raises:
            RunError: if a loss or a weight became infinite or not a number.
        """
        progress = self.progress
        if not self._is_over():
            self._meet_shapes()
        while not self._is_over():
            self._epoch()
        if note := progress.kept_start(self.metric.name):
            self.report.note(note)
        set_weights(self.model, self.best_weights)
        return progress.best_metrics

    def resume(self) -> None:
        """Restores the last saved state; without one the run starts from the beginning.

        Raises:
            InputError: if the state belongs to another run, or is damaged.
        """
        state = self.folder / "state"
        try:
            files = read_folder(state)
        except FileNotFoundError:
            self.report.note("No state was kept yet: starting from the first step.")
            return
        saved = Recipe.from_json(files["recipe.json"], f"{state}/recipe.json")
        digest = self.recipe.data.digest
        if saved.replace(digest=digest).to_json() != self.recipe.to_json():
            raise InputError(
                f"{state} is of a run with another recipe; resume with its own options, "
                "or remove the folder to start anew."
            )
        values = weights_from_bytes(files["variables.safetensors"])
        shapes = {name: tuple(variable.shape) for name, variable in self._variables().items()}
        progress = Progress(**json.loads(files["progress.json"]))
        is_same_data = (progress.data, saved.data.digest) == (self.progress.data, digest)
        if not is_same_data or {name: value.shape for name, value in values.items()} != shapes:
            raise InputError(
                f"{state} is of a run on other training data, or from another checkpoint; bring "
                "that back, or remove the folder to start anew."
            )
        self._assign(values)
        self.progress = progress
        if self.recipe.optimizer.average:
            self.recent_weights = from_one(weights_from_bytes(files["recent.safetensors"]))
        if self.progress.best_metrics:
            best = read_folder(self.folder / "best")
            self.best_weights = weights_from_bytes(best["weights.safetensors"])
        self.report.note(f"Resuming after step {self.progress.step} of {self.total_steps}.")

    def consider_start(self) -> None:
        """Makes the initial model the best one unless an epoch is as good."""
        if self.progress.step == 0:
            self._keep_if_best(*self._validate())
            self.progress.best_score = math.nextafter(self.progress.best_score, -math.inf)

    def _is_over(self) -> bool:
        progress, limits = self.progress, self.recipe.training
        if 0 < limits.patience <= progress.epochs_since_best:
            return True
        return progress.step >= limits.steps if limits.steps else progress.epoch >= limits.epochs

    def _epoch(self) -> None:
        progress, limits = self.progress, self.recipe.training
        # Steps that are done or given to the device, and those whose loss was not read.
        done, unread = progress.step, deque[tuple[Any, Batch]]()
        self.watch.begin(self.model)
        for batch in self.batches.epoch(progress.epoch, start=progress.batch):
            self.watch.step(batch)
            unread.append((self._step(batch, done), batch))
            done += 1
            if self.after_step is not None:
                self._settle()
                self.after_step(done)
            is_saved = done % limits.save_every == 0
            self._read(unread, 0 if is_saved else self._ahead)
            if is_saved:
                self._save_state()
            if done == limits.steps:
                break
        self._read(unread)
        self._finish_epoch(self.watch.end())

    def _step(self, batch: Batch, number: int) -> Any:
        dropout, seed = self.recipe.data.token_dropout, self.recipe.training.seed
        return self.train_step(drop_tokens(batch.inputs, dropout, seed, number), batch.targets)

    def _read(self, unread: deque[tuple[Any, Batch]], left: int = 0) -> None:
        """Waits for the losses of steps, but for the last ones, and adds them to the progress."""
        while len(unread) > left:
            loss, batch = unread.popleft()
            self.progress.add(loss := float(loss), batch.num_targets)
            if not math.isfinite(loss):
                self._stop(f"The loss became {loss}")
            self.report.step(self.progress.step, self.progress.loss)
            self.watch.counted()

    def _meet_shapes(self) -> None:
        """Does a step on each batch shape, and undoes it.

        TensorFlow relaxes a graph's shapes with each new shape, and a relaxed graph differs in the
        last bits: a resumed run has to see the shapes in the same order as an uninterrupted one.
        """
        values = self._values()
        for batch in self.batches.one_of_each_shape():
            self._step(batch, self.progress.step)
        self._assign(values)

    def _keep_if_best(self, metrics: dict[str, Any], weights: dict[str, np.ndarray]) -> bool:
        progress, score = self.progress, self.metric.score(metrics)
        if score <= progress.best_score:
            return False
        progress.best_score, progress.best_metrics = score, metrics
        self.best_weights = weights
        if self.folder is not None and is_writer():
            files = {"weights.safetensors": weights_to_bytes(weights)}
            write_folder(self.folder / "best", files, overwrite=True)
        return True

    def _finish_epoch(self, speed: Mapping[str, float]) -> None:
        progress, loss = self.progress, self.progress.loss
        self._check_finite(self._values())
        metrics, weights = self._validate()
        name, value = self.metric.name, metrics[self.metric.name]
        if value is not None and not math.isfinite(value):
            self._stop(f"The validation {name} became {value}")
        is_best = progress.step >= self.first_kept_step and self._keep_if_best(metrics, weights)
        progress.epochs_since_best = 0 if is_best else progress.epochs_since_best + 1
        progress.epoch += 1
        progress.batch, progress.loss_sum, progress.loss_targets = 0, 0.0, 0
        rate = float(ops.convert_to_numpy(self.optimizer.learning_rate))
        for name, value in {"loss": loss, "learning_rate": rate, **speed}.items():
            self.scalars(f"train/{name}", value, progress.step)
        for name, value in metrics.items():
            if isinstance(value, float):
                self.scalars(f"validation/{name}", value, progress.step)
        # What is shown is not lost by a kill.
        self._save_state()
        self.report.epoch(progress.epoch, loss, metrics, is_best)

    def _validate(self) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
        """Metrics and weights, of the average if there is one."""
        if self.recipe.optimizer.average:
            return self._validate_recent()
        if not self.recipe.optimizer.ema:
            return self.validate(self.model), get_weights(self.model)
        trainable = self.learner.trainable_variables
        kept = [ops.copy(variable.value) for variable in trainable]
        self.optimizer.finalize_variable_values(trainable)
        for variable in trainable:
            # On JAX the variable now shares the average's buffer, which a step may donate.
            variable.assign(ops.copy(variable.value))
        result = self.validate(self.model), get_weights(self.model)
        for variable, value in zip(trainable, kept, strict=True):
            variable.assign(value)
        return result

    def _validate_recent(self) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
        """Metrics and weights of the mean over the last epochs, including this one."""
        own = get_weights(self.model)
        self.recent_weights = [*self.recent_weights, own][-self.recipe.optimizer.average :]
        mean = {path: np.mean([one[path] for one in self.recent_weights], axis=0) for path in own}
        set_weights(self.model, mean)
        metrics = self.validate(self.model)
        set_weights(self.model, own)
        return metrics, mean

    def _variables(self) -> dict[str, keras.Variable]:
        """All variables of a step, random states included, by index and path."""
        self._settle()
        variables = [*self.learner.variables, *self.optimizer.variables, *self.companions]
        return {f"{i:05d}/{variable.name}": variable for i, variable in enumerate(variables)}

    def _values(self) -> dict[str, np.ndarray]:
        variables = self._variables().items()
        return {name: whole(variable.value) for name, variable in variables}

    def _assign(self, values: Mapping[str, np.ndarray]) -> None:
        for name, variable in self._variables().items():
            variable.assign(values[name])

    def _check_finite(self, values: dict[str, np.ndarray]) -> None:
        if not all(np.isfinite(value).all() for value in values.values()):
            self._stop("A weight became infinite or not a number")

    def _save_state(self) -> None:
        if self.folder is None:
            return
        values = self._values()
        self._check_finite(values)
        if not is_writer():
            return
        files = {
            "variables.safetensors": weights_to_bytes(values),
            "progress.json": json.dumps(dataclasses.asdict(self.progress)).encode(),
            "recipe.json": self.recipe.to_json().encode(),
        }
        if self.recipe.optimizer.average:
            files["recent.safetensors"] = weights_to_bytes(in_one(self.recent_weights))
        write_folder(self.folder / "state", files, overwrite=True)

    def _stop(self, what: str) -> None:
        good = "no good state was kept before it"
        if self.folder is not None:
            with contextlib.suppress(FileNotFoundError):
                saved = json.loads(read_folder(self.folder / "state")["progress.json"])
                good = f"the last good state is {self.folder / 'state'}, after step {saved['step']}"
        raise RunError(
            f"{what} at step {self.progress.step}; {good}. "
            "Lower the learning rate or raise the warm-up."
        )
