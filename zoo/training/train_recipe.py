"""Training from a recipe: from data to a checkpoint."""

import dataclasses
from collections.abc import Callable, Collection, Iterable
from pathlib import Path

import keras

from keras_transformer.zoo.backends import needs_backend
from keras_transformer.zoo.checkpoint import Checkpoint
from keras_transformer.zoo.data.labels import similar_labels
from keras_transformer.zoo.data.sources import Source
from keras_transformer.zoo.distributed.devices import current, is_writer
from keras_transformer.zoo.errors import InputError
from keras_transformer.zoo.models.build import build, set_weights
from keras_transformer.zoo.models.catalog import get_config
from keras_transformer.zoo.models.embedded.resized import resizing_note
from keras_transformer.zoo.models.embedded.scales import learn_scales
from keras_transformer.zoo.models.fused_config import (
    FUSED,
    Config,
    config_from_json,
    members_of,
)
from keras_transformer.zoo.models.memory import check_build
from keras_transformer.zoo.models.several_config import SeveralConfig
from keras_transformer.zoo.pretrained.load import Pretrained
from keras_transformer.zoo.progress import Report, default_report
from keras_transformer.zoo.prune_vocabulary import (
    pruning_note,
    recipe_of_run,
    recorded,
    texts_of_run,
)
from keras_transformer.zoo.recipe import Model, Recipe
from keras_transformer.zoo.recipe.training_data import resolved
from keras_transformer.zoo.tasks.registry import task_named, tasks_for
from keras_transformer.zoo.training.adaptation.adapter import Adapter
from keras_transformer.zoo.training.adaptation.freezing import freeze
from keras_transformer.zoo.training.adaptation.lora import add_adapters, merged_weights
from keras_transformer.zoo.training.fit import Fit
from keras_transformer.zoo.training.learn_modality import with_selected_tokenizer
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
    one_run,
    preparing,
    save_run,
    stop_if_finished,
    working_folder,
)
from keras_transformer.zoo.training.starts import Start, opened_start
from keras_transformer.zoo.training.suited import suited, suited_to_start

