"""Reference pages of the commands: `python -m keras_transformer.cli.pages FOLDER` writes them."""

import sys
from pathlib import Path

import click

from keras_transformer.cli.main import COMMANDS, main

# Wide enough that click does not wrap lines; Markdown is wrapped by its renderer.
WIDTH = 10_000
NOTE = "<!-- Made by `python -m keras_transformer.cli.pages docs/cli` from the command. -->"


def page(name: str) -> str:
    """Returns the Markdown page of a command: usage, description, example, arguments, options."""
    context = click.Context(
        main.get_command(click.Context(main), name), info_name=f"keras-transformer {name}",
        max_content_width=WIDTH, terminal_width=WIDTH,
    )  # fmt: skip
    command = context.command
    usage = command.get_usage(context).removeprefix("Usage: ")
    paragraphs = [" ".join(part.split()) for part in (command.help or "").split("\n\n")]
    calls = [part.split(": keras-transformer ", 1) for part in paragraphs]
    examples = [
        f"keras-transformer {call[1]}" if call[0] == "Example" else
        f"# {call[0]}\nkeras-transformer {call[1]}"
        for call in calls if len(call) > 1
    ]  # fmt: skip
    text = [call[0] for call in calls if len(call) == 1 and call[0]]
    lines = [f"# keras-transformer {name}", NOTE, *text, f"```text\n{usage}\n```"]
    if examples:
        lines += ["## Examples", "```sh\n" + "\n".join(examples) + "\n```"]
    records = [
        parameter.get_help_record(context)
        for parameter in command.get_params(context)
        if isinstance(parameter, click.Option)
    ]
    table = ["| option | |", "|---|---|"]
    for option, help_text in records:
        # A bar ends a cell, in code too.
        cells = (f"`{option}`".replace("|", "\\|"), help_text.replace("|", "\\|"))
        table.append(f"| {cells[0]} | {cells[1]} |")
    return "\n\n".join([*lines, "## Options", "\n".join(table)]) + "\n"


def index() -> str:
    """Returns the Markdown page that lists the commands."""
    rows = [f"| [{name}]({name}.md) | {line} |" for name, (_, _, line) in COMMANDS.items()]
    return "\n".join(
        ["# Commands", "", NOTE, "", "| command | |", "|---|---|", *rows, ""]
    )


def pages() -> dict[str, str]:
    """Returns all pages by the name of their file."""
    return {"index.md": index(), **{f"{name}.md": page(name) for name in COMMANDS}}


if __name__ == "__main__":
    for file, content in pages().items():
        (Path(sys.argv[1]) / file).write_text(content, encoding="utf-8")
