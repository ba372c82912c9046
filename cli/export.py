"""`keras-transformer export`: a checkpoint for other runtimes than LiteRT."""

from pathlib import Path

import click

from keras_transformer.cli import options
from keras_transformer.edge.precision import PRECISIONS
from keras_transformer.edge.targets.exported.export import FORMATS

KIND = "export"


@click.command()
@click.argument("checkpoint", type=click.Path(path_type=Path))
@click.option(
    "--format", "format_name", type=click.Choice(tuple(FORMATS)), required=True,
    help="What the runtime loads. onnx, torchscript and litertlm need the extras onnx, torch and "
    "litertlm.",
)
@click.option(
    "--precision", type=click.Choice(tuple(PRECISIONS)),
    help="What a litertlm file stores.  [default: float32, or that of a quantized checkpoint]",
)
@options.out(
    help="The folder to write, with the model, its tokenizer, labels.txt and model.json, which "
    "names what each graph reads and gives; one that exists is refused without --overwrite."
)
@options.overwrite()
def export(
    checkpoint: Path, format_name: str, precision: str | None, out: Path, overwrite: bool
) -> None:
    """Write a CHECKPOINT as a folder for another runtime than LiteRT.

    The folder is written only once that runtime has loaded it and given what Keras gives, on rows
    of the validation data and in batches of several sizes. Of a model that generates, it holds
    `encode`, if there is a source, and `decode` over caches.

    A litertlm file is a decoder's, with its tokenizer in it, in the precisions of `convert`.

    Example: keras-transformer export my_model --format onnx --out my_model_onnx
    """  # fmt: skip
    from keras_transformer.cli import display
    from keras_transformer.edge.targets.exported import export as edge_export
    from keras_transformer.zoo.checkpoint import Checkpoint
    from keras_transformer.zoo.files import check_folder_target, write_folder

    check_folder_target(out, overwrite=overwrite, kind=KIND)
    exported = edge_export.export(Checkpoint.load(checkpoint), format_name, precision)
    write_folder(out, exported.files, overwrite=overwrite, kind=KIND)
    rows = [(name, display.size(len(data))) for name, data in exported.files.items()]
    display.table(None, ("File", "Size"), rows)
    click.echo()
    display.table(None, ("Compared with Keras", "Value"), list(exported.measured.items()))
    click.echo(f"\nWrote {out}")
