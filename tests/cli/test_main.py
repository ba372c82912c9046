import errno
import os
import subprocess
import sys

import click
import pytest
from click.testing import CliRunner

from keras_transformer.cli import options
from keras_transformer.cli.errors import as_options
from keras_transformer.cli.main import COMMANDS, LazyGroup, main
from keras_transformer.zoo.errors import InputError, RunError

KNOWN = (
    "models, train, sweep, prepare, evaluate, fuse, prune, distill, quantize, convert, "
    "sensitivity, search, compare, inspect, benchmark, run, demo, quickstart"
)


def invoke_raising(error: BaseException):
    """Runs a group whose only command raises `error`."""
    group = LazyGroup(name="group", table={})

    @group.command()
    def fail():
        raise error

    return CliRunner().invoke(group, ["fail"])


def in_fresh_interpreter(program: str) -> subprocess.CompletedProcess:
    return subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)


def test_help_lists_every_command_with_its_line():
    result = CliRunner().invoke(main, ["--help"])
    assert (result.exit_code, result.stderr) == (0, "")
    listed = [line.split(maxsplit=1) for line in result.stdout.split("Commands:\n")[1].splitlines()]
    assert listed == [[name, line] for name, (_, _, line) in COMMANDS.items()]


def test_no_arguments_print_the_help():
    result = CliRunner().invoke(main, [])
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr == CliRunner().invoke(main, ["--help"]).stdout


def test_version():
    result = CliRunner().invoke(main, ["--version"])
    assert (result.exit_code, result.stderr) == (0, "")
    assert result.stdout.startswith("keras-transformer, version ")


def test_unknown_command_names_the_known_ones():
    result = CliRunner().invoke(main, ["trian"])
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr == f"Error: No such command 'trian'; the commands are {KNOWN}.\n"


def test_unknown_option_of_the_group():
    result = CliRunner().invoke(main, ["--fast"])
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr == "Error: No such option '--fast'.\n"


@pytest.mark.parametrize(
    ("error", "exit_code", "sentence"),
    [
        (InputError("No column 'x' in a.tsv."), 2, "No column 'x' in a.tsv."),
        (InputError("One sentence\n  on two lines."), 2, "One sentence on two lines."),
        (FileNotFoundError("No checkpoint at 'a'."), 2, "No checkpoint at 'a'."),
        (
            FileNotFoundError(errno.ENOENT, "No such file or directory", "a.tsv"),
            2,
            "There is no file a.tsv.",
        ),
        (FileExistsError("'a' exists; --overwrite."), 2, "'a' exists; --overwrite."),
        (RunError("The loss is nan at step 7."), 1, "The loss is nan at step 7."),
        (OSError(errno.ENOSPC, "No space left on device"), 1, "No space left on device."),
        (
            PermissionError(errno.EACCES, "Permission denied", "/a"),
            1,
            "Permission denied: /a.",
        ),
        (KeyboardInterrupt(), 130, "Interrupted."),
    ],
)
def test_expected_errors_are_one_sentence_and_an_exit_code(error, exit_code, sentence):
    result = invoke_raising(error)
    assert (result.exit_code, result.stdout) == (exit_code, "")
    assert result.stderr == f"Error: {sentence}\n"


@pytest.mark.parametrize("bug", [ValueError("a bug"), RuntimeError("a bug"), KeyError("a bug")])
def test_a_bug_keeps_its_traceback(bug):
    result = invoke_raising(bug)
    assert result.exception is bug
    assert result.stderr == ""


def test_a_reader_that_leaves_is_no_error_to_speak_of():
    result = invoke_raising(BrokenPipeError(errno.EPIPE, "Broken pipe"))
    assert (result.exit_code, result.stdout, result.stderr) == (1, "", "")


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ([], "Missing option '--out'."),
        (["--out", "x", "--wrong"], "No such option '--wrong'."),
        (["--out"], "Option '--out' requires an argument."),
        (["--out", "x", "--threads", "0"], "Invalid value for '--threads': 0 is not in the range"),
        (["--out", "x", "--data", "/no/such"], "Invalid value for '--data': There is no file /no"),
    ],
)
def test_usage_errors_of_a_command_are_one_line(arguments, sentence):
    group = LazyGroup(name="group", table={})

    @group.command()
    @options.out()
    @options.data()
    @options.threads()
    def measure(**_): ...

    result = CliRunner().invoke(group, ["measure", *arguments])
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr.startswith(f"Error: {sentence}")
    assert result.stderr.count("\n") == 1


