"""`keras-transformer distill`: training of a student on a teacher's outputs."""

from pathlib import Path
from typing import Any

import click

from keras_transformer.cli import kinds, options, training
from keras_transformer.cli.train import settings_of
from keras_transformer.zoo.recipe import CHOICES


@click.command()
@click.argument("teacher", type=click.Path(path_type=Path))
@click.argument("student", metavar="[MODEL|CHECKPOINT]", required=False)
@click.option(
    "--init", type=click.Choice(CHOICES["init"]), default="student", show_default=True,
    help="Whose weights the student begins with: its own, which are new for a MODEL of the "
    "catalogue, or the teacher's, with every k-th of its blocks, the last one included.",
)
@options.share(
    default=0.5, help="Share of the loss on the teacher's outputs; the rest is the labels'."
)
@options.temperature()
@click.option(
    "--hidden-weight", type=kinds.NUMBER, default=0.0, show_default=True,
    help="Weight of the difference between the blocks' outputs and the teacher's.",
)
@click.option(
    "--attention-weight", type=kinds.NUMBER, default=0.0, show_default=True,
    help="Weight of the difference between the last block's attention and the teacher's.",
)
@click.option(
    "--beams", type=kinds.INTEGER, default=0, show_default=True,
    help="Number of beams with which the teacher generates a translator's targets; 0 for "
    "those of the data.",
)
@click.option(
    "--set", "settings", type=kinds.TEXT, multiple=True, metavar="KEY=VALUE",
    callback=settings_of, help="Change a setting of MODEL, such as pooling=max; may be repeated.",
)
@training.going_on(
    data="the student's", epochs="the recipe's", learning_rate="the recipe's"
)
def distill(teacher: Path, student: str | None, settings: dict[str, Any], **given: Any) -> None:
    """Train a small model on the outputs of a TEACHER checkpoint and the labels, for any task.

    The student is a MODEL of the catalogue, with the teacher's tokenizer and recipe; a published
    MODEL, from its weights, which has to have the teacher's tokenizer; or a
    CHECKPOINT that is fine-tuned from its weights and may be quantized. With --init teacher it
    may be left out: the student is the teacher with fewer blocks.

    Example: keras-transformer distill my_model bert_tiny --out my_student

    The teacher with fewer blocks: keras-transformer distill my_model --init teacher --set
    num_layers=3 --out my_student
    """
    with training.spread_by(given):
        from keras_transformer.edge.distill import distill as edge_distill

        distilled, had_ended = training.go_on(
            edge_distill.distill, teacher, student, settings=settings or None, **given
        )
        training.print_result(given["out"], distilled.metrics["validation"], had_ended=had_ended)
