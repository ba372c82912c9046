"""The front door to training, with options by name."""

import contextlib
import os
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

from keras_transformer.zoo.checkpoint import Checkpoint
from keras_transformer.zoo.columns.addresses import public
from keras_transformer.zoo.data.columns import COLUMNS, check_no_columns
from keras_transformer.zoo.data.sources import Source
from keras_transformer.zoo.distributed.devices import current
from keras_transformer.zoo.errors import InputError
from keras_transformer.zoo.modalities.several import PLUS
from keras_transformer.zoo.models.config import TransformerConfig
from keras_transformer.zoo.models.several_config import SeveralConfig
from keras_transformer.zoo.pretrained.checkpoints import FINE_TUNING
from keras_transformer.zoo.progress import Report
from keras_transformer.zoo.prune_vocabulary import Texts
from keras_transformer.zoo.recipe import OPTIONS, Recipe
from keras_transformer.zoo.recipe.training_data import data_options, is_path, rows_given
from keras_transformer.zoo.tasks.multi_task.multi_task import MultiTask
from keras_transformer.zoo.tasks.registry import DEFAULT_TASK, task_named
from keras_transformer.zoo.tasks.task import Task
from keras_transformer.zoo.training.chosen.configs import OWN_CONFIG
from keras_transformer.zoo.training.chosen.kinds import DEFAULT_MODELS, completed, kinds_of
from keras_transformer.zoo.training.run_folder import (
    Prepared,
    check_prepared_target,
    only_preparing,
)
from keras_transformer.zoo.training.starts import is_start
from keras_transformer.zoo.training.train_recipe import train_recipe

# Recipe options that have a separate argument, or are not for the user to set.
_ARGUMENTS = (
    "model", "settings", "published", "train", "validation", "validation_share", "columns",
    "digest", "pruned",
)  # fmt: skip


def train(
    model: str | TransformerConfig | SeveralConfig | Recipe | None = None,
    task: Task | str | Mapping[str, Any] | None = None,
    *,
    train: Source | None = None,
    validation: Source | float | None = None,
    out: str | Path | None = None,
    resume: bool = False,
    overwrite: bool = False,
    baseline: bool = True,
    report: Report | None = None,
    scalars: Callable[[str, float, int], None] | None = None,
    profile: str | Path | None = None,
    peak: float | None = None,
    settings: Mapping[str, Any] | None = None,
    fusion: str | None = None,
    prune_vocabulary: Texts | None = None,
    prepared: str | Path | None = None,
    **options: Any,
) -> Checkpoint:
    """Trains a model and returns the checkpoint of its best epoch.

    Args:
        model: catalogue name, config, or the recipe of a run to repeat; or a trained model whose
            weights and tokenizer the run begins with: the folder of a float checkpoint, a folder
            that `transformers` wrote, a safetensors file beside its config.json, or
            `hf:OWNER/NAME[@REVISION]`. By default the catalogue's model that suits the task and
            the number of training examples. Rows of several kinds are read by a model of each, with
            `+` between their names: `cct_2+bert_tiny`; where the task has an encoder of each kind,
            those that are not named are the catalogue's small ones.
        task: task such as `Classification(labels=["bad", "good"])`, or its name; classification by
            default. Missing labels are learned from the training data. A mapping is of several
            tasks that one model learns, each with its data: `{"intent": {"task":
            Classification(), "train": ..., "validation": ...}, ...}`, see `read_table`.
        train: path, pair of sequences (texts, labels), columns by name or a data frame, or rows:
            tuples, or mappings by column name. Rows of several kinds are a column of each, named
            by options such as `image="path", text="question"`, or `({"image": [...], "text":
            [...]}, labels)`.
        validation: likewise, or a fraction of the training data, such as 0.1, for a stratified
            random split.
        out: checkpoint folder, beside which the states of the run are saved until it ends; None to
            write nothing.
        resume: whether to continue from the last state of an interrupted run.
        overwrite: whether to replace an existing checkpoint, or discard an unfinished run.
        baseline: whether a classification of texts also fits n-grams to the same data, see
            `ngram_accuracy`; their accuracy is `metrics["baseline"]` of the checkpoint.
        report: receives progress callbacks; by default see `progress.default_report`.
        scalars: callback with the name, the value and the step of a curve's point.
        profile: folder to which a trace of the first steps is written, for TensorBoard or Perfetto;
            None for no trace.
        peak: operations a second that the devices can do together, of which `scalars` has the
            share; by default that of JAX's known devices in bfloat16.
        settings: changes to the model's config, such as `{"dropout": 0.3}`; of the model of one
            kind among several, such as `{"image.height": 64}`.
        fusion: how a model of several kinds makes one of them, `late`, `joint` or `cross`, see
            `SeveralConfig`.
        prune_vocabulary: for a published model, texts whose pieces, with those of the training
            rows, are all that its vocabulary keeps: a file, one text a line, or a list of texts.
        prepared: folder of prepared data, see `prepare`, in place of one beside `out` that is gone
            when the run ends.
        **options: options of the recipe, such as `epochs=3`, and column names of the data by their
            use, such as `text="sentence"`. `batch_tokens="auto"` is the largest batch that fits.

    Raises:
        InputError: if an option has an impossible value, or the data or the model does not fit.
        TypeError: if an argument has another type, or an option is unknown.
        FileNotFoundError: if there is no such file.
        FileExistsError: if `out` exists, or an unfinished run of it.
        RunError: if the loss became infinite or not a number.
    """
    recipe, given = planned(
        model, task, train=train, validation=validation, settings=settings, fusion=fusion,
        prune_vocabulary=prune_vocabulary, **options,
    )  # fmt: skip
    return train_recipe(
        recipe, out, **given, resume=resume, overwrite=overwrite, baseline=baseline, report=report,
        scalars=scalars, prepared=prepared, profile=profile, peak=peak,
    )  # fmt: skip


