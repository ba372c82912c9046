"""`keras-transformer prune`: pruning and fine-tuning of a checkpoint."""

from pathlib import Path
from typing import Any

import click

from keras_transformer.cli import kinds, training
from keras_transformer.zoo.recipe import CHOICES


@click.command()
@click.argument("checkpoint", type=click.Path(path_type=Path))
@click.option("--heads", type=kinds.INTEGER, help="Number of heads to keep in each attention.")
@click.option(
    "--neurons", type=kinds.INTEGER,
    help="Number of neurons to keep in each feed-forward layer.",
)
@click.option("--layers", type=kinds.INTEGER, help="Number of blocks to keep, in each stack.")
@click.option("--rank", type=kinds.INTEGER, help="Rank of the two factors that replace a kernel.")
@click.option(
    "--energy", type=kinds.NUMBER,
    help="Share of the kernels' squared singular values to keep, with the smallest rank for it.",
)
@click.option(
    "--sparsity", type=kinds.NUMBER,
    help="Share of zeros in each kernel and token table.  [default: 0.5 for 2:4]",
)
@click.option(
    "--pattern", type=click.Choice(CHOICES["pattern"]), default="element", show_default=True,
    help="Pattern of zeros: single weights, blocks of 4 by 4, or 2 of every 4 inputs.",
)
@click.option(
    "--clusters", type=kinds.INTEGER, help="Distinct values of each kernel and token table."
)
@training.going_on(
    data="the checkpoint's", epochs="half of the recipe's", learning_rate="half of the recipe's"
)
def prune(checkpoint: Path, **given: Any) -> None:
    """Prune a float CHECKPOINT in one way, and fine-tune it.

    --heads, --neurons and --layers remove what matters least to the loss on the training data;
    --rank or --energy replaces kernels by two factors. Both make the model smaller and faster.
    --sparsity makes most weights zero, and --clusters gives kernels few distinct values, so that
    the file compresses well. Apply several ways in this order; quantization preserves them all.

    Example: keras-transformer prune my_model --heads 2 --neurons 256 --out my_model_small
    """
    with training.spread_by(given):
        from keras_transformer.edge.compress import prune as edge_prune

        pruned, had_ended = training.go_on(edge_prune.prune, checkpoint, **given)
        metrics = {**pruned.metrics["validation"], **edge_prune.effect(pruned)}
        training.print_result(given["out"], metrics, had_ended=had_ended)
