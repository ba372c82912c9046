"""Tables of any size, whose columns are written to files once and mapped."""

import contextlib
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from keras_transformer.zoo.data.tables import Table, column, parts_of
from keras_transformer.zoo.prepared.store import Store, size_of
from keras_transformer.zoo.prepared.writers import (
    ArrayWriter,
    LabelsWriter,
    TextsWriter,
    mapped,
    read_column,
)
from keras_transformer.zoo.recipe.training_data import file_digest


def prepared_table(
    store: Store, path: Path | str, files: Sequence[Path], texts: Sequence[str],
    others: Sequence[str],
) -> Table:  # fmt: skip
    """Returns columns of files, which are prepared unless that was done before.

    Args:
        store: where.
        path: name of the data.
        files: files with the rows.
        texts: names of the columns of texts.
        others: names of the columns of labels and numbers, each of which may be missing.

    Raises:
        FileNotFoundError, InputError: see `read_table`; or if a file disappeared meanwhile.
    """
    kinds = [[*file.suffixes[-2:]] for file in files]
    key = {
        "files": [[file_digest(file), kind] for file, kind in zip(files, kinds, strict=True)],
        "texts": list(texts), "others": list(others),
    }  # fmt: skip
    size = max(1, size_of(files))

    def told(done: int | None) -> None:
        store.told(path, size if done is None else min(done, size - 1), size)

    folder, _ = store.entry("table", key, lambda at: _write(at, files, texts, others, told))
    lines = mapped(folder / "lines", "int64")
    starts = mapped(folder / "starts", "int64").tolist()
    known = json.loads((folder / "columns").read_text())
    names = [name for name in (*texts, *others) if name in known["names"]]
    columns = {
        name: read_column(folder, str(place), f"{folder.name} {place}")
        for place, name in enumerate(names)
    }
    return Table(
        path=path, columns=columns, lines=lines, unit=known["unit"],
        integers=frozenset(known["integers"]),
        files=list(zip(starts, files, strict=True)),
    )  # fmt: skip


def _write(
    folder: Path, files: Sequence[Path], texts: Sequence[str], others: Sequence[str],
    told: Callable[[int | None], None],
) -> None:  # fmt: skip
    with contextlib.ExitStack() as opened:

        def open_writer(kind: type, *arguments: Any) -> Any:
            return opened.enter_context(contextlib.closing(kind(*arguments)))

        lines = open_writer(ArrayWriter, folder / "lines", "int64")
        starts = open_writer(ArrayWriter, folder / "starts", "int64")
        writers: dict[str, TextsWriter | LabelsWriter] = {}
        rows, integers, unit, done = 0, {*texts, *others}, "line", 0
        for file in files:
            starts.add([rows])
            for part in parts_of(file):
                if not writers:
                    names = [*texts, *(name for name in others if name in part.columns)]
                    writers = {
                        name: open_writer(
                            TextsWriter if name in texts else LabelsWriter, folder, str(place)
                        )
                        for place, name in enumerate(names)
                    }
                for name, writer in writers.items():
                    writer.add(cells := column(part, name))
                    done += sum(map(len, cells))
                told(done)
                lines.add(part.lines)
                rows, unit = rows + len(part.lines), part.unit
                integers &= part.integers
    told(None)
    described = {"names": list(writers), "integers": sorted(integers), "unit": unit}
    (folder / "columns").write_text(json.dumps(described))
