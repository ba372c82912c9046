"""`keras-transformer quantize`: quantization-aware training of a checkpoint."""

from pathlib import Path
from typing import Any

import click

from keras_transformer.cli import training


@click.command()
@click.argument("checkpoint", type=click.Path(path_type=Path))
@training.going_on(
    data="the checkpoint's", epochs="a fifth of the recipe's",
    learning_rate="a twentieth of the recipe's",
)  # fmt: skip
def quantize(checkpoint: Path, **given: Any) -> None:
    """Train a float CHECKPOINT on with simulated int8 (QAT).

    The new checkpoint folder is what `convert --precision int8` makes a file of.

    Example: keras-transformer quantize my_model --train train.tsv --out my_model_int8
    """
    from keras_transformer.edge import qat
    from keras_transformer.zoo.trained import Trained

    quantized = training.go_on(qat.quantize, lambda _: [Trained.load(checkpoint)], **given)
    training.print_result(given["out"], quantized.metrics["validation"])
