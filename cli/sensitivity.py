"""`keras-transformer sensitivity`: the accuracy that quantizing each group of layers costs."""

from pathlib import Path
from typing import Any

import click

from keras_transformer.cli import kinds, options
from keras_transformer.edge.precision import TRAINED_PRECISIONS


@click.command()
@click.argument("checkpoint", type=click.Path(path_type=Path))
@options.data(required=True, help="Labelled rows, pairs or text to measure the metric on.")
@click.option(
    "--precision", type=click.Choice(TRAINED_PRECISIONS), default="int8", show_default=True,
    help="Precision to simulate.",
)
@click.option(
    "--max-drop", type=kinds.NUMBER, metavar="POINTS",
    help="Also find the fewest groups to keep in float for at most this loss: hundredths of "
    "accuracy or correlation, BLEU, perplexity.",
)
@click.option(
    "--calibration", type=kinds.EXISTING_DATA, metavar="FILE",
    help="Data to calibrate the ranges on.  [default: the training data]",
)
@click.option(
    "--plot", type=click.Path(dir_okay=False, path_type=Path), metavar="FILE",
    help="Plot the table to a .svg or .png file.",
)
@options.columns
@options.language()
@options.overwrite(help="Replace an existing --plot.")
@options.as_json()
def sensitivity(
    checkpoint: Path, data: Path, precision: str, plot: Path | None, overwrite: bool,
    as_json: bool, **given: Any,
) -> None:  # fmt: skip
    """Show which layers of a float CHECKPOINT cost accuracy when they are quantized.

    Each sublayer of each block, the embeddings and the head are quantized one at a time, with the
    others in float, in the Keras model that simulates the file.

    Example: keras-transformer sensitivity my_model --data validation.tsv --max-drop 0.5
    """
    from keras_transformer.cli import display
    from keras_transformer.cli.memory import keep_freed_memory
    from keras_transformer.edge.choose import sensitivity as edge_sensitivity
    from keras_transformer.edge.choose.figures import check_matplotlib
    from keras_transformer.zoo.backends import check_backend
    from keras_transformer.zoo.data.columns import columns_of
    from keras_transformer.zoo.pretrained.checkpoints import as_checkpoint
    from keras_transformer.zoo.storage.files import check_file_target, write_file

    check_backend("sensitivity")
    if plot is not None:
        if plot.suffix not in (".svg", ".png"):
            raise click.UsageError(f"Expected --plot to end in .svg or .png, got {plot.name}.")
        check_matplotlib()
        check_file_target(plot, overwrite=overwrite)
    keep_freed_memory()
    trained = as_checkpoint(checkpoint)
    columns = {name: given.pop(name) for name in options.COLUMNS}
    decoding = {"language": columns["language"]} if columns["language"] else {}
    with display.Progress() as progress:
        found = edge_sensitivity.sensitivity(
            trained, data, columns=columns_of(trained, data=data, **columns), precision=precision,
            report=progress, **given, **decoding,
        )  # fmt: skip
    if plot is not None:
        figure = edge_sensitivity.sensitivity_figure(found, plot.suffix[1:])
        write_file(plot, figure, overwrite=overwrite)
    if as_json:
        display.say_json(found.to_json())
        return
    display.grids(found, title=f"{checkpoint} on {data}")
    if found.kept is not None:
        display.say(f"\n{found.verdict()}")
    if plot is not None:
        display.say(f"\nWrote {plot}")
