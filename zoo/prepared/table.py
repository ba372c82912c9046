"""Tables of any size, whose columns are written to files once and mapped."""

import json
from collections.abc import Sequence
from pathlib import Path

from keras_transformer.zoo.data.tables import Table, column, parts_of
from keras_transformer.zoo.errors import InputError
from keras_transformer.zoo.prepared.store import Store
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
    folder, _ = store.entry("table", key, lambda at: _write(at, files, texts, others))
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
        files=[] if len(files) == 1 else list(zip(starts, files, strict=True)),
    )  # fmt: skip


def _write(
    folder: Path, files: Sequence[Path], texts: Sequence[str], others: Sequence[str]
) -> None:
    lines, starts = ArrayWriter(folder / "lines", "int64"), ArrayWriter(folder / "starts", "int64")
    writers: dict[str, TextsWriter | LabelsWriter] | None = None
    rows, integers, unit = 0, set(texts) | set(others), "line"
    for file in files:
        starts.add([rows])
        first = None
        for part in parts_of(file):
            if writers is None:
                names = [*texts, *(name for name in others if name in part.columns)]
                writers = {
                    name: (TextsWriter if name in texts else LabelsWriter)(folder, str(place))
                    for place, name in enumerate(names)
                }
            for name, writer in writers.items():
                if first is not None and name not in part.columns:
                    raise InputError(
                        f"{file}, line {part.lines[0]}: expected the key {name!r} as in other "
                        "lines."
                    )
                writer.add(column(part, name))
            first, unit = part, part.unit
            integers &= part.integers
            lines.add(part.lines)
            rows += len(part.lines)
    for writer in (lines, starts, *writers.values()):
        writer.close()
    described = {"names": list(writers), "integers": sorted(integers), "unit": unit}
    (folder / "columns").write_text(json.dumps(described))

