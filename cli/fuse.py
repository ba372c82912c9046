"""`keras-transformer fuse`: one checkpoint of several that answer together."""

from pathlib import Path

import click

from keras_transformer.cli import options
from keras_transformer.zoo.ways import WAYS


@click.command()
@click.argument(
    "members", metavar="CHECKPOINT...", nargs=-1, required=True, type=click.Path(path_type=Path)
)
@options.out()
@click.option(
    "--by", type=click.Choice(WAYS), default="mean", show_default=True,
    help="What is averaged: probabilities, numbers, logits of answers or vectors, equally or with "
    "weights that are fitted to the validation data; votes; or the weights of models of one shape.",
)
@options.data(
    help="Validation data: .tsv, .csv or .jsonl, plain or .gz; a table of several tasks.  "
    "[default: the first CHECKPOINT's]"
)
@options.overwrite()
def fuse(
    members: tuple[Path, ...], out: Path, by: str, data: Path | None, overwrite: bool
) -> None:
    """Make one model of several float CHECKPOINTs of one task, with its labels and vocabulary.

    Translators and language models choose each token by the mean of their probabilities. Of models
    of several tasks, which have to be the same, each task's outputs are averaged.

    The result is evaluated, quantized and converted to one file like any other checkpoint, at the
    cost of all its members; `distill` makes one small model of it. A soup (--by soup) is a model of
    the members' shape, and costs as much as one: members are added to the mean of the weights, from
    the best on, as long as the validation data are answered no worse.

    Example: keras-transformer fuse run_1 run_2 run_3 --by fitted --out together

    One small model: keras-transformer distill together bert_tiny --out small
    """
    from keras_transformer.cli import display
    from keras_transformer.zoo.fusion import fuse as zoo_fuse

    with display.busy(f"Measuring {len(members)} models"):
        fused = zoo_fuse.fuse(members, out, by=by, data=data, overwrite=overwrite)
    metrics = fused.metrics["validation"]
    shown = dict.fromkeys((fused.task.metric.name, fused.task.selection.name))
    rows = [
        (one["name"], one["weight"], *(one.get(name) for name in shown))
        for one in fused.metrics["members"]
    ]
    rows.append((str(out), None, *(metrics.get(name) for name in shown)))
    display.table(None, ("Model", "Weight", *map(display.words, shown)), rows)
    if note := zoo_fuse.worse_note(fused):
        display.note(note)
    display.say(f"\nWrote {out}")
