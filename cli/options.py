"""Options that several commands share.

Each is called as a decorator factory, and a command may override arguments:

    @click.command()
    @options.data(required=True)
    @options.text()
    def evaluate(data: Path, text: str | None): ...
"""

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import click

from keras_transformer.cli.kinds import (
    EXISTING_DATA,
    EXISTING_FILE,
    NUMBER,
    TEXT,
    IntegerRange,
    LogFile,
)
from keras_transformer.edge.precision import ROUNDINGS
from keras_transformer.zoo.recipe import RANGE_METHODS
from keras_transformer.zoo.ways import FUSIONS

# The options that select the columns of a table.
COLUMNS = ("text", "text_pair", "image", "audio", "label", "source", "target", "language")

out = partial(
    click.option,
    "--out",
    type=click.Path(path_type=Path),
    required=True,
    metavar="PATH",
    help="Path of the result; an existing path is an error without --overwrite.",
)

overwrite = partial(
    click.option,
    "--overwrite",
    is_flag=True,
    help="Replace an existing --out, once the new result is complete.",
)

data = partial(
    click.option,
    "--data",
    type=EXISTING_DATA,
    metavar="FILE",
    help="Data file with a header: .tsv, .csv or .jsonl, plain or .gz; for images and sounds "
    "also a folder with a folder for each class, or arrays in .npz.",
)

head = partial(
    click.option,
    "--head",
    type=TEXT,
    metavar="TASK",
    help="Name of one task of a model of several.",
)


def headed(predictor: Any, name: str | None) -> Any:
    """Returns a predictor, or the one of its tasks that `--head` names."""
    return predictor if name is None else predictor.head(name)


def _column(option: str, help_text: str) -> Callable:
    return partial(click.option, option, type=TEXT, metavar="COLUMN", help=help_text)


text = _column("--text", "Column of the text.")
text_pair = _column("--text-pair", "Column of the second text, if an example is a pair.")
image = _column(
    "--image",
    "Column of the images: paths within the folder of the table, or arrays in .npz.",
)
audio = _column(
    "--audio",
    "Column of the sounds: paths within the folder of the table, or arrays in .npz.",
)
fusion = partial(
    click.option,
    "--fusion",
    type=click.Choice(FUSIONS),
    help="How a model that reads several kinds of columns makes one of them: late joins the vector "
    "of an encoder of each, joint reads all as one sequence, in cross the text attends to the "
    "others.  [default: late]",
)
label = _column(
    "--label", "Column of the label: a name, an integer, or the number to predict."
)
source = _column("--source", "Column of a translation's source text.")
target = _column("--target", "Column of a translation's target text.")

language = partial(
    click.option,
    "--language",
    type=TEXT,
    metavar="NAME",
    help="Target language of a translator with several: the name of its column.",
)


def columns(command: Callable) -> Callable:
    """Adds the options of a trained model's data columns, except the language."""
    added = (text, text_pair, image, audio, label, source, target)
    whose = (
        "text", "second text", "images", "sounds", "label", "source text", "target text",
    )  # fmt: skip
    for option, what in reversed(list(zip(added, whose, strict=True))):
        help_text = f"Column of the {what}.  [default: as in training]"
        command = option(help=help_text)(command)
    return command


max_length = partial(
    click.option,
    "--max-length",
    type=IntegerRange(min=1),
    metavar="TOKENS",
    help="Largest length in tokens, special ones included; longer texts are cut and counted.",
)

seed = partial(
    click.option,
    "--seed",
    type=IntegerRange(min=0),
    default=0,
    show_default=True,
    help="Random seed; the same seed on the same machine gives the same result.",
)

as_json = partial(
    click.option,
    "--json",
    "as_json",
    is_flag=True,
    help="Print one JSON object on stdout instead of a table.",
)

percentile = partial(
    click.option,
    "--percentile",
    type=NUMBER,
    default=0.0,
    metavar="PERCENT",
    help="Central share of a tensor's values that its calibrated range covers; 100 is "
    "from the smallest to the largest.  [default: the range that rounds them with the least "
    "squared error]",
)

range_method = partial(
    click.option,
    "--range-method",
    type=click.Choice(RANGE_METHODS),
    help="Calibrated range of a tensor: the one with the least squared error, from the smallest to "
    "the largest value, or with the least change of their distribution; instead of --percentile.  "
    "[default: least-error]",
)

smooth = partial(
    click.option,
    "--smooth",
    metavar="auto|none|0.5",
    help="Whether channels of activations that are huge move into the kernels behind them before "
    "rounding: auto takes the strength with the least error for each tensor, a number is the "
    "strength of all.",
)

rounding = partial(
    click.option,
    "--rounding",
    type=click.Choice(ROUNDINGS),
    default="nearest",
    show_default=True,
    help="Rounding of the kernels: to the nearest values, or learned from calibration data, so "
    "that their outputs stay as near as they can.",
)

share = partial(click.option, "--share", type=NUMBER, show_default=True)

temperature = partial(
    click.option,
    "--temperature",
    type=NUMBER,
    default=2.0,
    show_default=True,
    help="Divisor of the logits of both models: above 1, small probabilities count more.",
)

rotate = partial(
    click.option,
    "--rotate",
    is_flag=True,
    help="Rotate the residual stream of a decoder with RMS norms before rounding, so that none of "
    "its channels is huge; tied logits get a kernel of their own.",
)

# With the bounds of `Runner`.
_count = partial(
    click.option, type=IntegerRange(min=1, max=1024), default=1, show_default=True,
)  # fmt: skip

threads = partial(_count, "--threads", help="Number of threads of the .tflite interpreter.")

workers = partial(
    _count, "--workers", help="Number of processes that run a .tflite file at once."
)  # fmt: skip

keep = partial(
    click.option,
    "--keep",
    multiple=True,
    metavar="PATTERN=float32|int8",
    help="Layers to keep in float, or in int8 where others are int4, by path, such as "
    "encoder/block_0=float32; may be repeated.",
)

prune_vocabulary = partial(
    click.option,
    "--prune-vocabulary",
    type=EXISTING_FILE,
    metavar="FILE",
)

resume = partial(
    click.option,
    "--resume",
    is_flag=True,
    help="Continue an interrupted run from its last saved state.",
)

tensorboard = partial(
    click.option,
    "--tensorboard",
    type=click.Path(file_okay=False, path_type=Path),
    metavar="DIR",
    help="Folder for the training curves, for TensorBoard.",
)
log = partial(
    click.option,
    "--log",
    type=LogFile(),
    metavar="FILE",
    help="File to which each value of the training curves is added as a line, .csv or .jsonl.",
)
profile = partial(
    click.option,
    "--profile",
    type=click.Path(file_okay=False, path_type=Path),
    metavar="DIR",
    help="Folder for a trace of the first steps, for TensorBoard or Perfetto.",
)
peak = partial(
    click.option,
    "--peak",
    type=NUMBER,
    metavar="TFLOPS",
    help="Operations a second, in 10^12, that the devices can do together, of which the run says "
    "its share.  [default: of some GPUs and TPUs in bfloat16, on JAX]",
)
