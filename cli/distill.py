"""`keras-transformer distill`: a student that learns from a teacher's outputs."""

from pathlib import Path
from typing import Any

import click

from keras_transformer.cli import options, training
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
    "--train", type=options.EXISTING_FILE, metavar="FILE",
    help="Training examples.  [default: those of the student's recipe]",
)
@click.option(
    "--validation", type=options.EXISTING_FILE, metavar="FILE",
    help="Validation examples.  [default: those of the student's recipe]",
)
@click.option(
    "--epochs", type=click.IntRange(min=1),
    help="Passes over the training data.  [default: the recipe's]",
)
@click.option("--learning-rate", type=float, help="At its peak.  [default: the recipe's]")
@click.option(
    "--set", "settings", multiple=True, metavar="KEY=VALUE", callback=settings_of,
    help="Change a setting of the MODEL, such as pooling=max; may be repeated.",
)
@options.seed(default=None, show_default=False, help="[default: the recipe's]")
@options.out()
@options.overwrite()
@options.resume()
@options.tensorboard()
def distill(
    teacher: Path, student: str, out: Path, overwrite: bool, resume: bool,
    tensorboard: Path | None, settings: dict[str, Any], **given: Any,
) -> None:  # fmt: skip
    """Train a small model on the outputs of a TEACHER's checkpoint beside the labels.

    The student is a MODEL of the catalogue, which takes the teacher's tokenizer and recipe, or a
    CHECKPOINT that goes on from its weights, a quantized one too.

    Example: keras-transformer distill my_model bert_tiny --out my_student
    """
    from keras_transformer.edge import distill as edge_distill
    from keras_transformer.zoo.checkpoint import check_folder_target
    from keras_transformer.zoo.trained import Trained

    check_folder_target(out, overwrite=overwrite)
    changes = {name: value for name, value in given.items() if value is not None}
    loaded = Trained.load(teacher)
    if Path(student).is_dir():
        if settings:
            raise click.UsageError("Expected --set only for a MODEL of the catalogue.")
        learner = Trained.load(student)
    else:
        if "seed" in changes:
            loaded.recipe = loaded.recipe.replace(seed=changes["seed"])
        learner = edge_distill.new_student(loaded, student, settings)
    with training.session(out, tensorboard) as hearers:
        distilled = edge_distill.distill(
            loaded, learner, out, resume=resume, overwrite=overwrite, **hearers, **changes
        )
    training.print_result(out, distilled.metrics["validation"])
