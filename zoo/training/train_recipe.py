"""Training from a recipe: from data to a checkpoint."""

import dataclasses
from collections.abc import Callable, Collection, Iterable
from pathlib import Path
from typing import Any

import keras

from keras_transformer.zoo.backends import needs_backend
from keras_transformer.zoo.checkpoint import Checkpoint
from keras_transformer.zoo.data.labels import similar_labels
from keras_transformer.zoo.data.sources import Source
from keras_transformer.zoo.distributed.devices import current, is_writer
from keras_transformer.zoo.errors import InputError
from keras_transformer.zoo.models.build import build, set_weights
from keras_transformer.zoo.models.embedded.resized import resizing_note
from keras_transformer.zoo.models.embedded.scales import learn_scales
from keras_transformer.zoo.models.fused_config import Config, members_of
from keras_transformer.zoo.progress import Report, default_report
from keras_transformer.zoo.prune_vocabulary import (
    pruning_note,
    recipe_of_run,
    recorded,
    texts_of_run,
)
from keras_transformer.zoo.recipe import Recipe
from keras_transformer.zoo.recipe.training_data import resolved
from keras_transformer.zoo.training.adaptation.adapter import Adapter
from keras_transformer.zoo.training.adaptation.freezing import freeze
from keras_transformer.zoo.training.adaptation.lora import add_adapters, merged_weights
from keras_transformer.zoo.training.chosen.configs import OWN_CONFIG, config_of, with_positions
from keras_transformer.zoo.training.chosen.suited import suited, suited_to_start
from keras_transformer.zoo.training.fit import Fit
from keras_transformer.zoo.training.largest_batch import with_largest_batch
from keras_transformer.zoo.training.learn_modality import with_selected_tokenizer
from keras_transformer.zoo.training.memory.batch_size import AUTO, LEAST_TOKENS, found_before
from keras_transformer.zoo.training.memory.flash import (
    check_machine,
    check_model,
    use_flash_attention,
)
from keras_transformer.zoo.training.memory.remat import rematerialize
from keras_transformer.zoo.training.multi_task import learner_of
from keras_transformer.zoo.training.random_state import random_state_kept
from keras_transformer.zoo.training.run_data import (
    baseline_of,
    deciding,
    in_memory,
    learn_run_data,
    read_run,
    report_unknown,
    training_batches,
)
from keras_transformer.zoo.training.run_folder import (
    Prepared,
    is_only_preparing,
    one_run,
    preparing,
    save_run,
    stop_if_finished,
    working_folder,
)
from keras_transformer.zoo.training.starts import opened_start
from keras_transformer.zoo.training.watched.peaks import known_peak
from keras_transformer.zoo.training.watched.watch import Watch


