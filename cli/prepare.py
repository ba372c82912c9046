"""`keras-transformer prepare`: data of any size, tokenized once for many runs."""

from pathlib import Path
from typing import Any

import click

from keras_transformer.cli import kinds, options
from keras_transformer.cli.recipe_options import chosen_options
from keras_transformer.cli.train import DATA, settings_of
from keras_transformer.zoo.tasks.registry import ALIASES, DEFAULT_TASK, TASKS

# What decides the rows and their tokens.
_OPTIONS = (
    "tokenizer", "vocab_size", "vocabulary_rows", "normalization", "max_length", "seed",
)  # fmt: skip
_SWITCHES = ("lowercase", "strip_accents", "shared_vocabulary")


@click.command()
@click.argument("model", required=False)
@click.option(
    "--task", type=click.Choice((*TASKS, *ALIASES)),
    help=f"Task of the model.  [default: {DEFAULT_TASK}]",
)
@click.option(
    "--train", type=DATA, metavar="FILES", required=True,
    help="Training data as for train: a table, a plain text, a pattern of several such as "
    "'shards/*.jsonl.gz', or a folder of images or sounds.",
)
@click.option(
    "--validation", type=kinds.FileOrShare(str), metavar="FILE|SHARE", required=True,
    help="Validation data, or a share of the training data such as 0.1.",
)
@options.text(help="Column of the text.  [default: text]")
@options.text_pair()
@options.image(help="Column of the images' paths.  [default: image]")
@options.audio(help="Column of the sounds' paths.  [default: audio]")
@options.label(help="Column of the labels.  [default: label]")
@options.source(help="Column of a translation's source text.")
@options.target(help="Column of a translation's target text; several for one model, such as de,fr.")
@click.option(
    "--out-of-scope", type=DATA, metavar="FILE",
    help="Rows that a classification is to reject, as with train.",
)
@click.option(
    "--out", type=click.Path(file_okay=False, path_type=Path), required=True, metavar="DIR",
    help="Folder of the prepared data; what it holds already is not made again.",
)
@click.option(
    "--vocabulary", type=kinds.ExistingFile(str), metavar="FILE",
    help="Existing vocab.txt to use instead of learning a vocabulary.",
)
@chosen_options(_OPTIONS, _SWITCHES)
@click.option(
    "--set", "settings", type=kinds.TEXT, multiple=True, metavar="KEY=VALUE",
    callback=settings_of, help="Change a setting of the model; may be repeated.",
)
def prepare(out: Path, settings: dict[str, Any], **given: Any) -> None:
    """Prepare much data for MODEL once: tables, vocabulary and tokens, which runs map.

    All cores tokenize. Runs with the same files and options read the folder:
    keras-transformer train MODEL ... --prepared DIR

    Example: keras-transformer prepare bert_tiny --train 'shards/*.jsonl.gz' --validation dev.tsv
    --text sentence --label label --out prepared
    """
    from keras_transformer.cli import display
    from keras_transformer.zoo.training import train as zoo_train

    changes = {name: value for name, value in given.items() if value is not None}
    with display.Progress() as progress:
        zoo_train.prepare(**changes, settings=settings, out=out, report=progress)
    size = sum(file.stat().st_size for file in out.rglob("*") if file.is_file())
    display.say(f"{out} holds {size / 1e6:,.1f} MB of prepared data.")
