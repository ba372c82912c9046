"""`keras-transformer search`: search for the best file of a checkpoint."""

from pathlib import Path
from typing import Any

import click

from keras_transformer.cli import kinds, options
from keras_transformer.cli.convert import lengths_of
from keras_transformer.cli.spread import check_engine, engine_options
from keras_transformer.cli.training import resumable
from keras_transformer.edge.precision import PRECISIONS
from keras_transformer.zoo.numerals import read_number


def names_of(_context: Any, _parameter: Any, value: str | None) -> list[str]:
    """Parses `float16,int8`."""
    return list(PRECISIONS) if value is None else [name.strip() for name in value.split(",")]


def shares_of(_context: Any, _parameter: Any, value: str | None) -> list[float]:
    """Parses `0.5,0.8`."""
    numbers = [read_number(part) for part in value.split(",")] if value else []
    if None in numbers:
        raise click.BadParameter(f"Expected numbers with commas between, got {value!r}.")
    return numbers


@click.command()
@click.argument("checkpoint", type=click.Path(path_type=Path))
@options.data(
    required=True, help="Labelled rows, pairs or text to evaluate the files on. The choice is made "
    "on them, so do not use a test split.",
)  # fmt: skip
@click.option(
    "--max-drop", type=kinds.NUMBER, default=0.5, show_default=True, metavar="POINTS",
    help="Largest acceptable loss of the recommended file against float32: hundredths of accuracy "
    "or correlation, BLEU, perplexity.",
)
@click.option(
    "--precisions", metavar="NAME,NAME,...", callback=names_of,
    help=f"Precisions to try besides float32, of {', '.join(PRECISIONS)}.  [default: all]",
)
@click.option(
    "--qat", is_flag=True, help="Also fine-tune the checkpoint for each integer precision (QAT)."
)
@click.option(
    "--sparsity", "sparsities", metavar="S,S,...", callback=shares_of,
    help="Also try pruning to these shares of zeros first, such as 0.5,0.8.",
)
@click.option(
    "--lengths", metavar="N,N,...", callback=lengths_of,
    help="Also try these input lengths in tokens, such as 16,32; longer texts are cut.",
)
@click.option(
    "--train", type=kinds.EXISTING_DATA, metavar="FILE",
    help="Data for calibration and training.  [default: that of the recipe]",
)
@click.option(
    "--validation", type=kinds.EXISTING_DATA, metavar="FILE",
    help="Data that selects the best epoch of training.  [default: that of the recipe]",
)
@options.columns
@options.language()
@options.threads()
@click.option(
    "--runs", type=kinds.IntegerRange(min=1), default=100, show_default=True,
    help="Number of timed runs of each file; the files take turns.",
)
@engine_options
@options.out(help="Folder for the files, the table, the figure and the report.")
@options.overwrite(help="Discard an existing search in --out.")
@options.resume(help="Continue an interrupted search in --out.")
def search(
    checkpoint: Path, precisions: list[str], qat: bool, sparsities: list[float],
    lengths: list[int] | None, out: Path, engine: str | None, workers: int | None,
    restarts: int | None, **given: Any,
) -> None:  # fmt: skip
    """Convert and measure a float CHECKPOINT in many ways, and recommend one file.

    Each candidate is converted, evaluated on --data and timed in turns with the others. The files,
    results.json, the figure and report.html are written to --out.

    Example: keras-transformer search my_model --data validation.tsv --max-drop 0.5 --out choice

    With training: keras-transformer search my_model --data validation.tsv --qat --sparsity 0.8
    --out choice
    """
    restarts = check_engine(engine, workers, restarts)
    from keras_transformer.cli import display
    from keras_transformer.cli.memory import keep_freed_memory
    from keras_transformer.edge.choose import report
    from keras_transformer.edge.choose.candidates import ladder
    from keras_transformer.edge.choose.figures import check_matplotlib
    from keras_transformer.edge.choose.search import RESULTS
    from keras_transformer.edge.choose.search import search as edge_search
    from keras_transformer.zoo.backends import check_backend
    from keras_transformer.zoo.data.columns import columns_of
    from keras_transformer.zoo.pretrained.checkpoints import as_checkpoint

    check_backend("search")
    check_matplotlib()
    candidates = ladder(
        precisions=precisions, qat=qat, sparsities=sparsities, lengths=lengths or ()
    )
    keep_freed_memory()
    trained = as_checkpoint(checkpoint)
    columns = {name: given.pop(name) for name in options.COLUMNS}
    decoding = {"language": columns["language"]} if columns["language"] else {}
    columns = columns_of(trained, data=given["data"], **columns)
    trials = None
    if engine is not None:
        from keras_transformer.cli.trials import trials_on_ray

        trials = trials_on_ray(
            workers=workers, restarts=restarts, out=out, checkpoint=str(checkpoint),
            columns=columns, decoding=decoding,
            **{name: given[name] and str(given[name]) for name in ("data", "train", "validation")},
        )  # fmt: skip
    with display.Progress() as progress, resumable(out, RESULTS, progress.note):
        found = edge_search(
            trained, given.pop("data"), out, columns=columns, candidates=candidates,
            report=progress, trials=trials, **given, **decoding,
        )  # fmt: skip
    report.write(found, out)
    display.grids(found)
    if found.noise:
        display.note(found.noise)
    display.say(f"\n{found.recommendation()}\nWrote {out / report.PAGE}")
