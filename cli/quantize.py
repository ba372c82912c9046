"""`keras-transformer quantize`: quantization-aware training of a checkpoint."""

from pathlib import Path
from typing import Any

import click

from keras_transformer.cli import options, training


@click.command()
@click.argument("checkpoint", type=click.Path(path_type=Path))
@click.option(
    "--train", type=options.EXISTING_FILE, metavar="FILE",
    help="Training examples.  [default: those of the checkpoint's recipe]",
)
@click.option(
    "--validation", type=options.EXISTING_FILE, metavar="FILE",
    help="Validation examples.  [default: those of the checkpoint's recipe]",
)
@click.option(
    "--epochs", type=click.IntRange(min=1),
    help="Passes over the training data.  [default: a fifth of the recipe's]",
)
@click.option(
    "--learning-rate", type=float,
    help="At its peak.  [default: a twentieth of the recipe's]",
)
@options.seed(default=None, show_default=False, help="[default: the recipe's]")
@options.out()
@options.overwrite()
@options.resume()
@options.tensorboard()
def quantize(
    checkpoint: Path, out: Path, overwrite: bool, resume: bool, tensorboard: Path | None,
    **given: Any,
) -> None:  # fmt: skip
    """Train a float CHECKPOINT on with simulated int8 (QAT).

    The new checkpoint folder is what `convert --precision int8` makes a file of.

    Example: keras-transformer quantize my_model --train train.tsv --out my_model_int8
    """
    from keras_transformer.edge import qat
    from keras_transformer.zoo.checkpoint import check_folder_target
    from keras_transformer.zoo.trained import Trained

    check_folder_target(out, overwrite=overwrite)
    changes = {name: value for name, value in given.items() if value is not None}
    trained = Trained.load(checkpoint)
    with training.session(out, tensorboard) as hearers:
        quantized = qat.quantize(
            trained, out, resume=resume, overwrite=overwrite, **hearers, **changes
        )
    training.print_result(out, quantized.metrics["validation"])
