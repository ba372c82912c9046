"""Training from a recipe: from data to a checkpoint."""

import os
from collections.abc import Callable
from pathlib import Path

import keras

from keras_transformer.zoo.checkpoint import Checkpoint
from keras_transformer.zoo.data.sources import Source
from keras_transformer.zoo.errors import InputError
from keras_transformer.zoo.files import check_folder_target
from keras_transformer.zoo.models.build import build
from keras_transformer.zoo.models.catalog import get_config
from keras_transformer.zoo.models.config import TransformerConfig
from keras_transformer.zoo.progress import Report, default_report
from keras_transformer.zoo.recipe import Model, Recipe
from keras_transformer.zoo.recipe.training_data import resolved
from keras_transformer.zoo.tasks.registry import tasks_for
from keras_transformer.zoo.training.fit import Fit
from keras_transformer.zoo.training.random_state import random_state_kept
from keras_transformer.zoo.training.run_data import (
    deciding,
    in_memory,
    learn_run_data,
    training_batches,
)
from keras_transformer.zoo.training.run_state import is_state, remove_states

# Model name of a recipe whose settings are a whole config, without a catalogue name.
OWN_CONFIG = "custom"


@random_state_kept()
def train_recipe(
    recipe: Recipe,
    out: str | Path | None = None,
    *,
    train: Source | None = None,
    validation: Source | None = None,
    resume: bool = False,
    overwrite: bool = False,
    report: Report | None = None,
    scalars: Callable[[str, float, int], None] | None = None,
) -> Checkpoint:
    """Trains a model from a recipe, and writes its checkpoint folder if `out` is set.

    States for resuming are saved in the folder `OUT.training` until the run ends.

    Args:
        recipe: recipe of the run.
        out: checkpoint folder; None to write nothing, and then the run cannot be resumed.
        train, validation: data in memory, in place of the recipe's files.
        resume: whether to continue from the last state of an interrupted run.
        overwrite: whether to replace an existing checkpoint, or discard an unfinished run.
        report: receives progress callbacks; by default see `progress.default_report`.
        scalars: see `Fit`.

    Raises:
        InputError: if the recipe or the data has a mistake.
        FileExistsError: if `out` exists, or an unfinished run of it.
        RunError: if the loss became infinite or not a number.
    """
    report = report or default_report()
    folder = working_folder(out, resume=resume, overwrite=overwrite)
    config = config_of(recipe)
    later = {"prune": recipe.prune, "quantize": recipe.quantize, "distill": recipe.distill}
    for name, part in later.items():
        if part is not None:
            raise InputError(
                f"Expected {name} to be null where a model is trained anew, got {name}={part}; "
                f"use keras-transformer {name}."
            )
    given = {"train": train, "validation": validation}
    given = {name: source for name, source in given.items() if source is not None}
    recipe = resolved(recipe, in_memory=given)
    data = learn_run_data(recipe, config, **given)
    recipe, rows = in_memory(recipe, data)
    data.report_cuts(report)
    config = config.replace(**data.vocab_sizes)

    keras.utils.set_random_seed(recipe.training.seed)
    model = build(config, data.task, dtype=recipe.training.dtype)
    fit = Fit(
        model, data.task, recipe, training_batches(data, recipe), data.validator(), folder=folder,
        report=report, scalars=scalars, metric=deciding(data, report),
    )  # fmt: skip
    if resume:
        fit.resume()
    report.start("train", fit.total_steps)
    best = fit.run()
    checkpoint = Checkpoint(
        config=config, task=data.task, modality=data.modality, model=model, recipe=recipe,
        metrics={"validation": best}, probes=data.probes(recipe.training.seed), rows=rows,
    )  # fmt: skip
    checkpoint.metrics["validation"] |= data.written_metrics(checkpoint)
    save_run(checkpoint, out, folder, overwrite=overwrite)
    return checkpoint


def save_run(
    checkpoint: Checkpoint, out: str | Path | None, folder: Path | None, *, overwrite: bool
) -> None:
    """Writes the checkpoint of a finished run and removes its states, if it has a folder."""
    if out is not None:
        checkpoint.save(out, overwrite=overwrite)
        remove_states(folder)


def states_of(out: str | Path) -> Path:
    """Returns the folder with the states of an unfinished run of `out`."""
    out = Path(os.path.abspath(out))
    return out.with_name(f"{out.name}.training")


def working_folder(
    out: str | Path | None, *, resume: bool, overwrite: bool
) -> Path | None:
    """Returns `OUT.training` after checking that the run may start; None without a folder.

    Raises:
        InputError: if a run without a folder is to be resumed or replaced.
        FileExistsError: if `out` may not be replaced, or an unfinished run is in the way.
    """
    if out is None:
        if resume or overwrite:
            raise InputError("Expected a folder to resume or overwrite, got out=None.")
        return None
    folder = states_of(out)
    check_folder_target(out, overwrite=overwrite)
    if not folder.exists():
        return folder
    # The folder is removed when the run ends, so it may contain no other files.
    foreign = sorted(entry.name for entry in folder.iterdir() if not is_state(entry.name))
    if foreign:
        raise FileExistsError(
            f"{folder} holds {foreign[0]!r}, which is no state of a run; choose another path."
        )
    # A process killed between its renames leaves the old state beside the path.
    kept = any((folder / name).exists() for name in ("state", ".state.old"))
    if kept and not resume:
        if not overwrite:
            raise FileExistsError(
                f"{folder} holds an unfinished run; go on with --resume, "
                "or discard it with --overwrite."
            )
        remove_states(folder)
    return folder


def config_of(recipe: Recipe) -> TransformerConfig:
    """Returns the catalogue's config with a recipe's settings, before the vocabulary is known.

    Raises:
        InputError: if the model does not fit the recipe, or a setting is impossible.
    """
    config = _named_config(recipe.model)
    known = tasks_for(config.architecture)
    if recipe.task not in known:
        raise InputError(
            f"Expected a task that the {config.architecture} {recipe.model.name} can be trained "
            f"for ({', '.join(known)}), got task={recipe.task!r}."
        )
    if recipe.data.max_length > config.max_length:
        raise InputError(
            f"Expected max_length to be at most the model's {config.max_length}, "
            f"got max_length={recipe.data.max_length}."
        )
    if recipe.data.columns.get("text_pair") is not None and config.num_segments < 2:
        raise InputError(
            f"Expected a model with two segments for pairs, got {recipe.model.name} "
            f"with num_segments={config.num_segments}."
        )
    return config


def _named_config(model: Model) -> TransformerConfig:
    """The config of a catalogue model with changed settings, or one given entirely by settings."""
    if model.name == OWN_CONFIG:
        return TransformerConfig.from_json(model.settings)
    config = get_config(model.name)
    for name in ("vocab_size", "source_vocab_size"):
        if name in model.settings:
            raise InputError(f"Expected no setting {name}: it follows from the tokenizer.")
    return config.replace(**model.settings)
