"""Predictions of a model of rows of two kinds that match: vectors, labels, search."""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import click

from keras_transformer.cli import kinds
from keras_transformer.cli.nearest import MATCHES, lines_of, write_nearest
from keras_transformer.cli.predictions import note_cuts, print_json, print_table, values
from keras_transformer.cli.rows import named_rows
from keras_transformer.cli.vectors import typed
from keras_transformer.zoo.errors import InputError
from keras_transformer.zoo.matching import TEXT

labels_option = click.option(
    "--labels", type=kinds.EXISTING_FILE, metavar="FILE",
    help="Text file with a label on each line, such as a photo of a cat: the nearest to each image "
    "is its label, by a model of images and texts.",
)  # fmt: skip


def write_matching(
    predictor: Any, model: Path, texts: Sequence[str], given: dict[str, Any], as_json: bool, *,
    labels: Path | None, nearest: Path | None, matches: int | None, vectors: str | None,
) -> None:  # fmt: skip
    """Prints labels of images or sounds, what is the nearest to rows of a kind, or their vectors.

    Args:
        predictor: model of rows of two kinds.
        model: its path.
        texts: texts, or paths of files of the other kind.
        given: options of `run`, from which the rows of a kind are taken, see `named_rows`.
        as_json: whether JSON is printed.
        labels, nearest, matches, vectors: options of `run`.
    """
    kind, arguments = rows_of_one(predictor, texts, named_rows(given))
    reader = predictor.head(kind)
    if labels is not None:
        if nearest is not None or vectors is not None:
            raise InputError("Expected --labels without --nearest and --vectors, got one of them.")
        if kind == TEXT:
            others = " or ".join(one for one in predictor.head_names if one != TEXT)
            raise InputError(f"Expected --labels for {others} files, got {arguments[0]!r}.")
        predictions = predictor.classify(list(arguments), lines_of(labels).rows)
    elif nearest is not None:
        ranker = predictor.head(ranked_kind(predictor, kind, nearest))
        write_nearest(reader, ranker, model, arguments, nearest, matches or MATCHES, as_json)
        return
    else:
        predictions = reader.predict(list(arguments))
        predictions = predictions if vectors is None else typed(predictions, vectors)
    note_cuts(reader, predictions)
    if as_json:
        rows = [
            {reader.modality.column: row, **values(one)}
            for row, one in zip(arguments, predictions, strict=True)
        ]
        print_json(model, rows)
    else:
        print_table(arguments, predictions, reader.modality.column)


def rows_of_one(
    predictor: Any, arguments: Sequence[str], named: Mapping[str, Sequence[str]]
) -> tuple[str, Sequence[str]]:
    """Returns the kind and the rows of it, from arguments or from the option of a kind.

    Raises:
        InputError: if they are of several kinds, or of none that the model reads.
    """
    if not named:
        if not arguments:
            raise click.UsageError("Expected texts or paths as arguments, got none.")
        return kind_of(predictor, arguments), arguments
    [first, *others] = named
    if arguments or others or first not in predictor.head_names:
        known = " or ".join(f"--{name}" for name in predictor.head_names)
        got = [repr(one) for one in arguments[:1]] + [f"--{name}" for name in named]
        raise InputError(
            f"Expected rows of one kind, as arguments or by {known}, got {' and '.join(got)}."
        )
    return first, named[first]


def kind_of(predictor: Any, arguments: Sequence[str]) -> str:
    """Returns the kind of rows that arguments are: by the ends of their names, else texts.

    Raises:
        InputError: if they are of several kinds, of none that the model reads, or paths of what it
            does not read.
    """
    found = {one: _kind(predictor, one) for one in arguments}
    first = found[arguments[0]]
    for one, kind in found.items():
        if kind == TEXT and os.path.exists(one):
            what, hint = "file", ""
            if os.path.isdir(one):
                what, hint = "folder", "; --nearest ranks the files of a folder"
            raise InputError(
                f"Expected a text, or a file that ends in {_ends(predictor)}, got the {what} "
                f"{one!r}{hint}, and --text reads its name as a text."
            )
        if kind is None:
            raise InputError(f"Expected a file that ends in {_ends(predictor)}, got {one!r}.")
        if kind != first:
            raise InputError(
                f"Expected arguments of one kind, got {arguments[0]!r}, which is {first}, and "
                f"{one!r}, which is {kind}."
            )
    return first


def ranked_kind(predictor: Any, kind: str, path: Path) -> str:
    """Returns the kind of what is in a folder or in a file of lines.

    Args:
        predictor: model of rows of two kinds.
        kind: kind of the queries.
        path: the folder, or the file.

    Raises:
        InputError: if the model reads no texts, which are the lines of a file.
    """
    names = predictor.head_names
    if not path.is_dir():
        if TEXT not in names:
            raise InputError(
                f"Expected --nearest to be a folder for {', '.join(names)}, got the file {path}."
            )
        return TEXT
    others = [name for name in names if name != TEXT]
    # A folder is of the other kind, where both are of files.
    return next((name for name in others if name != kind), kind)


def _kind(predictor, argument):
    for name in predictor.head_names:
        suffixes = predictor.head(name).modality.suffixes
        if Path(argument).suffix.lower() in suffixes:
            return name
    return TEXT if TEXT in predictor.head_names else None


def _ends(predictor):
    found = (predictor.head(name).modality.suffixes for name in predictor.head_names)
    return ", ".join(suffix for some in found for suffix in some)
