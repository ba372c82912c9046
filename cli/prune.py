"""`keras-transformer prune`: a smaller form of a checkpoint."""

from pathlib import Path
from typing import Any

import click

from keras_transformer.cli import training
from keras_transformer.zoo.recipe import CHOICES


@click.command()
@click.argument("checkpoint", type=click.Path(path_type=Path))
@click.option("--heads", type=int, help="Heads that each attention keeps.")
@click.option("--neurons", type=int, help="Neurons that each feed-forward layer keeps.")
@click.option("--layers", type=int, help="Blocks that stay, of an encoder-decoder in each half.")
@click.option("--rank", type=int, help="Rank of two factors in place of each kernel.")
@click.option(
    "--energy", type=float,
    help="The smallest rank that keeps this share of the kernels' squared singular values.",
)
@click.option(
    "--sparsity", type=float,
    help="Share of zeros in each kernel and table of tokens.  [default: 0.5 of 2:4]",
)
@click.option(
    "--pattern", type=click.Choice(CHOICES["pattern"]), default="element", show_default=True,
    help="Which weights are zero together: each by itself, blocks of 4 by 4, or 2 of every 4.",
)
@click.option("--clusters", type=int, help="Distinct values of each kernel and table of tokens.")
@training.going_on(
    data="the checkpoint's", epochs="half of the recipe's", learning_rate="half of the recipe's"
)
def prune(checkpoint: Path, **given: Any) -> None:
    """Make a float CHECKPOINT smaller while it trains on, in one way at a time.

    --heads, --neurons and --layers leave out what matters least to the loss on the training data;
    --rank or --energy puts two factors in place of kernels: both make a smaller and faster model.
    --sparsity makes most weights zero, and --clusters gives kernels few distinct values: a file of
    them compresses well. Several ways follow one another in this order; all stay when the new
    checkpoint is quantized.

    Example: keras-transformer prune my_model --heads 2 --neurons 256 --out my_model_small
    """
    from keras_transformer.edge.compress import prune as edge_prune

    pruned = training.go_on(edge_prune.prune, checkpoint, **given)
    metrics = {**pruned.metrics["validation"], **edge_prune.effect(pruned)}
    training.print_result(given["out"], metrics)
