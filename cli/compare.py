"""`keras-transformer compare`: files compared with the checkpoint they were converted from."""

from pathlib import Path
from typing import Any

import click

from keras_transformer.cli import generation, options


@click.command()
@click.argument("checkpoint", type=click.Path(path_type=Path))
@click.argument(
    "files", metavar="FILE.tflite...", nargs=-1, required=True, type=options.EXISTING_FILE
)
@options.data(required=True)
@options.text(help="Column of the text.  [default: as in training]")
@options.text_pair(help="Column of the second text.  [default: as in training]")
@options.label(help="Column of the label.  [default: as in training]")
@options.source(help="Column of the source text.  [default: as in training]")
@options.target(help="Column of the target text.  [default: as in training]")
@click.option(
    "--layers", is_flag=True,
    help="Show the differences layer by layer instead.",
)
@generation.decoding_options
@options.threads()
@options.as_json()
def compare(
    checkpoint: Path, files: tuple[Path, ...], data: Path, layers: bool, threads: int,
    as_json: bool, **given: Any,
) -> None:  # fmt: skip
    """Show how closely .tflite files follow their checkpoint.

    Every row of --data is run through the checkpoint's own forward pass and through each file, with
    the same padding. Compare an int8 file with the quantized checkpoint that it was converted from.
    For translators the generated texts are compared, and sacrebleu's signature of their BLEU is
    shown. A language model's files are not compared: `evaluate` each instead.

    With --layers the output of every layer is compared, on the first rows of --data: the difference
    that the layer itself adds, and the difference accumulated up to it. The first layer that adds
    more than the precision explains is reported.

    Example: keras-transformer compare runs/intent runs/intent.tflite --data test.tsv
    """
    from keras_transformer.cli import display
    from keras_transformer.edge.compare import compare as edge_compare
    from keras_transformer.zoo.backends import check_backend
    from keras_transformer.zoo.data.columns import columns_of
    from keras_transformer.zoo.pretrained.checkpoints import as_checkpoint
    from keras_transformer.zoo.training.run_data import read_inputs

    check_backend("compare --layers" if layers else "compare")
    trained = as_checkpoint(checkpoint)
    decoding = generation.decoding_of(trained, given)
    columns = {name: given[name] for name in options.COLUMNS}
    if layers:
        language = decoding.pop("language", None)
        if decoding:
            option = next(iter(decoding)).replace("_", "-")
            raise click.UsageError(f"Expected no --{option} with --layers, which writes no text.")
        with display.busy(f"Comparing layers on {data}"):
            columns = columns_of(trained, **columns)
            inputs = read_inputs(trained, data, language=language, **columns)
            found = edge_compare.compare_layers(trained, files, inputs)
        _show_layers(checkpoint, found, as_json)
        return
    with display.busy(f"Comparing on {data}"):
        compared = edge_compare.compare(
            trained, files, data, threads=threads, **{**columns, **decoding}
        )
    if as_json:
        display.say_json({"files": [comparison.to_json() for comparison in compared]})
        return
    display.grids(compared, title=f"{checkpoint} on {data}, {compared.conditions}")
    for comparison in compared:
        if comparison.num_truncated:
            display.say(f"{comparison.num_truncated} rows were cut to fit {comparison.path}.")


def _show_layers(checkpoint: Path, found: dict[str, list], as_json: bool) -> None:
    from keras_transformer.cli import display

    if as_json:
        files = [
            {"path": path, "layers": [one.to_json() for one in differences]}
            for path, differences in found.items()
        ]
        display.say_json({"files": files})
        return
    columns = ("signature", "layer", "unit", "its own", "values that differ", "in all")
    for path, differences in found.items():
        rows = [
            (
                one.signature, one.layer, "steps" if one.is_integer else "relative",
                _amount(one, one.own), _number(one.share, ".2%"), _amount(one, one.total),
            )
            for one in differences
        ]  # fmt: skip
        display.table(f"Layers of {path}: largest differences from {checkpoint}", columns, rows)
        departing = [one for one in differences if one.departs]
        if departing:
            first = departing[0]
            unit = " steps" if first.is_integer else " of its size"
            display.say(
                f"{path} departs first at {first.layer} of {first.signature}, by "
                f"{_amount(first, first.own)}{unit}."
            )
        else:
            display.say(f"No layer of {path} departs from {checkpoint}.")


def _amount(layer: Any, value: float) -> str:
    return format(value, ".0f" if layer.is_integer else ".2g")


def _number(value: float | None, form: str) -> str:
    return "-" if value is None else format(value, form)
