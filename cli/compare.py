"""`keras-transformer compare`: files beside the checkpoint that they were converted from."""

import json
from pathlib import Path

import click

from keras_transformer.cli import options


@click.command()
@click.argument("checkpoint", type=click.Path(path_type=Path))
@click.argument(
    "files", metavar="FILE.tflite...", nargs=-1, required=True, type=options.EXISTING_FILE
)
@options.data(required=True)
@options.text(help="The column that holds the text; as in training by default.")
@options.text_pair(help="The column that holds the second text; as in training by default.")
@options.label(help="The column that holds the label; as in training by default.")
@options.threads()
@options.as_json()
def compare(
    checkpoint: Path,
    files: tuple[Path, ...],
    data: Path,
    text: str | None,
    text_pair: str | None,
    label: str | None,
    threads: int,
    as_json: bool,
) -> None:
    """Show how closely .tflite files follow their checkpoint.

    Every row of --data goes through the checkpoint's own forward pass and through each file, with
    the same padding. Give the quantized checkpoint for the int8 file that was made of it.

    Example: keras-transformer compare runs/intent runs/intent.tflite --data test.tsv
    """
    from keras_transformer.cli.display import table
    from keras_transformer.edge.compare import compare as compare_files
    from keras_transformer.zoo.data import load_examples
    from keras_transformer.zoo.trained import Trained

    trained = Trained.load(checkpoint)
    examples = load_examples(
        data,
        text=text or trained.recipe.text,
        text_pair=text_pair or trained.recipe.text_pair,
        label=label or trained.recipe.label,
        task=trained.task,
        labels=list(trained.labels) or None,
    )
    compared = compare_files(trained, files, examples, threads=threads)
    if as_json:
        value = {"files": [comparison.to_json() for comparison in compared]}
        click.echo(json.dumps(value, indent=2, ensure_ascii=False))
        return
    metric = compared[0].metric
    columns = (
        "file", "precision", metric, f"checkpoint's {metric}", "agreement",
        "largest difference", "in output steps", "MB",
    )  # fmt: skip
    rows = [
        (
            comparison.path,
            comparison.precision,
            f"{comparison.value:.4f}",
            f"{comparison.checkpoint_value:.4f}",
            _number(comparison.parity.agreement, ".2%"),
            f"{comparison.parity.largest:.3g}",
            _number(comparison.parity.steps, ".2f"),
            f"{comparison.size / 1e6:.2f}",
        )
        for comparison in compared
    ]
    table(f"{checkpoint} on {compared[0].parity.rows} rows of {data}", columns, rows)
    for comparison in compared:
        if comparison.num_truncated:
            click.echo(f"{comparison.num_truncated} rows were cut to fit {comparison.path}.")


def _number(value: float | None, form: str) -> str:
    return "-" if value is None else format(value, form)
