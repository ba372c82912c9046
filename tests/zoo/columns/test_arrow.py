"""Parquet and Arrow tables, read as those of JSON Lines."""

import numpy as np
import pytest

from keras_transformer.zoo.data.sources import read_source
from keras_transformer.zoo.data.tables import column, column_of_lists, parts_of, read_table
from keras_transformer.zoo.errors import InputError

pyarrow = pytest.importorskip("pyarrow")
pytest.importorskip("pyarrow.parquet")


def written(path, columns, rows=3):
    """Writes a table in parts of some rows."""
    table = pyarrow.table(columns)
    if path.suffix == ".parquet":
        pyarrow.parquet.write_table(table, path, row_group_size=rows)
    else:
        kind = pyarrow.ipc.new_stream if path.suffix == ".feather" else pyarrow.ipc.new_file
        with kind(path, table.schema) as writer:
            writer.write_table(table, max_chunksize=rows)
    return path


@pytest.mark.parametrize("suffix", [".parquet", ".arrow", ".feather"])
def test_values_are_texts(tmp_path, suffix):
    columns = {
        "text": [f"row {i} é\n" for i in range(7)], "label": list(range(7)),
        "score": [0.1, 1e-7, 2.0, -1.5, 3.25, 1e30, 0.0], "is": [True, False, True] * 2 + [True],
        "tags": [["a"], [], ["b", "c"], ["a"], ["a"], ["a"], ["a"]],
    }  # fmt: skip
    path = written(tmp_path / f"a{suffix}", columns)
    table = read_table(path)
    assert column(table, "text") == columns["text"]
    assert column(table, "label") == [str(i) for i in range(7)] and "label" in table.integers
    assert [float(one) for one in column(table, "score")] == columns["score"]
    assert column(table, "is") == ["true", "false", "true"] * 2 + ["true"]
    assert column_of_lists(table, "tags") == columns["tags"]
    # Parquet comes in parts of 65,536 rows, whatever the groups of the file.
    parts = 1 if suffix == ".parquet" else 3
    assert table.at(3) == f"{path}, row 4" and len(list(parts_of(path))) == parts
    with pytest.raises(InputError, match="row 1: expected 'tags' to be a string"):
        column(table, "tags")


def test_numbers_of_labels_are_indices(tmp_path):
    path = written(tmp_path / "a.parquet", {"text": ["a", "b"], "label": np.array([1, 0])})
    from keras_transformer.zoo.tasks.classification import Classification

    task = Classification(labels=["bad", "good"])
    assert task.read(path).targets.tolist() == [1, 0]


@pytest.mark.parametrize("suffix", [".parquet", ".arrow"])
def test_bad_files(tmp_path, suffix):
    path = tmp_path / f"a{suffix}"
    with pytest.raises(FileNotFoundError):
        read_table(path)
    for data in (b"", b"no such file", b"PAR1" + b"\x00" * 50 + b"PAR1", b"ARROW1\x00\x00" * 9):
        path.write_bytes(data)
        with pytest.raises(InputError, match=r"expected (Parquet|Arrow), got|has no rows"):
            read_table(path)
    whole = written(path, {"text": ["some text"] * 500}).read_bytes()
    for size in range(20, len(whole) - 20, max(1, len(whole) // 25)):
        path.write_bytes(whole[:size])
        with pytest.raises(InputError, match=str(path)):
            read_table(path)
    written(path, {"text": ["a", None, "c"]})
    with pytest.raises(InputError, match=f"{path}, row 2: expected 'text' to be .*, got nothing"):
        column(read_source(path, ["text"]), "text")
    written(path, {"text": pyarrow.array([], pyarrow.string())})
    with pytest.raises(InputError, match="the file has no rows"):
        read_table(path)


def test_columns_that_nobody_asks_for_may_be_odd(tmp_path):
    times = pyarrow.array([1, 1234567891234567], pyarrow.timestamp("ns"))
    late = pyarrow.array([2**55, 0], pyarrow.timestamp("ms"))
    path = written(tmp_path / "a.arrow", {"text": ["a", "b"], "times": times, "late": late})
    table = read_table(path)
    assert column(table, "text") == ["a", "b"]
    for name in ("times", "late"):
        with pytest.raises(InputError, match=f"column {name!r} cannot be read|expected {name!r}"):
            column(table, name)


def test_bytes_that_are_no_text(tmp_path):
    bad = pyarrow.StringArray.from_buffers(
        1, pyarrow.py_buffer(np.array([0, 1], np.int32)), pyarrow.py_buffer(b"\xff")
    )
    path = written(tmp_path / "a.arrow", {"text": bad})
    with pytest.raises(InputError, match="expected Arrow, got what cannot be read"):
        read_table(path)
