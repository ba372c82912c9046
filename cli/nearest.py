"""Lines of a file, or files of a folder, ranked by the cosines of their vectors with queries."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import click
import numpy as np

from keras_transformer.cli import kinds
from keras_transformer.cli.predictions import note_cuts, print_json, short
from keras_transformer.zoo.errors import InputError
from keras_transformer.zoo.outputs import Vector, nearest

MATCHES = 5
# Rows whose outputs are computed together.
ROWS_AT_ONCE = 1024


def nearest_options(command: Callable) -> Callable:
    """Adds the options that rank lines or files."""
    matches = click.option(
        "--matches", type=kinds.IntegerRange(min=1), metavar="N",
        help=f"Number of lines or files that --nearest ranks.  [default: {MATCHES}]",
    )  # fmt: skip
    ranked = click.option(
        "--nearest", type=kinds.EXISTING_DATA, metavar="FILE|DIR",
        help="Text file whose most similar lines are ranked for each TEXT, by a model of "
        "embeddings; or folder of images or sounds, by a model of them and of texts.",
    )  # fmt: skip
    return ranked(matches(command))


class Candidates(NamedTuple):
    """What is ranked.

    Attributes:
        rows: raw rows.
        places: number of the line of each, from 1; empty for files.
        path: path of the file or the folder.
    """

    rows: list[Any]
    places: list[int]
    path: Path

    @property
    def noun(self) -> str:
        """What the rows are."""
        return "lines" if self.places else "files"

    def row(self, place: int, cosine: float) -> dict[str, Any]:
        """Returns a ranked row as a JSON-serializable object."""
        if not self.places:
            return {"file": str(self.rows[place]), "cosine": cosine}
        return {"line": self.places[place], "text": self.rows[place], "cosine": cosine}


def lines_of(path: Path) -> Candidates:
    """Returns the lines of a text file; blank ones are passed over.

    Raises:
        InputError: if the file has no text.
    """
    from keras_transformer.zoo.data.plain_text import load_plain_text

    numbered = enumerate(load_plain_text(path).text.split("\n"), start=1)
    lines = [(number, line) for number, line in numbered if line.strip()]
    return Candidates([line for _, line in lines], [number for number, _ in lines], path)


def files_of(folder: Path, suffixes: Sequence[str]) -> Candidates:
    """Returns the files in a folder and its folders, sorted; hidden ones are passed over.

    Args:
        folder: the folder.
        suffixes: how the names of the files end, in lower case.

    Raises:
        InputError: if there is none.
    """
    found = sorted(
        one for one in folder.rglob("*")
        if one.suffix.lower() in suffixes and one.is_file()
        and not any(part.startswith(".") for part in one.relative_to(folder).parts)
    )  # fmt: skip
    if not found:
        raise InputError(f"Expected files that end in {', '.join(suffixes)} in {folder}, got none.")
    return Candidates(found, [], folder)


def ranked(
    predictor: Any, queries: Sequence[np.ndarray], candidates: Candidates, count: int
) -> list[list[dict[str, Any]]]:
    """Returns for each query vector the most similar candidates, best first.

    Args:
        predictor: model of embeddings that reads the candidates.
        queries: vectors (D,).
        candidates: what is ranked.
        count: number of candidates for each query.
    """
    from keras_transformer.cli import display

    rows = candidates.rows
    found = [
        predictor.outputs(rows[first : first + ROWS_AT_ONCE])
        for first in range(0, len(rows), ROWS_AT_ONCE)
    ]
    if cut := sum(sum(one.truncated) for one in found):
        display.note(
            f"{cut} of {len(rows)} {candidates.noun} of {candidates.path} are longer than "
            f"{predictor.modality.longest} and were cut."
        )
    vectors = np.concatenate([one.scores for one in found])
    places, cosines = nearest(np.array(queries), vectors, count)
    return [
        [candidates.row(place, cosine) for place, cosine in zip(*both, strict=True)]
        for both in zip(places.tolist(), cosines.tolist(), strict=True)
    ]


def write_nearest(
    reader: Any, ranker: Any, model: Path, rows: Sequence[str], corpus: Path, matches: int,
    as_json: bool,
) -> None:  # fmt: skip
    """Prints the lines or files that are the most similar to each row.

    Args:
        reader: model of embeddings that reads the rows.
        ranker: the one that reads what is ranked.
        model: path of the model.
        rows: texts or paths.
        corpus: text file, or folder of what `ranker` reads.
        matches: number of lines or files for each row.
        as_json: whether JSON is printed.
    """
    from keras_transformer.cli import display

    suffixes = ranker.modality.suffixes
    candidates = files_of(corpus, suffixes) if corpus.is_dir() else lines_of(corpus)
    results: list[Vector] = reader.predict(list(rows))
    note_cuts(reader, results)
    found = ranked(ranker, [one.vector for one in results], candidates, matches)
    use = reader.modality.column
    if as_json:
        shown = [
            {use: row, "truncated": one.truncated, "nearest": lines}
            for row, one, lines in zip(rows, results, found, strict=True)
        ]
        print_json(model, shown)
        return
    last = f"Text of {corpus}" if candidates.places else f"File of {corpus}"
    columns = ("Cosine", "Line", last) if candidates.places else ("Cosine", last)
    for row, lines in zip(rows, found, strict=True):
        cells = [(one["cosine"], *map(_cell, list(one.values())[:-1])) for one in lines]
        display.table(short(row) if len(rows) > 1 else None, columns, cells)


def _cell(value):
    return short(value) if isinstance(value, str) else value