def test_shared_options_arrive_under_their_names(tmp_path):
    group = LazyGroup(name="group", table={})
    received = {}

    @group.command()
    @options.out()
    @options.overwrite()
    @options.data()
    @options.text(required=True)
    @options.text_pair()
    @options.label()
    @options.max_length(default=64)
    @options.seed()
    @options.as_json()
    @options.threads()
    def measure(**values):
        received.update(values)

    table = tmp_path / "a.tsv"
    table.touch()
    arguments = ["--out", "b", "--data", str(table), "--text", "t", "--json"]
    result = CliRunner().invoke(group, ["measure", *arguments])
    assert (result.exit_code, result.output) == (0, "")
    assert {name: str(value) for name, value in received.items()} == {
        "out": "b",
        "overwrite": "False",
        "data": str(table),
        "text": "t",
        "text_pair": "None",
        "label": "None",
        "max_length": "64",
        "seed": "0",
        "as_json": "True",
        "threads": "1",
    }


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_help_with_an_example(name):
    result = CliRunner().invoke(main, [name, "--help"])
    assert (result.exit_code, result.stderr) == (0, "")
    assert "Example" in result.stdout
    assert main.get_command(click.Context(main), name).name == name


def test_the_console_script_exits_with_the_same_sentence():
    script = "import sys; sys.argv = ['keras-transformer', 'trian']; " + (
        "from keras_transformer.cli.main import run; run()"
    )
    result = in_fresh_interpreter(script)
    assert (result.returncode, result.stdout) == (2, "")
    assert result.stderr == f"Error: No such command 'trian'; the commands are {KNOWN}.\n"


def test_help_imports_only_click():
    program = """
import sys
from keras_transformer.cli.main import main
main(["--help"], standalone_mode=False)
heavy = {"tensorflow", "keras", "numpy", "rich", "ai_edge_litert"}
print(sorted(heavy & set(sys.modules)), file=sys.stderr)
"""
    result = in_fresh_interpreter(program)
    assert (result.returncode, result.stderr) == (0, "[]\n")


def test_help_of_a_command_imports_no_framework():
    program = """
import sys
from keras_transformer.cli.main import COMMANDS, main
for name in COMMANDS:
    main([name, "--help"], standalone_mode=False)
print(sorted({"tensorflow", "keras"} & set(sys.modules)), file=sys.stderr)
"""
    result = in_fresh_interpreter(program)
    assert (result.returncode, result.stderr) == (0, "[]\n")


@pytest.mark.parametrize(
    ("setting", "sentence"),
    [
        ("bogus", "Expected KERAS_BACKEND to be one of tensorflow, jax, torch, numpy, openvino, "
         "got 'bogus'."),
        ("jax", "Expected KERAS_BACKEND to be installed, got 'jax'; install it."),
        ("keras.json", "Expected KERAS_BACKEND to be one of tensorflow, jax, torch, numpy, "
         "openvino, got 'bogus'."),
    ],
)  # fmt: skip
def test_a_backend_that_keras_cannot_import(setting, sentence, tmp_path):
    environment = {**os.environ, "KERAS_HOME": str(tmp_path), "KERAS_BACKEND": setting}
    if setting == "keras.json":
        (tmp_path / setting).write_text('{"backend": "bogus"}', encoding="utf-8")
        environment.pop("KERAS_BACKEND")
    program = (
        "import sys, importlib.util as util; "
        "find = util.find_spec; "
        "util.find_spec = lambda name, *more: None if name == 'jax' else find(name, *more); "
        "sys.modules['jax'] = None; sys.argv = ['kt', 'run', 'none', 'a']; "
        "from keras_transformer.cli.main import run; run()"
    )
    result = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, env=environment
    )
    assert (result.returncode, result.stdout) == (2, "")
    assert result.stderr == f"Error: {sentence}\n"


@pytest.mark.parametrize("word", ["a\0b", "\ud800"])
def test_an_argument_that_no_system_takes(word):
    result = CliRunner().invoke(main, ["models", word])
    assert (result.exit_code, result.stdout) == (2, "")
    sentence = "Expected arguments without NUL and lone surrogates"
    assert result.stderr == f"Error: {sentence}, got {word!r}.\n"


@pytest.mark.parametrize(
    ("sentence", "said"),
    [
        ("Expected rounding only with calibration data, got rounding=learned.",
         "Expected --rounding only with calibration data, got --rounding learned."),
        ("Expected range_method to be least-error, got range_method='x', percentile=99.9.",
         "Expected --range-method to be least-error, got --range-method 'x', --percentile 99.9."),
        ("Expected rotate only for a float checkpoint, got rotate=True.",
         "Expected --rotate only for a float checkpoint, got --rotate."),
        ("Expected the arena within arena_limit=1 bytes, got 9 bytes; give a memory_mode that",
         "Expected the arena within --arena-limit 1 bytes, got 9 bytes; give a --memory-mode that"),
        # What is no option, or part of another thing.
        ("Expected lengths up to 9, got length=12.", "Expected lengths up to 9, got length=12."),
        *[("Expected a setting of the model among width, range_method, got 'bogus'.",) * 2],
        *[("/data/rounding=x/my_range_method.tsv: expected a range, got 'rounding=1'.",) * 2],
    ],
)  # fmt: skip
def test_sentences_name_options_and_not_arguments(sentence, said):
    command = main.get_command(click.Context(main), "convert")
    assert as_options(sentence, command.get_params(click.Context(main))) == said
