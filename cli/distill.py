"""`keras-transformer distill`: a student that learns from a teacher's outputs."""

from pathlib import Path
from typing import Any

import click

from keras_transformer.cli import training
from keras_transformer.cli.train import settings_of


@click.command()
@click.argument("teacher", type=click.Path(path_type=Path))
@click.argument("student", metavar="MODEL|CHECKPOINT")
@click.option(
    "--share", type=float, default=0.5, show_default=True,
    help="The teacher's part of the loss; the rest is the labels'.",
)
@click.option(
    "--temperature", type=float, default=2.0, show_default=True,
    help="Logits of both are divided by it: above 1, small probabilities count more.",
)
@click.option(
    "--hidden-weight", type=float, default=0.0, show_default=True,
    help="Adds this much of how far the blocks' outputs are from the teacher's.",
)
@click.option(
    "--attention-weight", type=float, default=0.0, show_default=True,
    help="Adds this much of how far the last block's attention is from the teacher's.",
)
@click.option(
    "--beams", type=int, default=0, show_default=True,
    help="A translation learns the targets that the teacher writes with so many beams; 0 for "
    "those of the data.",
)
@click.option(
    "--set", "settings", multiple=True, metavar="KEY=VALUE", callback=settings_of,
    help="Change a setting of the MODEL, such as pooling=max; may be repeated.",
)
@training.going_on(
    data="the student's", epochs="the recipe's", learning_rate="the recipe's"
)
def distill(teacher: Path, student: str, settings: dict[str, Any], **given: Any) -> None:
    """Train a small model on a TEACHER's checkpoint beside the labels, whatever the task.

    The student is a MODEL of the catalogue, which takes the teacher's tokenizer and recipe, or a
    CHECKPOINT that goes on from its weights, a quantized one too.

    Example: keras-transformer distill my_model bert_tiny --out my_student
    """
    from keras_transformer.edge.distill import distill as edge_distill

    distilled = training.go_on(
        edge_distill.distill, teacher, student, settings=settings or None, **given
    )
    training.print_result(given["out"], distilled.metrics["validation"])