def planned(
    model: str | TransformerConfig | SeveralConfig | Recipe | None = None,
    task: Task | str | Mapping[str, Any] | None = None,
    *,
    train: Source | None = None,
    validation: Source | float | None = None,
    settings: Mapping[str, Any] | None = None,
    fusion: str | None = None,
    prune_vocabulary: Texts | None = None,
    **options: Any,
) -> tuple[Recipe, dict[str, Any]]:
    """Returns the recipe that arguments of `train` make, and what `train_recipe` gets beside it.

    Args:
        model, task, train, validation, settings, fusion, prune_vocabulary, **options: see `train`.

    Raises:
        InputError, TypeError: as `train`, for what is wrong whatever the data.
    """
    if isinstance(task, Mapping):
        if train is not None:
            raise TypeError("Expected no train beside several tasks, which name their own data.")
        train, task = task, MultiTask.name
    if task == MultiTask.name and validation is None:
        validation = train
    chosen = None
    if model is None or isinstance(model, str):
        # A config and a recipe say all of a model; a name leaves to the data what is not given.
        chosen = {*options, *(settings or {}), *([] if model is None else ["model"])}
    if fusion is not None:
        settings = {**(settings or {}), "fusion": fusion}
        chosen = None if chosen is None else chosen | {"fusion"}
    if (devices := current()) is not None and not isinstance(model, Recipe):
        options.setdefault("rows_multiple", devices.rows_multiple())
    places = data_options(train=train, validation=validation)
    if options.get("out_of_scope"):
        options["out_of_scope"] = str(public(options["out_of_scope"]))
    check_no_columns([train, validation], options)
    kinds = kinds_of(train, options)
    texts = None
    if prune_vocabulary is not None:
        is_file = is_path(prune_vocabulary)
        options["prune_vocabulary"] = os.fspath(prune_vocabulary) if is_file else ""
        texts = None if is_file else prune_vocabulary
    recipe = _recipe(model, task, settings, options, places, kinds)
    return recipe, {
        **rows_given(train=train, validation=validation), "chosen": chosen,
        "prune_vocabulary": texts,
    }  # fmt: skip


def prepare(
    model: str | TransformerConfig | Recipe | None = None, task: Task | str | None = None, *,
    train: Source, validation: Source | float, out: str | Path, report: Report | None = None,
    settings: Mapping[str, Any] | None = None, **options: Any,
) -> Path:  # fmt: skip
    """Prepares the data of runs in a folder: tables, vocabulary and token ids that runs map.

    What the folder holds already is not made again, so that an interrupted call can be repeated.

    Args:
        model, task, train, validation, report, settings, **options: as those of the runs with
            `train(..., prepared=out)`; those that change neither rows nor tokens may differ.
        out: the folder.

    Raises:
        InputError: as `train`; or if the rows of the task cannot be prepared.
        TypeError, FileNotFoundError: as `train`.
        OSError: if the folder cannot be written, as when the disk is full.
    """
    check_prepared_target(Path(out))
    if not is_path(train):
        raise InputError("Expected files with the rows to prepare, got train in memory.")
    with only_preparing(), contextlib.suppress(Prepared):
        _train(
            model, task, train=train, validation=validation, prepared=out, report=report,
            settings=settings, **options,
        )  # fmt: skip
    folder = Path(out)
    if not any(folder.glob("rows-*")):
        raise InputError(
            "Expected a task whose rows can be prepared (classification, regression, translation, "
            f"language-modeling), got {task or DEFAULT_TASK}."
        )
    return folder


