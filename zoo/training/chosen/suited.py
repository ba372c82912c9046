"""The options of a run that its training data choose, where the user chose none."""

from collections.abc import Collection, Mapping
from typing import Any

from keras_transformer.zoo.data.plain_text import PlainText
from keras_transformer.zoo.data.rows import sampled
from keras_transformer.zoo.models.fused_config import Config, members_of
from keras_transformer.zoo.pretrained.checkpoints import SMALL, fine_tuning_defaults
from keras_transformer.zoo.progress import Report
from keras_transformer.zoo.recipe import Recipe
from keras_transformer.zoo.suited.texts import bounded, uncut_length
from keras_transformer.zoo.tasks.task import Task
from keras_transformer.zoo.tokenizers.normalizers.scripts import spaces_words

# Rows of a batch of inputs of one size.
_ROWS_OF_A_BATCH = 64
# What a learned vocabulary of words decides, and other tokenizers do not.
_OF_WORDS = ("vocab_size", "max_length")
# Rows that a fine-tuning reads in all its epochs, the epochs that this may be, and those without a
# better one after which it stops.
_ROWS_READ, _EPOCHS, _PATIENCE = 100_000, (3, 10), 2
# Learning rate of adapters over that of all weights (Schulman et al. 2025, LoRA Without Regret).
_LORA_RATE = 10
# That of a small model from scratch. Weights that such a run has learned are not the narrow optimum
# of a long one on much text, which this rate would leave; adapters begin at zero beside them.
_SCRATCH_RATE = 1e-3


def suited(
    recipe: Recipe, config: Config, task: Task, train: Any, chosen: Collection[str],
    report: Report,
) -> Recipe:  # fmt: skip
    """Returns the recipe with the options that suit the training examples, and reports them.

    Args:
        recipe: recipe of the run.
        config: config of its model.
        task: task of the run.
        train: training examples.
        chosen: names of the options and of the model's settings that stay as they are.
        report: receives a note.
    """
    values = {"model": recipe.model.name, **task.suited(train, recipe.model.settings)}
    settings = {
        name: value for name, value in values.pop("settings", {}).items()
        # What is chosen for all kinds is chosen for each.
        if not {name, name.rpartition(".")[2]} & {*chosen}
    }
    if "vocab_size" in values:
        values["vocab_size"] = min(values["vocab_size"], config.vocab_size)
        values["max_length"] = min(values["max_length"], config.max_length)
    for one in members_of(config):
        # Convolutions have no patches, and patches as high as they are wide no number of frames.
        unused = {
            name for by, name in (("convolutions", "patch"), ("patch_mels", "patch_frames"))
            if one.modality_settings.get(by)
        }  # fmt: skip
        settings = {
            name: value for name, value in settings.items() if name.split(".")[-1] not in unused
        }
    found = [one.positions_of_rows for one in members_of(config.replace(**settings))]
    if positions := max((one for one in found if one is not None), default=0):
        values["batch_tokens"] = _ROWS_OF_A_BATCH * positions
    fixed = {*chosen, *(["epochs"] if recipe.training.steps else ())}
    if "optimizer" in chosen:
        # The decay is the suited optimizer's.
        fixed.add("weight_decay")
    if config.vocab_size:
        fixed |= set(() if _learns_words(recipe, task, train) else _OF_WORDS)
    values = {name: value for name, value in values.items() if name not in fixed}
    return _changed(recipe, values, settings, train, report)


def suited_to_start(
    recipe: Recipe, start: Any, task: Task, train: Any, chosen: Collection[str],
    report: Report,
) -> Recipe:  # fmt: skip
    """Returns the recipe with the options that suit a start from trained weights.

    Args:
        recipe, task, train, chosen, report: see `suited`.
        start: `Start` that the run begins with; its pooling stays.
    """
    defaults, why = fine_tuning_defaults(start), ""
    if recipe.training.lora:
        defaults["learning_rate"] *= _LORA_RATE
    elif start.from_nothing and start.parameters < SMALL:
        defaults["learning_rate"] = _SCRATCH_RATE
        if "learning_rate" not in chosen:
            why = (
                f" Its {start.parameters:,} weights were learned from nothing, so "
                "the learning rate is that of a run from scratch."
            )
    values = {
        **defaults, "warmup": 0.1, "patience": _PATIENCE,
        "epochs": _EPOCHS[0] if isinstance(train, PlainText)
        else bounded(_ROWS_READ / len(train), _EPOCHS),
    }  # fmt: skip
    if start.config.architecture == "encoder" and start.config.vocab_size:
        modality, some = start.modality(start.max_length), sampled(train, _ROWS_READ)
        if modality.name == "text":
            rows = next(iter(task.inputs(some, modality).values()))
        else:
            rows = modality.text.encode(modality.texts_of(some.texts)).columns["ids"]
        values["max_length"] = uncut_length(list(map(len, rows)), start.max_length)
    fixed = {*chosen, *(["epochs", "patience"] if recipe.training.steps else ())}
    values = {name: value for name, value in values.items() if name not in fixed}
    settings = {} if "dropout" in chosen else {"dropout": 0.1}
    return _changed(recipe, values, settings, train, report, why)


def _changed(
    recipe: Recipe, values: Mapping[str, Any], settings: Mapping[str, Any], train: Any,
    report: Report, why: str = "",
) -> Recipe:  # fmt: skip
    if not values and not settings:
        return recipe
    data = "training text suits" if isinstance(train, PlainText) else (
        f"{len(train)} training rows suit"
    )
    shown = ", ".join(f"{name} {value}" for name, value in {**values, **settings}.items())
    report.note(f"The {data} {shown}; options of yours take precedence.{why}")
    return recipe.replace(**values, settings={**recipe.model.settings, **settings})


def _learns_words(recipe: Recipe, task: Task, train: Any) -> bool:
    """Whether the run learns a vocabulary of word pieces from texts with spaces."""
    given = recipe.tokenizer
    if given.kind not in ("auto", "wordpiece") or given.vocabulary:
        return False
    some = sampled(train, _ROWS_READ)
    return all(spaces_words(part) for part in task.vocabulary_texts(some).values())
