"""`keras-transformer train`: training of a model of the catalogue on your own data."""

import json
from functools import partial
from pathlib import Path
from typing import Any

import click

from keras_transformer.cli import kinds, options, training
from keras_transformer.cli.recipe_options import recipe_options
from keras_transformer.cli.spread import SPREAD, run_spread, spread_options
from keras_transformer.zoo.recipe import Recipe
from keras_transformer.zoo.recipe.training_data import data_options
from keras_transformer.zoo.tasks.registry import ALIASES, DEFAULT_TASK, TASKS

MIXED = {"none": "float32", "bfloat16": "mixed_bfloat16", "float16": "mixed_float16"}

def settings_of(_context: Any, _parameter: Any, pairs: tuple[str, ...]) -> dict[str, Any]:
    """Parses `KEY=VALUE` pairs: a value is JSON, or else text."""
    settings = {}
    for pair in pairs:
        key, equals, value = pair.partition("=")
        if not key or not equals:
            raise click.BadParameter(f"Expected KEY=VALUE, got {pair!r}.")
        try:
            settings[key] = json.loads(value)
        except RecursionError:
            raise click.BadParameter(f"Expected VALUE of few brackets, got {pair!r}.") from None
        except ValueError:
            settings[key] = value
    return settings


DATA_FILE, DATA = kinds.ExistingFile(str), kinds.ExistingData(str, remote=True)


@click.command()
@click.argument("model", required=False)
@click.option(
    "--task", type=click.Choice((*TASKS, *ALIASES)),
    help="Task of the model; "
    + ", ".join(f"{alias} is another name of {name}" for alias, name in ALIASES.items())
    + f".  [default: {DEFAULT_TASK}]",
)
@click.option(
    "--train", type=DATA, metavar="FILE",
    help="Training data with a header: .tsv, .csv or .jsonl, plain or .gz, .parquet or .arrow, or "
    "a pattern of several such as 'shards/*.jsonl.gz', also at an address such as s3:// or "
    "https://; for images and sounds also a folder with a folder for each class, or arrays in "
    ".npz; for language-modeling and masked-language-modeling plain text; for "
    "token-classification .conll, .conllu or .jsonl; for question-answering .json or .jsonl.",
)
@click.option(
    "--validation", type=kinds.FileOrShare(str), metavar="FILE|SHARE",
    help="Validation data, or a share of the training data such as 0.1; the epoch that is "
    "best on them is kept.",
)
@options.text(help="Column of the text; of the words in CoNLL, by number.  [default: text]")
@options.text_pair()
@options.image(
    help="Column of the images: paths within the folder of the table, or arrays in .npz.  "
    "[default: image]"
)
@options.audio(
    help="Column of the sounds: paths within the folder of the table, or arrays in .npz.  "
    "[default: audio]"
)
@options.label(
    help="Column of the labels: names, integers, or numbers to predict; of the tags in CoNLL, by "
    "number.  [default: label]"
)
@options.fusion()
@click.option(
    "--negative", type=kinds.TEXT, metavar="COLUMN",
    help="Column of a text that does not match the first (embedding with --objective ranking).",
)
@options.source(help="Column of a translation's source text.")
@options.target(help="Column of a translation's target text; several for one model, such as de,fr.")
@click.option(
    "--out-of-scope", type=DATA, metavar="FILE",
    help="Rows that a classification is to reject: with the validation rows they decide below "
    "which --scope-score a prediction has no label.",
)
@click.option(
    "--tasks", type=DATA_FILE, metavar="FILE",
    help="Table of several tasks for one model, in JSON, in place of --task, --train, "
    "--validation and columns: for each task an object with task, train, validation, and what else "
    "differs from the defaults.",
)
@click.option(
    "--prepared", type=click.Path(file_okay=False, path_type=Path), metavar="DIR",
    help="Folder of prepared data, see keras-transformer prepare.  [default: beside --out, and "
    "gone when the run ends]",
)
@options.out()
@options.overwrite()
@options.resume()
@options.tensorboard()
@options.log()
@options.profile()
@options.peak()
@click.option(
    "--recipe", "recipe_file", type=kinds.EXISTING_FILE, metavar="FILE",
    help="Repeat the run of a recipe.json; other options override it.",
)
@click.option(
    "--baseline/--no-baseline", default=True, show_default=True,
    help="Whether a classification is compared with n-grams fitted to the same data.",
)
@click.option(
    "--vocabulary", type=DATA_FILE, metavar="FILE",
    help="Existing vocab.txt to use instead of learning a vocabulary.",
)
@options.prune_vocabulary(
    type=DATA_FILE,
    help="Text file for a published model: pieces of its vocabulary that neither its lines nor the "
    "training rows need leave the model; other texts are read in smaller pieces.",
)
@recipe_options
@spread_options
@click.option(
    "--mixed-precision", type=click.Choice(tuple(MIXED)),
    help="Compute in 16 bits with 32-bit weights.  [default: none]",
)
@click.option(
    "--set", "settings", type=kinds.TEXT, multiple=True, metavar="KEY=VALUE",
    callback=settings_of,
    help="Change a setting of the model, such as dropout=0.3; may be repeated.",
)
def train(
    out: Path, resume: bool, tensorboard: Path | None, log: Path | None, profile: Path | None,
    **given: Any,
) -> None:  # fmt: skip
    """Train a MODEL on your own data: of the catalogue, or from the weights of a trained one.

    Without MODEL the catalogue's one that suits the task and the number of rows is trained.

    A trained one is a checkpoint folder, or a published model: a folder that transformers wrote, a
    .safetensors file beside its config.json, or hf:OWNER/NAME[@REVISION].

    Writes a checkpoint folder with the best weights, the tokenizer, the labels and recipe.json.

    Example: keras-transformer train bert_tiny --train train.tsv --validation dev.tsv --text
    sentence --label label --out my_model

    A published model with a vocabulary for texts of one kind: keras-transformer train
    hf:OWNER/NAME --train train.tsv --validation dev.tsv --prune-vocabulary texts.txt --out my_model

    A translator: keras-transformer train transformer_tiny --task translation --train train.tsv
    --validation dev.tsv --source en --target de --out translator

    An adapter: keras-transformer train hf:sentence-transformers/all-MiniLM-L6-v2 --lora 8 --adapter
    --train train.tsv --validation dev.tsv --out my_adapter

    A tagger: keras-transformer train bert_mini --task token-classification --train train.conll
    --validation dev.conll --out tagger

    Vectors for search: keras-transformer train bert_mini --task similarity --objective ranking
    --train pairs.tsv --validation 0.1 --text question --text-pair answer --out finder

    Several tasks in one model: keras-transformer train bert_mini --tasks tasks.json --out assistant

    A language model: keras-transformer train gpt_tiny --task language-modeling --train train.txt
    --validation dev.txt --out writer

    Images: keras-transformer train vit_tiny --train photos/train --validation photos/dev --out
    photos_model

    Sounds: keras-transformer train kwt_tiny --train clips/train --validation clips/dev --out words

    Questions about images, with an encoder of each: keras-transformer train cct_2+bert_tiny --train
    train.tsv --validation dev.tsv --image path --text question --label answer --fusion cross --out
    answerer

    Images and captions that match: keras-transformer train cct_2+bert_tiny --task contrastive
    --train pairs.tsv --validation dev.tsv --image image --text caption --out clip

    An encoder that has read plain text first: keras-transformer train bert_mini --task
    masked-language-modeling --train texts.txt --validation 0.05 --out pretrained; then
    keras-transformer train ./pretrained --train train.tsv --validation dev.tsv --out my_model
    """
    places = {name: given.pop(name) for name in SPREAD}
    run = {**arguments_of(**given), "profile": profile}
    work = partial(run_here, run, out, tensorboard, log)
    run_spread(work, out=out, resume=resume, **places)