# Model name of a recipe whose settings are a whole config, without a catalogue name.
OWN_CONFIG = "custom"


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

    Raises:
        InputError: for a mistake in the recipe or the data.
        FileExistsError: `out` exists, an unfinished run of it, or one that is under way.
        RunError: the loss became infinite or not a number.
    """
    report = (report or default_report()) if is_writer() else Report()
    folder = working_folder(out, resume=resume, overwrite=overwrite)
    start = None
    if recipe.model.name != OWN_CONFIG:
        recipe, start = opened_start(recipe)
    if start is not None and chosen is not None and "max_length" not in chosen:
        recipe = recipe.replace(max_length=min(recipe.data.max_length, start.max_length))
    config = config_of(recipe, start)
    recipe = with_positions(recipe, config, chosen or ())
    recipe = recipe_of_run(recipe) if prune_vocabulary is None else recipe
    kept = texts_of_run(recipe, prune_vocabulary)
    if kept is not None and start is None:
        raise InputError(
            "Expected prune_vocabulary only for a published model, whose vocabulary is not learned "
            f"from the training data, got model={recipe.model.name}."
        )
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
    if alike := similar_labels(data.task.labels):
        report.note(alike)
    unknown = report_unknown(data, report)
    config = config.replace(**data.vocab_sizes)

    keras.utils.set_random_seed(recipe.training.seed)
    model = build(config, data.task, dtype=recipe.training.dtype)
    batches = training_batches(data, recipe)
    if start is not None:
        start.assign(config, model, data.task)
    else:
        learn_scales(model, batches)
    if rank := recipe.training.lora:
        add_adapters(model, rank, recipe.training.lora_layers)
    freeze(model, recipe.training.freeze)
    fit = Fit(
        model, data.task, recipe, batches, data.validator(), folder=folder,
        report=report, scalars=scalars, metric=deciding(data, report),
        learner=learner_of(model, config, data),
    )  # fmt: skip
    if resume:
        fit.resume()
    if (devices := current()) is not None:
        # The same data may lie elsewhere on another machine.
        placeless = recipe.replace(train="", validation="", digest="")
        devices.check_run(recipe.data.rows_multiple, placeless.to_json(), batches.fingerprint())
    report.start("train", fit.total_steps)
    best = fit.run()
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


def config_of(recipe: Recipe, start: Start | Pretrained | None = None) -> Config:
    """Returns a model's config with a recipe's settings, before a vocabulary is learned.

    Args:
        recipe: recipe of the run.
        start: what the run begins with, in place of a model of the catalogue.

    Raises:
        InputError: if the model does not fit the recipe, or a setting is impossible.
    """
    config = _named_config(recipe.model, start)
    # Before the vocabulary is learned, which can make it only larger.
    for one in members_of(config):
        check_build(one.replace(vocab_size=min(one.vocab_size, 1), source_vocab_size=0))
    config = _fused_for(recipe, config)
    known = tasks_for(config.architecture, config.modality)
    if recipe.task not in known:
        raise InputError(
            f"Expected a task that the {config.architecture} {recipe.model.name} can be trained "
            f"for ({', '.join(known)}), got task={recipe.task!r}."
        )
    if recipe.data.max_length > config.max_length and not config.positions_of_rows:
        raise InputError(
            f"Expected max_length to be at most the model's {config.max_length}, "
            f"got max_length={recipe.data.max_length}."
        )
    tells_apart = config.num_segments >= 2 or start is not None
    if recipe.data.columns.get("text_pair") is not None and not tells_apart:
        raise InputError(
            f"Expected a model with two segments for pairs, got {recipe.model.name} "
            f"with num_segments={config.num_segments}."
        )
    return config


def _fused_for(recipe: Recipe, config: Config) -> Config:
    """The config of several kinds with the fusion that the task has, if it has one."""
    fusion = task_named(recipe.task).fusion
    if fusion is None:
        return config
    if not isinstance(config, SeveralConfig):
        raise InputError(
            f"Expected a model of each of two kinds of rows for {recipe.task}, such as "
            f"cct_2+bert_tiny, got {recipe.model.name}."
        )
    if recipe.model.settings.get("fusion", fusion) != fusion:
        raise InputError(
            f"Expected no fusion for {recipe.task}, which has an encoder of each kind, got "
            f"fusion={recipe.model.settings['fusion']!r}."
        )
    return config.replace(fusion=fusion)


def with_positions(
    recipe: Recipe, config: Config, chosen: Collection[str] = ()
) -> Recipe:
    """Returns the recipe with the length of inputs that have one size, where they do.

    Args:
        recipe, config: recipe and config of the model.
        chosen: names of the options that the user chose.

    Raises:
        InputError: if the user chose a length.
    """
    positions = config.positions_of_rows
    if positions is None:
        return recipe
    if "max_length" in chosen:
        raise InputError(
            f"Expected no max_length for a model that reads {config.modality}, whose size is that "
            f"of its settings ({', '.join(config.modality_settings)}), got "
            f"max_length={recipe.data.max_length}."
        )
    return recipe.replace(max_length=positions)


def _named_config(model: Model, start: Start | Pretrained | None) -> Config:
    """The config of a model with changed settings, or one given entirely by settings."""
    if model.name == FUSED:
        raise InputError(
            "Expected the recipe of one model to train, got that of several that answer as one; "
            "train each, and fuse them with keras-transformer fuse."
        )
    if model.name == OWN_CONFIG:
        return config_from_json(model.settings)
    config = get_config(model.name) if start is None else start.config
    for name in ("vocab_size", "source_vocab_size"):
        if name in model.settings:
            raise InputError(f"Expected no setting {name}: it follows from the tokenizer.")
    return config.replace(**model.settings)
