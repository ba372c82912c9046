"""Texts on the lines of standard input."""

import codecs
import sys
from typing import Any

import click

from keras_transformer.zoo.errors import InputError


def read_lines(predictor: Any) -> tuple[list[str], list[str], list[int]]:
    """Texts and second texts from standard input, and the places of blank lines that are neither.

    For labels and numbers of single texts a blank line is a text; nothing can be written for it.
    """
    from keras_transformer.cli import display
    from keras_transformer.zoo.data.text_files import rows_on_lines

    source = sys.stdin.buffer
    if source.isatty():
        raise click.UsageError("Expected texts as arguments or on standard input, got none.")
    data = source.read()
    # PowerShell pipes and writes UTF-16 with a byte order mark.
    is_utf16 = data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    try:
        text = data.decode("utf-16" if is_utf16 else "utf-8-sig")
    except UnicodeDecodeError as error:
        encoding = "UTF-16" if is_utf16 else "UTF-8"
        line = error.object[: error.start].count(b"\n") + 1
        raise InputError(f"Standard input, line {line}: the text is not {encoding}.") from None
    if "\0" in text:
        line = text[: text.index("\0")].count("\n") + 1
        raise InputError(f"Standard input, line {line}: expected text in UTF-8, got a NUL.")
    if not text.strip("\r\n"):
        raise InputError("Expected texts as arguments or on standard input, got none.")
    lines = rows_on_lines(text).removesuffix("\n").split("\n")
    passed_over = predictor.generates or predictor.pair
    blank = [place for place, line in enumerate(lines) if not line.strip()]
    if blank:
        display.note(
            f"{len(blank)} of {len(lines)} lines of standard input are blank"
            f"{' and were passed over' if passed_over else ''}: "
            f"{display.first_of([place + 1 for place in blank])}."
        )
    if not passed_over:
        return lines, [], []
    numbered = [(number, line) for number, line in enumerate(lines, start=1) if line.strip()]
    if not numbered:
        raise InputError("Expected texts on standard input, got only blank lines.")
    if not predictor.pair:
        return [line for _, line in numbered], [], blank
    rows = []
    for number, line in numbered:
        rows.append(line.split("\t"))
        if len(rows[-1]) != 2:
            raise InputError(
                f"Standard input, line {number}: expected two texts with a tab between them, "
                f"got {len(rows[-1])}."
            )
    return [row[0] for row in rows], [row[1] for row in rows], blank
