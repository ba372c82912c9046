"""`keras-transformer compare`: files compared with the checkpoint they were converted from."""

from pathlib import Path
from typing import Any

import click

from keras_transformer.cli import generation, kinds, options


@click.command()
@click.argument("checkpoint", type=click.Path(path_type=Path))
@click.argument(
    "files", metavar="FILE.tflite...", nargs=-1, required=True, type=click.Path(path_type=Path)
)
@options.data(required=True)
@options.columns
@click.option(
    "--layers", is_flag=True,
    help="Show the differences layer by layer instead.",
)
@click.option(
    "--significance", is_flag=True,
    help="Test whether the models differ beyond chance instead; each may be any of the task.",
)
@click.option(
    "--samples", type=kinds.IntegerRange(min=100), metavar="N",
    help="Number of samples of the bootstrap.  [default: 1000]",
)
@click.option(
    "--sample-seed", type=kinds.IntegerRange(min=0), metavar="N",
    help="Seed of the bootstrap.  [default: 0]",
)
@generation.decoding_options
@options.head()
@options.threads()
@options.as_json()
def compare(
    checkpoint: Path, files: tuple[Path, ...], data: Path, layers: bool, significance: bool,
    samples: int | None, sample_seed: int | None, head: str | None, threads: int, as_json: bool,
    **given: Any,
) -> None:  # fmt: skip
    """Show how closely .tflite files follow their checkpoint.

    Every row of --data is run through the checkpoint's own forward pass and through each file, with
    the same padding. Compare an int8 file with the quantized checkpoint that it was converted from.
    For translators the generated texts are compared, and sacrebleu's signature of their BLEU is
    shown; for masked language models the pieces of --data that are masked, or replaced. A language
    model's files are not compared: `evaluate` each instead.

    With --layers the output of every layer is compared, on the first rows of --data: the difference
    that the layer itself adds, and the difference accumulated up to it. The first layer that adds
    more than the precision explains is reported.

    With --significance every model is measured as it is, and its difference from CHECKPOINT in the
    deciding metric is shown with its 95 % interval, by a paired bootstrap of the rows, and for
    classifiers with McNemar's exact test. Then CHECKPOINT and each FILE may be any checkpoint or
    file of one task with the same labels.

    Example: keras-transformer compare runs/intent runs/intent.tflite --data test.tsv

    Two runs: keras-transformer compare runs/small runs/large --data test.tsv --significance
    """
    from keras_transformer.cli import display
    from keras_transformer.edge.compare import compare as edge_compare
    from keras_transformer.edge.runtime.runner import Runner
    from keras_transformer.zoo.backends import check_backend
    from keras_transformer.zoo.data.columns import columns_of
    from keras_transformer.zoo.pretrained.checkpoints import as_checkpoint
    from keras_transformer.zoo.training.run_data import read_inputs

    if significance:
        chosen = {"samples": samples, "sample_seed": sample_seed}
        _show_significance(checkpoint, files, data, layers, chosen, head, threads, as_json, given)
        return
    for name, value in (("samples", samples), ("sample-seed", sample_seed)):
        if value is not None:
            raise click.UsageError(f"Expected --{name} only with --significance, got {value}.")
    for file in files:
        kinds.EXISTING_FILE.convert(file, None, None)
    check_backend("compare --layers" if layers else "compare")
    trained = options.headed(as_checkpoint(checkpoint), head)
    opened = [options.headed(Runner(file, threads=threads), head) for file in files]
    decoding = generation.decoding_of(trained, given)
    columns = {name: given[name] for name in options.COLUMNS}
    if layers:
        language = decoding.pop("language", None)
        if decoding:
            option = next(iter(decoding)).replace("_", "-")
            raise click.UsageError(f"Expected no --{option} with --layers, which writes no text.")
        with display.busy(f"Comparing layers on {data}"):
            columns = columns_of(trained, data=data, **columns)
            inputs = read_inputs(trained, data, language=language, **columns)
            found = edge_compare.compare_layers(trained, opened, inputs)
        _show_layers(checkpoint, found, as_json)
        return
    with display.busy(f"Comparing on {data}"):
        compared = edge_compare.compare(trained, opened, data, **{**columns, **decoding})
    if as_json:
        display.say_json({"files": [comparison.to_json() for comparison in compared]})
        return
    display.grids(compared, title=f"{checkpoint} on {data}, {compared.conditions}")
    for comparison in compared:
        if comparison.num_truncated:
            display.say(f"{comparison.num_truncated} rows were cut to fit {comparison.path}.")
        if comparison.same_weights is False:
            display.note(
                f"{comparison.path} was made from other weights than those of {checkpoint}: of "
                "another model, or of one that was trained on, rotated or pruned since."
            )


def _show_significance(
    checkpoint: Path, files: tuple[Path, ...], data: Path, layers: bool, chosen: dict[str, Any],
    head: str | None, threads: int, as_json: bool, given: dict[str, Any],
) -> None:  # fmt: skip
    from keras_transformer.cli import display
    from keras_transformer.edge.compare.significance import significance
    from keras_transformer.edge.load import load

    if layers:
        raise click.UsageError("Expected --layers or --significance, got both.")
    paths = (checkpoint, *files)
    models = [options.headed(load(path, threads=threads), head) for path in paths]
    decoding = generation.decoding_of(models[0], given)
    columns = {name: given[name] for name in options.COLUMNS}
    named = {name: value for name, value in chosen.items() if value is not None}
    with display.busy(f"Testing differences on {data}"):
        found = significance(
            models, data, names=[str(path) for path in paths], **named,
            **{**columns, **decoding},
        )  # fmt: skip
    if as_json:
        display.say_json({"first": found.first, "models": [one.to_json() for one in found]})
        return
    display.grids(found, title=f"{data}, {found.conditions}")


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
