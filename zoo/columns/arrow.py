"""Tables of Parquet and Arrow files as columns of texts."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from keras_transformer.zoo.columns.json_lines import list_of, wrong_value
from keras_transformer.zoo.errors import InputError

PARQUET, ARROW = ".parquet", (".arrow", ".feather")
SUFFIXES = (PARQUET, *ARROW)


class Rows(NamedTuple):
    """Rows of a file; see `Table` for what each holds."""

    columns: dict[str, list]
    lines: list[int]
    integers: frozenset[str]
    problems: dict[str, str]
    lists: dict[str, str]


def arrow_rows(path: Path) -> Iterator[Rows]:
    """Yields the rows of a file in parts, at least one.

    Raises:
        InputError: if the file is damaged or has no rows, or pyarrow is not installed.
    """
    pyarrow = _pyarrow(path)
    first = 1
    try:
        with open(path, "rb") as file:
            for batch in _batches(pyarrow, path, file):
                # Whatever bytes a file has, its values are then of their types.
                batch.validate(full=True)
                if batch.num_rows:
                    yield _rows(path, batch, first)
                    first += batch.num_rows
    except (pyarrow.ArrowException, OSError) as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise
        kind = "Parquet" if path.suffix == PARQUET else "Arrow"
        raise InputError(f"{path}: expected {kind}, got what cannot be read.") from error
    if first == 1:
        raise InputError(f"{path}: the file has no rows.")


def _batches(pyarrow: Any, path: Path, file: Any) -> Iterator[Any]:
    if path.suffix == PARQUET:
        yield from pyarrow.parquet.ParquetFile(file).iter_batches()
        return
    try:
        reader = pyarrow.ipc.open_file(file)
    except pyarrow.ArrowInvalid:
        # The form that is sent, which has no end at which the parts are listed.
        file.seek(0)
        yield from pyarrow.ipc.open_stream(file)
        return
    for number in range(reader.num_record_batches):
        yield reader.get_batch(number)


def _rows(path: Path, batch: Any, first: int) -> Rows:
    columns: dict[str, list] = {}
    integers: set[str] = set()
    problems: dict[str, str] = {}
    lists: dict[str, str] = {}
    for name, values in zip(batch.schema.names, batch.columns, strict=True):
        if name in columns:
            problems[name] = f"{path}: the column {name!r} is there twice."
            continue
        try:
            read = [_text(value) for value in values.to_pylist()]
        except (ValueError, OverflowError) as error:
            # Such as times that Python has none for, in a column that nobody may ask for.
            problems[name] = f"{path}: the column {name!r} cannot be read ({error})."
            columns[name] = [""] * batch.num_rows
            continue
        columns[name] = [text for text, _ in read]
        for row, (text, kind) in enumerate(read, start=first):
            if kind is not None:
                wrong = wrong_value(f"{path}, row {row}", name, kind)
                (lists if isinstance(text, list) else problems).setdefault(name, wrong)
        if str(values.type).removeprefix("u").startswith("int"):
            integers.add(name)
    lines = list(range(first, first + batch.num_rows))
    return Rows(columns, lines, frozenset(integers), problems, lists)


def _text(value: Any) -> tuple[Any, str | None]:
    """A value as text or a list of texts, and what it is if not one text."""
    if isinstance(value, str):
        return value, None
    if isinstance(value, bool):
        return ("true" if value else "false"), None
    if isinstance(value, int | float):
        return repr(value), None
    if isinstance(value, list):
        return list_of([_text(one) for one in value])
    return "", "nothing" if value is None else f"a value of type {type(value).__name__}"


def _pyarrow(path: Path) -> Any:
    try:
        import pyarrow.parquet
    except ImportError:
        raise InputError(
            f"{path}: expected pyarrow, which reads it; pip install "
            "'keras-transformer-zoo[parquet]'."
        ) from None
    return pyarrow
