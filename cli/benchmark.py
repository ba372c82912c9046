"""`keras-transformer benchmark`: latency, memory and size of files on this machine."""

from pathlib import Path

import click

from keras_transformer.cli import kinds, options


@click.command()
@click.argument(
    "files", metavar="FILE.tflite...", nargs=-1, required=True, type=kinds.EXISTING_FILE
)
@options.threads()
@click.option(
    "--runs",
    type=kinds.IntegerRange(min=1),
    default=100,
    show_default=True,
    help="Number of timed runs of each file; the files take turns.",
)
@options.as_json()
def benchmark(files: tuple[Path, ...], threads: int, runs: int, as_json: bool) -> None:
    """Measure the latency, memory and size of .tflite files.

    The latency is that of one text at the model's full length, of one image or sound, or of one
    token for a generative model. The memory is the peak growth of a separate process that only
    loads the file and runs it.

    Example: keras-transformer benchmark float32.tflite int8.tflite --threads 2
    """
    from keras_transformer.cli import display
    from keras_transformer.edge.compare.benchmark import benchmark as measure

    result = measure(files, threads=threads, runs=runs)
    if as_json:
        display.say_json(result.to_json())
    else:
        display.grids(result)
