"""`keras-transformer prune`: magnitude pruning of a checkpoint."""

from pathlib import Path
from typing import Any

import click

from keras_transformer.cli import options, training
from keras_transformer.zoo.recipe import CHOICES


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
    help="Passes over the training data.  [default: half of the recipe's]",
)
@click.option(
    "--learning-rate", type=float,
    help="At its peak.  [default: half of the recipe's]",
)
@click.option(
    "--sparsity", type=float,
    help="Share of zeros in each kernel and table of tokens.  [default: 0.5 of 2:4]",
)
@click.option(
    "--pattern", type=click.Choice(CHOICES["pattern"]), default="element", show_default=True,
    help="Which weights are zero together: each by itself, blocks of 4 by 4, or 2 of every 4.",
)
@options.seed(default=None, show_default=False, help="[default: the recipe's]")
@options.out()
@options.overwrite()
@options.resume()
@options.tensorboard()
def prune(
    checkpoint: Path, out: Path, overwrite: bool, resume: bool, tensorboard: Path | None,
    **given: Any,
) -> None:  # fmt: skip
    """Make most weights of a float CHECKPOINT zero while it trains on.

    The zeros stay when the new checkpoint is quantized, and a file of them compresses well.

    Example: keras-transformer prune my_model --sparsity 0.8 --out my_model_sparse
    """
    from keras_transformer.edge import prune as edge_prune
    from keras_transformer.zoo.checkpoint import check_folder_target
    from keras_transformer.zoo.trained import Trained

    check_folder_target(out, overwrite=overwrite)
    changes = {name: value for name, value in given.items() if value is not None}
    trained = Trained.load(checkpoint)
    with training.session(out, tensorboard) as hearers:
        pruned = edge_prune.prune(
            trained, out, resume=resume, overwrite=overwrite, **hearers, **changes
        )
    sparsity = edge_prune.sparsity_of(pruned.model)
    training.print_result(out, {**pruned.metrics["validation"], "sparsity": sparsity})
