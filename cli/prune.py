"""`keras-transformer prune`: magnitude pruning of a checkpoint."""

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
@training.going_on(
    data="the checkpoint's", epochs="half of the recipe's", learning_rate="half of the recipe's"
)
def prune(checkpoint: Path, **given: Any) -> None:
    """Make most weights of a float CHECKPOINT zero while it trains on.

    The zeros stay when the new checkpoint is quantized, and a file of them compresses well.

    Example: keras-transformer prune my_model --sparsity 0.8 --out my_model_sparse
    """
    from keras_transformer.edge import prune as edge_prune
    from keras_transformer.zoo.trained import Trained

    pruned = training.go_on(edge_prune.prune, lambda _: [Trained.load(checkpoint)], **given)
    sparsity = edge_prune.sparsity_of(pruned.model)
    training.print_result(given["out"], {**pruned.metrics["validation"], "sparsity": sparsity})
