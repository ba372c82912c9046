"""The `keras-transformer` command: the table of its subcommands, each imported when it is used."""

import os
import sys
from collections.abc import Mapping
from importlib import import_module

import click

from keras_transformer.cli.errors import in_one_sentence
from keras_transformer.cli.options import IntegerRange
from keras_transformer.cli.quiet import quiet
from keras_transformer.cli.signals import end_in_order

VERBOSE = "--verbose"
# The parameters that are files of data, which may be packed.
DATA = ("data", "train", "validation", "calibration")

# name -> (module, attribute, one line of help), in the order of typical use.
COMMANDS = {
    "models": (
        "keras_transformer.cli.models",
        "models",
        "List the catalogue, or show one model.",
    ),
    "train": (
        "keras_transformer.cli.train",
        "train",
        "Train a model of the catalogue on your own data.",
    ),
    "sweep": (
        "keras_transformer.cli.sweep",
        "sweep",
        "Train with many combinations of options, and compare.",
    ),
    "prepare": (
        "keras_transformer.cli.prepare",
        "prepare",
        "Prepare much data once, for runs to read.",
    ),
    "evaluate": (
        "keras_transformer.cli.evaluate",
        "evaluate",
        "Evaluate a checkpoint or a .tflite file on data.",
    ),
    "fuse": (
        "keras_transformer.cli.fuse",
        "fuse",
        "Make one model of several checkpoints: a mean, a vote or a soup.",
    ),
    "prune": (
        "keras_transformer.cli.prune",
        "prune",
        "Prune a checkpoint and fine-tune it.",
    ),
    "distill": (
        "keras_transformer.cli.distill",
        "distill",
        "Train a small model on a checkpoint's outputs and the labels.",
    ),
    "quantize": (
        "keras_transformer.cli.quantize",
        "quantize",
        "Fine-tune a checkpoint with simulated quantization (QAT).",
    ),
    "convert": (
        "keras_transformer.cli.convert",
        "convert",
        "Convert a checkpoint to a .tflite file, or for another runtime.",
    ),
    "sensitivity": (
        "keras_transformer.cli.sensitivity",
        "sensitivity",
        "Show which layers cost accuracy when they are quantized.",
    ),
    "search": (
        "keras_transformer.cli.search",
        "search",
        "Measure many files of a checkpoint, and recommend one.",
    ),
    "compare": (
        "keras_transformer.cli.compare",
        "compare",
        "Show how closely .tflite files follow their checkpoint.",
    ),
    "inspect": (
        "keras_transformer.cli.inspect",
        "inspect",
        "Print the contents of a .tflite file, and check it.",
    ),
    "benchmark": (
        "keras_transformer.cli.benchmark",
        "benchmark",
        "Measure the latency, memory and size of .tflite files.",
    ),
    "run": (
        "keras_transformer.cli.run",
        "run",
        "Predict, translate or continue raw text.",
    ),
    "demo": (
        "keras_transformer.cli.demo",
        "demo",
        "Show .tflite files in a web page that runs them in the browser.",
    ),
    "quickstart": (
        "keras_transformer.cli.quickstart",
        "quickstart",
        "Train, quantize and convert a small model on generated data.",
    ),
}


class LazyGroup(click.Group):
    """A click group that imports its commands lazily and reports their errors in one sentence.

    Args:
        table: module, attribute and line of help of each command.
    """

    def __init__(self, *args, table: Mapping[str, tuple[str, str, str]], **kwargs):
        super().__init__(*args, **kwargs)
        self.table = table

    def list_commands(self, ctx: click.Context) -> list[str]:
        return [*self.table, *super().list_commands(ctx)]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in self.table:
            return super().get_command(ctx, cmd_name)
        module, attribute, _ = self.table[cmd_name]
        command = getattr(import_module(module), attribute)
        if not any(VERBOSE in parameter.opts for parameter in command.params):
            reads = any(parameter.name in DATA for parameter in command.params)
            command.params += [*([max_unpacked_option()] if reads else []), verbose_option()]
        return command

    def resolve_command(self, ctx: click.Context, args: list[str]):
        known = self.list_commands(ctx)
        if args[0] not in known and not ctx.resilient_parsing:
            ctx.fail(f"No such command {args[0]!r}; the commands are {', '.join(known)}.")
        found = super().resolve_command(ctx, args)
        # What a recipe says has the names that it has there.
        by_recipe = any(word.split("=")[0] == "--recipe" for word in args)
        ctx.meta[_COMMAND] = None if by_recipe else found[1]
        return found

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        lines = {name: line for name, (_, _, line) in self.table.items()}
        lines |= {name: command.get_short_help_str() for name, command in self.commands.items()}
        with formatter.section("Commands"):
            formatter.write_dl(list(lines.items()))

    def main(self, *args, **kwargs):
        for stream in (sys.stdout, sys.stderr):
            # What the stream's encoding lacks and `display` did not see, such as help, is escaped.
            if hasattr(stream, "reconfigure"):
                stream.reconfigure(errors="backslashreplace")
        return super().main(*args, **kwargs)

    # Both are wrapped rather than `main`, so that a test through click's CliRunner gets the same
    # messages and exit codes as the console script.
    def make_context(self, info_name: str, args: list[str], **kwargs) -> click.Context:
        with in_one_sentence():
            for word in args:
                check_argument(word)
            return super().make_context(info_name, args, **kwargs)

    def invoke(self, ctx: click.Context):
        def options() -> list[click.Parameter]:
            command = ctx.meta.get(_COMMAND)
            return [] if command is None else command.get_params(ctx)

        with in_one_sentence(options):
            return super().invoke(ctx)


def check_argument(word: str) -> None:
    """Raises UsageError if a word cannot be passed to the system, as a path would be."""
    try:
        is_whole = b"\0" not in os.fsencode(word)
    except UnicodeEncodeError:
        is_whole = False
    if not is_whole:
        raise click.UsageError(
            f"Expected arguments without NUL and lone surrogates, got {word!r}."
        )


def verbose_option() -> click.Option:
    """The option that `run` reads before any library is loaded."""
    return click.Option(
        [VERBOSE], is_flag=True, expose_value=False,
        help="Also show the log of TensorFlow and LiteRT.",
    )  # fmt: skip


def max_unpacked_option() -> click.Option:
    """The option that lifts the bound of packed files for a command."""

    def lift(context: click.Context, _: click.Parameter, megabytes: int | None) -> None:
        if megabytes is not None:
            from keras_transformer.zoo.data.text_files import max_unpacked

            context.with_resource(max_unpacked(megabytes * 2**20))

    return click.Option(
        ["--max-unpacked"], type=IntegerRange(min=1), metavar="MB", expose_value=False,
        callback=lift,
        help="What a packed file of data may unpack to.  [default: 50 times its size, at least 16]",
    )  # fmt: skip


# Where a context has the command that is run, unless a recipe has its options.
_COMMAND = "keras_transformer.command"


@click.group(cls=LazyGroup, table=COMMANDS, name="keras-transformer", params=[verbose_option()])
@click.version_option(package_name="keras-transformer-zoo")
def main() -> None:
    """Train small Transformers, and take them to phones, browsers and microcontrollers.

    Example: keras-transformer quickstart
    """


def run() -> None:
    """The console script: `main`, without the log lines of TensorFlow and LiteRT."""
    words = sys.argv[1:]
    options = words[: words.index("--")] if "--" in words else words
    end_in_order()
    with quiet(VERBOSE in options):
        main()
