"""`keras-transformer quickstart`: the whole way on data made on the spot."""

from pathlib import Path

import click

from keras_transformer.cli import options


@click.command()
@click.option(
    "--task", type=click.Choice(("languages", "dates")), default="languages", show_default=True,
    help="Which language a name is in, or which date is written.",
)
@options.out(default="quickstart", required=False, show_default=True)
@options.overwrite()
@options.seed()
def quickstart(task: str, out: Path, overwrite: bool, seed: int) -> None:
    """Go the whole way, from made data to a measured int8 file.

    Makes the data from Babel's CLDR tables, trains a small model, trains it on with simulated
    int8, converts it, and measures each file on the whole test split. `languages` trains an
    encoder that tells which language a name is in; `dates` an encoder-decoder that reads dates as
    people write them in 26 locales and writes ISO 8601. Takes a few minutes on two cores.

    Example: keras-transformer quickstart --task dates --out dates
    """
    from keras_transformer.cli.memory import keep_freed_memory

    keep_freed_memory()
    if task == "dates":
        run_dates(out, overwrite, seed)
    else:
        run_languages(out, overwrite, seed)


def run_dates(out: Path, overwrite: bool, seed: int) -> None:
    from keras_transformer.cli.display import Progress, size, table
    from keras_transformer.edge.quickstart.date_quickstart import date_quickstart

    with Progress() as progress:
        result = date_quickstart(out, seed=seed, overwrite=overwrite, report=progress)
    rows = [
        (
            row.name,
            f"{row.exact_match:.2%}",
            f"{row.worst[0]} {row.worst[1]:.1%}",
            "-" if row.agreement is None else f"{row.agreement:.2%}",
            "-" if row.size is None else size(row.size),
        )
        for row in result.rows
    ]
    columns = ("model", "exact match", "lowest locale", "agreement", "size")
    table(f"Date understanding, {result.test_rows} dates of days not trained on", columns, rows)
    click.echo("agreement: same text as the Keras model that the file was made from.\n")
    table(f"What {result.app_file.name} says", ("text", "date"), result.predictions)
    click.echo(f"\nThe file to put in an app: {result.app_file.resolve()}")


def run_languages(out: Path, overwrite: bool, seed: int) -> None:
    from keras_transformer.cli.display import Progress, table
    from keras_transformer.edge.quickstart.quickstart import quickstart as run

    with Progress() as progress:
        result = run(out, seed=seed, overwrite=overwrite, report=progress)
    rows = [
        (
            row.name,
            f"{row.accuracy:.2%}",
            f"{row.macro_f1:.3f}",
            "-" if row.agreement is None else f"{row.agreement:.2%}",
            "-" if row.size is None else f"{row.size / 1e6:.2f}",
            "-" if row.median_ms is None else f"{row.median_ms:.2f}",
        )
        for row in result.rows
    ]
    columns = ("model", "accuracy", "macro F1", "agreement", "size MB", "latency ms")
    table(f"Language identification, {result.test_rows} test names", columns, rows)
    click.echo(
        "agreement: same label as the Keras model that the file was made from; "
        f"latency: median of one text on one thread, {result.device}.\n"
    )
    predictions = [
        (text, prediction.label, f"{prediction.score:.1%}")
        for text, prediction in result.predictions
    ]
    table(f"What {result.app_file.name} says", ("text", "language", "probability"), predictions)
    click.echo(f"\nThe file to put in an app: {result.app_file.resolve()}")
