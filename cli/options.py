"""The options that several commands share, each defined once.

Each is called as a decorator factory, and a command may override what differs for it:

    @click.command()
    @options.data(required=True)
    @options.text()
    def evaluate(data: Path, text: str | None): ...
"""

from collections.abc import Callable
from functools import partial
from pathlib import Path

import click

# The type of any argument that must be a file one can read: a table of examples, a `.tflite`.
EXISTING_FILE = click.Path(exists=True, dir_okay=False, readable=True, path_type=Path)

# The options that say where in a table the data stands.
COLUMNS = ("text", "text_pair", "label", "source", "target", "language")

out = partial(
    click.option,
    "--out",
    type=click.Path(path_type=Path),
    required=True,
    metavar="PATH",
    help="Where to write the result; a path that exists is refused without --overwrite.",
)

overwrite = partial(
    click.option,
    "--overwrite",
    is_flag=True,
    help="Replace what stands at --out, once the new result is complete.",
)

data = partial(
    click.option,
    "--data",
    type=EXISTING_FILE,
    metavar="FILE",
    help="Examples with a header: .tsv, .csv or .jsonl, plain or .gz.",
)

text = partial(
    click.option,
    "--text",
    metavar="COLUMN",
    help="The column that holds the text.",
)

text_pair = partial(
    click.option,
    "--text-pair",
    metavar="COLUMN",
    help="The column that holds the second text, where an example is a pair.",
)

label = partial(
    click.option,
    "--label",
    metavar="COLUMN",
    help="The column that holds the label: a name, an integer, or the number to predict.",
)

source = partial(
    click.option,
    "--source",
    metavar="COLUMN",
    help="The column that holds what a translation reads.",
)

target = partial(
    click.option,
    "--target",
    metavar="COLUMN",
    help="The column that holds what a translation writes.",
)

language = partial(
    click.option,
    "--language",
    metavar="NAME",
    help="What a translator of several targets writes: the name of its column.",
)


def columns(command: Callable) -> Callable:
    """Adds the options of the columns of a trained model's data, but for the language."""
    added = (text, text_pair, label, source, target)
    whose = ("text", "second text", "label", "source", "target")
    for option, what in reversed(list(zip(added, whose, strict=True))):
        help_text = f"The column of the {what}.  [default: as the model was trained]"
        command = option(help=help_text)(command)
    return command


max_length = partial(
    click.option,
    "--max-length",
    type=click.IntRange(min=1),
    metavar="TOKENS",
    help="Tokens of an example, special ones included; longer texts are cut and counted.",
)

seed = partial(
    click.option,
    "--seed",
    type=click.IntRange(min=0),
    default=0,
    show_default=True,
    help="The same seed on the same machine gives the same result.",
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
    type=float,
    default=100.0,
    show_default=True,
    metavar="PERCENT",
    help="Share of its values, those in the middle, that a range is calibrated to hold; 100 is "
    "from the smallest to the largest.",
)

threads = partial(
    click.option,
    "--threads",
    type=click.IntRange(min=1),
    default=1,
    show_default=True,
    help="Threads that the .tflite interpreter may use.",
)

keep = partial(
    click.option,
    "--keep",
    multiple=True,
    metavar="PATTERN=float32",
    help="Layers that stay float, by their path: encoder/block_0=float32; may be repeated.",
)

resume = partial(
    click.option,
    "--resume",
    is_flag=True,
    help="Go on from the last state of the same run, if it was killed.",
)

tensorboard = partial(
    click.option,
    "--tensorboard",
    type=click.Path(file_okay=False, path_type=Path),
    metavar="DIR",
    help="Write the curves of the run for TensorBoard.",
)