@needs_backend("train")
@one_run
@preparing
@random_state_kept()
def train_recipe(
    recipe: Recipe,
    out: str | Path | None = None,
    *,
    train: Source | None = None,
    validation: Source | None = None,
    resume: bool = False,
    overwrite: bool = False,
    baseline: bool = True,
    chosen: Collection[str] | None = None,
    prune_vocabulary: Iterable[str] | None = None,
    prepared: str | Path | None = None,
    report: Report | None = None,
    scalars: Callable[[str, float, int], None] | None = None,
    profile: str | Path | None = None,
    peak: float | None = None,
) -> Checkpoint:
    """Trains a model from a recipe, and writes its checkpoint folder if `out` is set.

    States for resuming are saved in the folder `OUT.training` until the run ends.

    Args:
        recipe: recipe of the run.
        out: checkpoint folder; None to write nothing, and then the run cannot be resumed.
        train, validation: data in memory, in place of the recipe's files.
        resume: whether to continue from the last state of an interrupted run.
        overwrite: whether to replace an existing checkpoint, or discard an unfinished run.
        baseline: whether a classification of texts also fits n-grams to the same data, see
            `ngram_accuracy`; their accuracy is `metrics["baseline"]` of the checkpoint.
        chosen: names of the options that the user chose; the data choose others, see `suited`.
            None if the whole recipe is chosen.
        prune_vocabulary: texts in memory, in place of the recipe's file, see `train.train`.
        prepared: see `preparing`.
        report: receives progress callbacks; by default see `progress.default_report`.
        scalars: see `Fit`.
        profile, peak: see `train.train`.

    Raises:
        InputError: for a mistake in the recipe or the data.
        FileExistsError: `out` exists, an unfinished run of it, or one that is under way.
        RunError: the loss became infinite or not a number.
    """
    report = (report or default_report()) if is_writer() else Report()
    folder = working_folder(out, resume=resume, overwrite=overwrite)
    if resume and recipe.data.batch_tokens == AUTO:
        recipe = recipe.replace(batch_tokens=found_before(folder / "state", Path(out)))
    recipe, start, config = opened(recipe, chosen)
    recipe = recipe_of_run(recipe) if prune_vocabulary is None else recipe
    kept = texts_of_run(recipe, prune_vocabulary)
    if kept is not None and start is None:
        raise InputError(
            "Expected prune_vocabulary only for a published model, whose vocabulary is not learned "
            f"from the training data, got model={recipe.model.name}."
        )
    if recipe.training.adapter and out is None:
        raise InputError("Expected a folder (out) where adapter=True, got out=None.")
    if recipe.training.adapter and kept is not None:
        raise InputError(
            "Expected no prune_vocabulary where adapter=True, whose base has the whole vocabulary; "
            "convert --prune-vocabulary prunes it afterwards."
        )
    base = start.base() if recipe.training.adapter else None
    given = {"train": train, "validation": validation}
    given = {name: source for name, source in given.items() if source is not None}
    recipe = resolved(recipe, in_memory=given)
    if chosen is not None or kept is not None:
        task, *parts = read_run(recipe, config, **given)
        given = dict(zip(("train", "validation"), parts, strict=True))
    if kept is not None:
        smaller = start.pruned(task, kept, task.vocabulary_texts(given["train"]))
        recipe = recorded(recipe, kept, start.config, smaller.config, after_training=False)
        report.note(pruning_note(recipe))
        start, config = smaller, config_of(recipe, smaller)
    if chosen is not None:
        if start is None:
            recipe = suited(recipe, config, task, given["train"], chosen, report)
        else:
            recipe = suited_to_start(recipe, start, task, given["train"], chosen, report)
        config = config_of(recipe, start)
        recipe = with_positions(recipe, config)
    if start is None:
        data = learn_run_data(recipe, config, **given)
        modality = data.modality
        recipe = with_selected_tokenizer(recipe, modality, report)
    else:
        modality = start.modality(recipe.data.max_length, config)
        if modality.settings:
            modality = dataclasses.replace(modality, settings=config.modality_settings)
        for before, after in zip(members_of(start.config), members_of(config), strict=True):
            if note := resizing_note(before, after):
                report.note(note)
        data = learn_run_data(recipe, config, **given, modality=modality)
    recipe, rows = in_memory(recipe, data)
    stop_if_finished(
        recipe, out, folder, rows, resume=resume, overwrite=overwrite, report=report
    )
    data.report_cuts(report)
    if is_only_preparing():
        raise Prepared(data)
    if alike := similar_labels(data.task.labels):
        report.note(alike)
    unknown = report_unknown(data, report)
    config = config.replace(**data.vocab_sizes)
    if recipe.training.flash_attention:
        # The data may have chosen another one.
        check_model(config, recipe.optimizer.objective)

    keras.utils.set_random_seed(recipe.training.seed)
    model = build(config, data.task, dtype=recipe.training.dtype)
    tokens = recipe.data.batch_tokens or LEAST_TOKENS
    batches = training_batches(data, recipe.replace(batch_tokens=tokens))
    if start is not None:
        start.assign(config, model, data.task)
    else:
        learn_scales(model, batches)
    if rank := recipe.training.lora:
        add_adapters(model, rank, recipe.training.lora_layers)
    freeze(model, recipe.training.freeze)
    rematerialize(model, recipe.training.remat)
    use_flash_attention(model, recipe.training.flash_attention)
    if recipe.data.batch_tokens == AUTO:
        recipe = with_largest_batch(recipe, model, config, data, report)
        batches = training_batches(data, recipe)
    fit = Fit(
        model, data.task, recipe, batches, data.validator(), folder=folder,
        report=report, scalars=scalars, metric=deciding(data, report),
        learner=learner_of(model, config, data, recipe.training.loss_chunk),
        watch=Watch(
            peak=known_peak(recipe.training.dtype) if peak is None else peak, profile=profile
        ),
    )  # fmt: skip
    if resume:
        fit.resume()
    if (devices := current()) is not None:
        # The same data may lie elsewhere on another machine.
        placeless = recipe.replace(train="", validation="", digest="")
        devices.check_run(recipe.data.rows_multiple, placeless.to_json(), batches.fingerprint())
    report.start("train", fit.total_steps)
    best = fit.run()
    report.speed(fit.watch.speed)
    use_flash_attention(model, False)
    adapter = None
    if recipe.training.adapter:
        adapter = Adapter.of_model(fit.model, base, recipe.training.lora_layers)
    if rank:
        model = build(config, data.task, dtype=recipe.training.dtype)
        set_weights(model, merged_weights(fit.model))
    task, measured = data.task.tuned(data, model, best)
    checkpoint = Checkpoint(
        config=config, task=task, modality=modality, model=model, recipe=recipe,
        metrics={"validation": measured}, probes=data.probes(recipe.training.seed), rows=rows,
    )  # fmt: skip
    checkpoint.metrics["validation"] |= {**data.written_metrics(checkpoint), **unknown}
    if baseline and (found := baseline_of(data, report)):
        checkpoint.metrics["baseline"] = found
    save_run(checkpoint, out, folder, overwrite=overwrite, adapter=adapter)
    return checkpoint


def opened(
    recipe: Recipe, chosen: Collection[str] | None = None, start: Any = None
) -> tuple[Recipe, Any, Config]:
    """Opens what a run begins with, and checks what can be checked before the data are read.

    Args:
        recipe, chosen: see `train_recipe`.
        start: what was opened for a recipe with the same model, if one was.

    Returns:
        The recipe with what follows from the model, the weights that the run begins with (see
        `Start`; None if it begins with none), and the config of its model.

    Raises:
        FileNotFoundError: there is no such model.
        InputError: the recipe does not fit the model, or is of another kind of run.
    """
    if has_flash := recipe.training.flash_attention:
        check_machine(recipe.training.dtype)
    if start is None and recipe.model.name != OWN_CONFIG:
        recipe, start = opened_start(recipe)
    if start is not None and chosen is not None and "max_length" not in chosen:
        recipe = recipe.replace(max_length=min(recipe.data.max_length, start.max_length))
    config = config_of(recipe, start)
    if has_flash:
        check_model(config, recipe.optimizer.objective)
    recipe = with_positions(recipe, config, chosen or ())
    later = {"prune": recipe.prune, "quantize": recipe.quantize, "distill": recipe.distill}
    for name, part in later.items():
        if part is not None:
            raise InputError(
                f"Expected {name} to be null where a model is trained anew, got {name}={part}; "
                f"use keras-transformer {name}."
            )
    if recipe.training.lora and start is None:
        raise InputError(
            "Expected lora to be 0 where a model is trained from nothing, got "
            f"lora={recipe.training.lora}; name a published model."
        )
    return recipe, start, config
