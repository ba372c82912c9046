"""`keras-transformer benchmark`: latency, memory and size of files on this machine."""

from pathlib import Path

import click

from keras_transformer.cli import kinds, options
from keras_transformer.edge.arm64.cores import CORES
from keras_transformer.zoo.errors import InputError


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
@click.option(
    "--arm64",
    type=click.Choice(tuple(CORES)),
    help="Count the instructions of one run on this core, emulated on Linux by QEMU, instead. A "
    "Python for ARM64 is fetched into the cache first, 180 MB.",
)
@options.as_json()
@click.pass_context
def benchmark(
    context: click.Context, files: tuple[Path, ...], threads: int, runs: int, arm64: str | None,
    as_json: bool,
) -> None:  # fmt: skip
    """Measure the latency, memory and size of .tflite files.

    The latency is that of one text at the model's full length, of one image or sound, or of one
    token for a generative model. The memory is the peak growth of a separate process that only
    loads the file and runs it.

    Example: keras-transformer benchmark float32.tflite int8.tflite --threads 2

    Instructions on a phone's core: keras-transformer benchmark float32.tflite int8.tflite --arm64
    cortex-a76
    """
    from keras_transformer.cli import display

    if arm64 is None:
        from keras_transformer.edge.compare.benchmark import benchmark as measure

        result = measure(files, threads=threads, runs=runs)
    else:
        from keras_transformer.edge.arm64.instructions import count_instructions

        for name in ("threads", "runs"):
            if context.get_parameter_source(name) is not click.core.ParameterSource.DEFAULT:
                raise InputError(
                    f"Expected --arm64 without --{name}: one run on one thread is counted, which "
                    f"is the same each time; got --{name} {context.params[name]}."
                )
        result = count_instructions(files, arm64, note=display.note)
    if as_json:
        display.say_json(result.to_json())
    else:
        display.grids(result)
