"""What README.md and docs/ tell the reader to type exists and compiles."""

import re
import shlex
from pathlib import Path

import click
import pytest

from keras_transformer.cli.main import COMMANDS, main

README = Path(__file__).parent.parent / "README.md"
# An optional `<!-- ci: mark -->`, then a fenced block with its language.
BLOCK = re.compile(r"(?:<!-- ci: (\w+) -->\n+)?^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
PAGES = [README, *sorted((README.parent / "docs").rglob("*.md"))]
BLOCKS = [
    match.groups() for page in PAGES for match in BLOCK.finditer(page.read_text(encoding="utf-8"))
]
PYTHON = [(mark, code) for mark, language, code in BLOCKS if language == "python"]
SHELL = [code for _, language, code in BLOCKS if language in {"sh", "bash", "console"}]


def calls(script: str) -> list[list[str]]:
    """Returns the arguments of each `keras-transformer` call in a shell script."""
    found = []
    for line in script.replace("\\\n", " ").splitlines():
        lexer = shlex.shlex(line.removeprefix("$ "), posix=True, punctuation_chars=True)
        lexer.whitespace_split = True
        command = []
        for word in [*lexer, ";"]:
            if set(word) <= set("();<>|&"):
                if command and Path(command[0]).name == "keras-transformer":
                    found.append(command[1:])
                command = []
            else:
                command.append(word)
    return found


def unknown_options(command: click.Command, arguments: list[str]) -> list[str]:
    """Returns the options among `arguments` that `command` does not have."""
    parameters = command.get_params(click.Context(command))
    known = {name for parameter in parameters for name in parameter.opts + parameter.secondary_opts}
    options = [word.split("=")[0] for word in arguments if word.startswith("-")]
    return [name for name in options if name not in known]


def test_calls_are_found_in_a_script():
    script = """
# keras-transformer train is only spoken of here
cd a && .venv/bin/keras-transformer train bert_mini \\
    --out "my model" | tee log; keras-transformer run m.tflite 'a; b' > out.txt
$ keras-transformer models
"""
    assert calls(script) == [
        ["train", "bert_mini", "--out", "my model"],
        ["run", "m.tflite", "a; b"],
        ["models"],
    ]


def test_unknown_options_are_found():
    command = click.Command("c", params=[click.Option(["--out", "-o"]), click.Option(["--a/--b"])])
    arguments = ["x", "--out=1", "-o", "2", "--b", "--help", "--no"]
    assert unknown_options(command, arguments) == ["--no"]


def test_set_up_commands():
    environment = (
        "python3 -m venv .venv && "
        '.venv/bin/pip install -c constraints.txt -e ".[{}]" && .venv/bin/{}\n'
    )
    marked = {mark: code for mark, language, code in BLOCKS if language == "sh" and mark}
    assert marked == {
        "quickstart": environment.format("demo", "keras-transformer quickstart"),
        "tests": environment.format("demo,test", "python -m pytest -n 2 --dist loadfile"),
    }


@pytest.mark.parametrize(
    "arguments", [call for script in SHELL for call in calls(script)], ids=" ".join
)
def test_commands_exist_with_their_options(arguments):
    name, *rest = arguments
    assert name in COMMANDS
    assert unknown_options(main.get_command(click.Context(main), name), rest) == []


def test_python_examples_compile():
    for number, (_, code) in enumerate(PYTHON, start=1):
        compile(code, f"README.md, Python example {number}", "exec")


def test_python_examples_run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for number, (mark, code) in enumerate(PYTHON, start=1):
        if mark == "run":
            exec(compile(code, f"README.md, Python example {number}", "exec"), {})
