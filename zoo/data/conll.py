"""CoNLL files: a word on each line with its tags in columns, and blank lines between sentences.

Columns are separated by tabs where a line has one, else by runs of spaces. They have numbers from
1, and from the end -1, -2, ...; a `.conllu` file, and one with a line `# global.columns = ...`,
also names them. The first column holds the words by default (`FORM` of names), the last one the
tags (`UPOS`).

Lines `# name = value` are comments, and in a file with tabs all lines that begin with `#` and have
no tab; a word may thus be a `#` itself. `-DOCSTART-` lines are passed over, and in files with
names the words of several tokens (`1-2`) and those that are not in the text (`1.1`).
"""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from keras_transformer.zoo.data.text_files import read_text, rows_on_lines
from keras_transformer.zoo.errors import InputError

SUFFIXES = (".conll", ".conllu", ".bio", ".iob", ".iob2", ".txt")
# Names of the default columns, in data that has names.
WORDS, TAGS = "tokens", "tags"
_CONLLU = "ID FORM LEMMA UPOS XPOS FEATS HEAD DEPREL DEPS MISC".split()
_NAMED = {WORDS: "FORM", TAGS: "UPOS"}
_PLACES = {WORDS: 0, TAGS: -1}
_COMMENT = re.compile(r"# ?[\w.:-]+(?: [\w.:-]+)? =(?: |$)")
_COLUMNS = re.compile(r"# ?global\.columns = (.*)")
_NUMBER = re.compile(r"-?[1-9][0-9]*")
_DOCUMENT = "-DOCSTART-"


class Sentence(NamedTuple):
    """A sentence of a file.

    Attributes:
        words: its words.
        tags: their tags; None if they were not asked for.
        lines: the line of each word, counted from 1.
    """

    words: list[str]
    tags: list[str] | None
    lines: list[int]


def is_conll(path: Path) -> bool:
    """Whether a file's name is that of a CoNLL file, plain or with `.gz` after it."""
    return (path.with_suffix("").suffix if path.suffix == ".gz" else path.suffix) in SUFFIXES


def read_conll(path: Path, words: str, tags: str | None) -> list[Sentence]:
    """Reads the sentences of a CoNLL file, see the module.

    Args:
        path: plain file, or `.gz`.
        words: number or name of the column of words, or `tokens` for the default.
        tags: number or name of that of tags, or `tags` for the default; None to read none.

    Raises:
        FileNotFoundError: if there is no such file.
        InputError: if there is no such column, a line has more or fewer columns than the first, a
            cell is empty, or there is no word; the message names the file and the line.
    """
    lines = rows_on_lines(read_text(path)).split("\n")
    has_tabs = any("\t" in line for line in lines if not _COMMENT.match(line))
    names = _names(path, lines)
    sentences: list[Sentence] = []
    width, at_word, at_tag = 0, 0, None
    current = Sentence([], None if tags is None else [], [])
    for number, line in enumerate([*lines, ""], start=1):
        if not line.strip():
            if current.words:
                sentences.append(current)
                current = Sentence([], None if tags is None else [], [])
            continue
        if _COMMENT.match(line) or (has_tabs and line.startswith("#") and "\t" not in line):
            continue
        # No-break spaces are part of a word, as in 10 000; spaces at the end of a cell of none.
        cells = line.split("\t") if has_tabs else line.split(" ")
        cells = [cell.strip(" ") for cell in cells if has_tabs or cell]
        if cells[0].startswith(_DOCUMENT):
            continue
        place = f"{path}, line {number}"
        if not width:
            width = len(cells)
            at_word = _column(words, names, width, place)
            at_tag = None if tags is None else _column(tags, names, width, place)
            if at_word == at_tag:
                raise InputError(
                    f"{place}: expected a column of words and another one of tags, got "
                    f"{width} {'column' if width == 1 else 'columns'} and both in column "
                    f"{at_word + 1}."
                )
        if len(cells) != width:
            raise InputError(
                f"{place}: expected a word with its tag in {width} columns, as in the first line "
                f"of words, got {len(cells)}."
            )
        if names and re.fullmatch(r"[0-9]+[-.][0-9]+", cells[0]):
            continue
        for cell in (at_word, at_tag):
            if cell is not None and not cells[cell].strip():
                raise InputError(f"{place}: expected text in column {cell + 1}, got a blank.")
        current.words.append(cells[at_word])
        current.lines.append(number)
        if current.tags is not None and at_tag is not None:
            current.tags.append(cells[at_tag])
    if not sentences:
        raise InputError(f"{path}: the file is empty: it has no line of a word.")
    return sentences


def _names(path: Path, lines: Sequence[str]) -> list[str]:
    for line in lines:
        if found := _COLUMNS.match(line):
            return found[1].split()
    return _CONLLU if ".conllu" in path.suffixes else []


def _column(name: str, names: Sequence[str], width: int, place: str) -> int:
    """The place of a column from 0."""
    if name in names:
        found = names.index(name)
    elif name in _PLACES:
        by_name = _NAMED[name]
        found = names.index(by_name) if by_name in names else _PLACES[name] % width
    elif _NUMBER.fullmatch(name):
        number = int(name)
        found = number - 1 if number > 0 else width + number
    else:
        known = f" or one of {', '.join(names)}" if names else ""
        raise InputError(
            f"{place}: expected a column's number, counted from 1{known}, got {name!r}."
        )
    if not 0 <= found < width:
        raise InputError(f"{place}: there is no column {name}; the line has {width}.")
    return found
