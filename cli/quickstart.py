"""`keras-transformer quickstart`: from generated data to a measured int8 file."""

import shlex
from pathlib import Path
from typing import TYPE_CHECKING

import click

from keras_transformer.cli import options

if TYPE_CHECKING:
    from keras_transformer.edge.quickstart.quickstart import Quickstart

TASKS = ("dates", "languages")


@click.command()
@click.option(
    "--task", type=click.Choice(TASKS), default="dates", show_default=True,
    help="Convert dates to ISO 8601, or identify the language of a name.",
)
@options.out(default="quickstart", required=False, show_default=True)
@options.overwrite()
@options.seed()
def quickstart(task: str, out: Path, overwrite: bool, seed: int) -> None:
    """Train, quantize, convert and measure a small model on generated data.

    Generates the data from Babel's CLDR tables, trains a model, fine-tunes it with simulated int8,
    converts both, and evaluates the models, the files and a baseline on the whole test split. Takes
    three to four minutes on two cores. The data, the checkpoints and the files are written to
    --out.

    `dates` trains an encoder-decoder that converts dates as people in 12 locales write them to ISO
    8601. `languages` trains an encoder that identifies the language of a name among 12; n-gram
    regression is better at it, and it serves as an example of a classifier.

    Example: keras-transformer quickstart

    A classifier: keras-transformer quickstart --task languages --out languages
    """
    from keras_transformer.cli import display
    from keras_transformer.cli.memory import keep_freed_memory

    keep_freed_memory()
    from keras_transformer.edge.quickstart import dates, languages
    from keras_transformer.edge.quickstart.quickstart import quickstart as run

    jobs = {"dates": dates.JOB, "languages": languages.JOB}
    with display.Progress() as progress:
        result = run(jobs[task], out, seed=seed, overwrite=overwrite, report=progress)
    show(result)
    display.say(f"\nThe file to put in an app: {result.app_file.resolve()}\nGo on with:")
    for command in next_commands(result):
        display.say(f"  {command}")


def show(result: "Quickstart") -> None:
    """Prints the table and the sample predictions."""
    from keras_transformer.cli import display

    names = list(result.rows[0].metrics)
    rows = [
        (
            row.name,
            *(f"{row.metrics[name]:.2%}" for name in names),
            None if row.agreement is None else f"{row.agreement:.2%}",
            None if row.size is None else display.size(row.size),
            None if row.median_ms is None else f"{row.median_ms:.2f}",
        )
        for row in result.rows
    ]
    columns = ("model", *map(display.words, names), "agreement", "size", "latency ms")
    display.table(f"{result.title}: {result.test_rows} test rows", columns, rows)
    display.say(
        "agreement: same answer as the Keras model that the file was made from; "
        f"latency: median of one text on one thread, {result.device}.\n"
    )
    display.table(f"Predictions of {result.app_file.name}", ("text", "prediction"), result.samples)


def next_commands(result: "Quickstart") -> list[str]:
    """Returns commands to continue with after a run."""
    folder, file = result.folder, result.app_file
    arguments = (
        ("run", file, result.samples[0][0]),
        ("compare", folder / "int8", file, "--data", folder / "data" / "test.tsv"),
        ("search", folder / "float", "--data", folder / "data" / "validation.tsv",
         "--out", folder / "search"),
        ("demo", file),
        ("train", "--recipe", folder / "float" / "recipe.json", "--train", "YOURS.tsv",
         "--validation", "DEV.tsv", "--out", "mine"),
    )  # fmt: skip
    return [shlex.join(("keras-transformer", *map(str, words))) for words in arguments]