# `prepare` has an argument of that name.
_train = train


def _recipe(
    model: str | TransformerConfig | SeveralConfig | Recipe | None, task: Task | str | None,
    settings: Mapping[str, Any] | None, options: dict[str, Any], places: dict[str, Any],
    kinds: Sequence[str],
) -> Recipe:  # fmt: skip
    """Returns the recipe of a run.

    Args:
        model, task, settings, options: see `train`.
        places: locations of the data, see `data_options`.
        kinds: kinds of the rows, by which a model is chosen where none is named.
    """
    if isinstance(model, Recipe):
        return _changed(model, task, settings, options, places)
    given: dict[str, Any] = {}
    if isinstance(model, TransformerConfig | SeveralConfig):
        config = model.replace(**(settings or {}))
        model, settings = OWN_CONFIG, config.to_json()
        for name in ("vocab_size", "max_length"):
            # The config of a modality other than text has no vocabulary.
            given[name] = min(OPTIONS[name].default, getattr(config, name) or OPTIONS[name].default)
    elif model is not None and not isinstance(model, str):
        raise TypeError(
            f"Expected a name of the catalogue, a config or a recipe, got model={model!r}."
        )
    elif model is not None and is_start(model):
        _check_own_tokenizer(options)
        given |= FINE_TUNING
    task = DEFAULT_TASK if task is None else task
    if not isinstance(task, str | Task):
        raise TypeError(
            f"Expected a task such as Classification(), or the name of one, got task={task!r}."
        )
    kind = task_named(task) if isinstance(task, str) else task
    given |= {} if isinstance(task, str) else task.options()
    _check_names(options, kind.columns)
    if kind.fusion is not None and isinstance(model, str):
        model = completed(model, kinds)
    if model is None and kinds != ["text"] and kind.trains_on_any:
        given["model"] = PLUS.join(DEFAULT_MODELS[one] for one in kinds)
    for name, example in (("train", ""), ("validation", ", or a share such as 0.1")):
        if name not in places:
            raise InputError(
                f"Expected {name} to be a path or data in memory{example}, got {name}=None."
            )
    if not places["train"]:
        # Columns in memory need no name; they are named by their use.
        given = {use: use for use, column in kind.columns.items() if column == ""} | given
    given |= options
    if "validation_share" in places:
        given.setdefault("split_seed", given.get("seed", OPTIONS["seed"].default))
    if model is not None:
        given["model"] = model
    return Recipe.of_task(kind, **given, **places, settings=dict(settings or {}))


def _check_own_tokenizer(options: Mapping[str, Any]) -> None:
    """Raises InputError for an option of tokenizers beside a published model or a checkpoint."""
    for name, option in OPTIONS.items():
        if option.part == "tokenizer" and name in options and name != "prune_vocabulary":
            raise InputError(
                f"Expected no {name} for a trained model, which has its own tokenizer, got "
                f"{name}={options[name]!r}."
            )


def _changed(
    recipe: Recipe, task: Task | str | None, settings: Mapping[str, Any] | None,
    options: dict[str, Any], places: dict[str, Any],
) -> Recipe:  # fmt: skip
    if task is not None:
        raise TypeError(f"Expected no task beside a recipe, which has its own, got task={task!r}.")
    _check_names(options, recipe.data.columns)
    options = {**options, **places}
    if settings:
        options["settings"] = {**recipe.model.settings, **settings}
    return recipe.replace(**options)


def option_names(columns: Collection[str]) -> list[str]:
    """Returns the names of the options of a run on a task with these columns."""
    later = ("prune", "quantize", "distill")
    known = [name for name, option in OPTIONS.items() if option.part not in later]
    return [name for name in (*known, *columns) if name not in _ARGUMENTS]


def _check_names(options: Mapping[str, Any], columns: Mapping[str, Any]) -> None:
    """Raises TypeError if a name is no option of training, InputError if another task's column."""
    known = option_names(columns)
    for name, value in options.items():
        if name not in known and name in COLUMNS:
            raise InputError(
                f"Expected columns of the task ({', '.join(columns) or 'none'}), got "
                f"{name}={value!r}."
            )
        if name not in known:
            raise TypeError(
                f"Expected the options of a run among {', '.join(known)}, got {name}={value!r}."
            )
