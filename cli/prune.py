"""`keras-transformer prune`: a smaller or sparser form of a checkpoint."""

from pathlib import Path
from typing import Any

import click

from keras_transformer.cli import training
from keras_transformer.zoo.recipe import CHOICES


@click.command()
@click.argument("checkpoint", type=click.Path(path_type=Path))
@click.option(
    "--sparsity", type=float,
    help="Share of zeros in each kernel and table of tokens.  [default: 0.5 of 2:4]",
)
@click.option(
    "--pattern", type=click.Choice(CHOICES["pattern"]), default="element", show_default=True,
    help="Which weights are zero together: each by itself, blocks of 4 by 4, or 2 of every 4.",
)
@click.option("--heads", type=int, help="Heads that each attention keeps.")
@click.option("--neurons", type=int, help="Neurons that each feed-forward layer keeps.")
@click.option("--layers", type=int, help="Blocks that stay, of an encoder-decoder in each half.")
@training.going_on(
    data="the checkpoint's", epochs="half of the recipe's", learning_rate="half of the recipe's"
)
def prune(checkpoint: Path, **given: Any) -> None:
    """Make a float CHECKPOINT smaller or sparse while it trains on.

    --sparsity makes most weights zero; the zeros stay when the new checkpoint is quantized, and a
    file of them compresses well. --heads, --neurons and --layers leave out what matters least to
    the loss on the training data; the file is smaller and faster. One way at a time, the latter
    first.

    Example: keras-transformer prune my_model --heads 2 --neurons 256 --out my_model_small
    """
    from keras_transformer.edge import prune as edge_prune
    from keras_transformer.zoo.trained import Trained

    pruned = training.go_on(edge_prune.prune, lambda _: [Trained.load(checkpoint)], **given)
    metrics = {**pruned.metrics["validation"], **edge_prune.effect(pruned)}
    training.print_result(given["out"], metrics)