def arguments_of(
    *, overwrite: bool, peak: float | None, recipe_file: Path | None, tasks: str | None,
    baseline: bool, mixed_precision: str | None, settings: dict[str, Any], fusion: str | None,
    **given: Any,
) -> dict[str, Any]:  # fmt: skip
    """Returns the arguments of `zoo.training.train.train` that values of the options make."""
    changes = {name: value for name, value in given.items() if value is not None}
    settings = settings | ({} if fusion is None else {"fusion": fusion})
    if tasks is not None:
        changes |= of_table(tasks, changes)
    if mixed_precision is not None:
        changes["dtype"] = MIXED[mixed_precision]
    # That of the data's place in this run, which is no option of a recipe.
    prepared = changes.pop("prepared", None)
    run = {"model": recipe_of(recipe_file, changes)} if recipe_file is not None else changes
    for name in ("train", "validation") if recipe_file is None else ():
        if name not in run:
            raise click.UsageError(f"Missing option '--{name}'.")
    return run | {
        "settings": settings, "overwrite": overwrite, "baseline": baseline, "prepared": prepared,
        "peak": None if peak is None else 1e12 * peak,
    }  # fmt: skip


def run_here(
    run: dict[str, Any], out: Path, tensorboard: Path | None, log: Path | None, *, resume: bool
) -> None:
    """Trains in this process, the only one or one of several.

    Args:
        run: arguments of `zoo.training.train.train`.
        out, tensorboard, log, resume: options of the command.
    """
    from keras_transformer.zoo.distributed.devices import is_writer
    from keras_transformer.zoo.training import train as zoo_train

    with training.session(out, tensorboard, log) as hearers:
        trained = zoo_train.train(**run, out=out, resume=resume, **hearers)
    if not is_writer():
        return
    training.print_result(
        out, trained.metrics["validation"], trained.metrics.get("baseline"),
        had_ended=hearers["report"].had_ended,
        is_pretrained=bool(trained.recipe.model.published),
    )  # fmt: skip


def of_table(tasks: str, given: dict[str, Any]) -> dict[str, Any]:
    """Returns the options of a run on several tasks, whose table names their data."""
    for name in ("task", "train", *options.COLUMNS, "negative", "out_of_scope"):
        if name in given:
            raise click.UsageError(
                f"Expected no --{name.replace('_', '-')} beside --tasks, whose file says it for "
                "each task."
            )
    from keras_transformer.zoo.tasks.multi_task.multi_task import MultiTask

    return {"task": MultiTask.name, "train": tasks, "validation": given.get("validation", tasks)}


def recipe_of(file: Path, changes: dict[str, Any]) -> Recipe:
    """Returns the recipe of a file, overridden by the given options."""
    places = data_options(**{name: changes.pop(name, None) for name in ("train", "validation")})
    return Recipe.from_file(file, tasks=TASKS, **changes, **places)
