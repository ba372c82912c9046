"""`keras-transformer quantize`: quantization-aware training of a checkpoint."""

from pathlib import Path
from typing import Any

import click

from keras_transformer.cli import options, training
from keras_transformer.edge.precision import TRAINED_PRECISIONS
from keras_transformer.zoo.recipe import CHOICES


@click.command()
@click.argument("checkpoint", type=click.Path(path_type=Path))
@click.option(
    "--precision",
    type=click.Choice(TRAINED_PRECISIONS),
    default="int8",
    show_default=True,
    help="Of the file that the checkpoint is for.",
)
@options.keep()
@click.option(
    "--ranges", type=click.Choice(CHOICES["ranges"]),
    help="How ranges move: by tfmot's moving average, or by gradients.  [default: moving-average]",
)
@click.option(
    "--freeze-ranges", type=float, metavar="SHARE",
    help="Share of the steps, the last ones, in which ranges stand still; 1 keeps what calibration "
    "gave.  [default: 0.2]",
)
@options.percentile()
@training.going_on(
    data="the checkpoint's", epochs="a fifth of the recipe's",
    learning_rate="a twentieth of the recipe's",
)  # fmt: skip
def quantize(checkpoint: Path, **given: Any) -> None:
    """Train a float CHECKPOINT on with simulated rounding (QAT).

    The new checkpoint folder is what `convert` makes a file of the same precision of.

    Example: keras-transformer quantize my_model --train train.tsv --out my_model_int8
    """
    from keras_transformer.edge.quantize import qat

    quantized = training.go_on(qat.quantize, checkpoint, **given)
    training.print_result(given["out"], quantized.metrics["validation"])
