"""`keras-transformer quantize`: quantization-aware training of a checkpoint."""

from pathlib import Path
from typing import Any

import click

from keras_transformer.cli import kinds, options, training
from keras_transformer.edge.precision import TRAINED_PRECISIONS
from keras_transformer.zoo.recipe import CHOICES


@click.command()
@click.argument("checkpoint", type=click.Path(path_type=Path))
@click.option(
    "--precision",
    type=click.Choice(TRAINED_PRECISIONS),
    default="int8",
    show_default=True,
    help="Precision of the file to convert to.",
)
@options.keep()
@click.option(
    "--ranges", type=click.Choice(CHOICES["ranges"]),
    help="Method for ranges: tfmot's moving average, or gradients.  [default: moving-average]",
)
@click.option(
    "--freeze-ranges", type=kinds.NUMBER, metavar="SHARE",
    help="Final share of the steps in which ranges are frozen; 1 keeps the calibrated ranges.  "
    "[default: 0.2]",
)
@options.percentile()
@options.range_method()
@options.smooth(default="none", show_default=True)
@options.share(
    default=1.0, help="Share of the loss on the float model's outputs; the rest is the labels'."
)
@options.temperature()
@training.going_on(
    data="the checkpoint's", epochs="a fifth of the recipe's",
    learning_rate="a twentieth of the recipe's",
)  # fmt: skip
def quantize(checkpoint: Path, **given: Any) -> None:
    """Fine-tune a float CHECKPOINT with simulated quantization (QAT).

    `convert` writes a file of the same precision from the new checkpoint.

    Example: keras-transformer quantize my_model --train train.tsv --out my_model_int8
    """
    with training.spread_by(given):
        from keras_transformer.edge.quantize import qat

        quantized, had_ended = training.go_on(qat.quantize, checkpoint, **given)
        training.print_result(given["out"], quantized.metrics["validation"], had_ended=had_ended)
