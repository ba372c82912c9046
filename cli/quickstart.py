"""`keras-transformer quickstart`: the whole way on data made on the spot."""

from pathlib import Path

import click

from keras_transformer.cli import options


@click.command()
@options.out(default="quickstart", required=False, show_default=True)
@options.overwrite()
@options.seed()
def quickstart(out: Path, overwrite: bool, seed: int) -> None:
    """Go the whole way, from made data to a measured int8 file.

    Makes the language identification data from Babel's CLDR tables, trains a small encoder, trains
    it on with simulated int8, converts it to every precision, and measures each file on the whole
    test split beside a character n-gram baseline. Takes a few minutes on two cores.

    Example: keras-transformer quickstart --out quickstart
    """
    from keras_transformer.cli.display import Progress, table
    from keras_transformer.edge.quickstart import quickstart as run

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
