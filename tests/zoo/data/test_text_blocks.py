"""Blocks of a table's text, which make up what is read at once."""

import gzip

import numpy as np
import pytest

from keras_transformer.zoo.data.tables import read_table, table_parts
from keras_transformer.zoo.data.text_files import read_text, rows_on_lines, text_blocks
from keras_transformer.zoo.errors import InputError


@pytest.mark.parametrize("suffix", [".tsv", ".tsv.gz"])
def test_blocks_make_up_the_text(tmp_path, suffix):
    rng = np.random.default_rng(0)
    letters = ["a", "é", "\u2028", "\x85", "\r", "\n", "\r\n", "\n\n", "\ufeff", "\t"]
    for case in range(300):
        text = "".join(rng.choice(letters, rng.integers(1, 40)))
        data = ("\ufeff" * (case % 3 == 0) + text).encode()
        path = tmp_path / f"a{suffix}"
        path.write_bytes(gzip.compress(data) if suffix.endswith(".gz") else data)
        for size in (1, 7, 1000):
            blocks = list(text_blocks(path, size))
            assert "\n".join(blocks) == rows_on_lines(read_text(path)).rstrip("\n"), (text, size)
            assert all(block and not block.endswith("\n") for block in blocks)


@pytest.mark.parametrize("name", ["a.tsv", "a.csv", "a.jsonl"])
def test_parts_are_the_table(tmp_path, name):
    path, rows = tmp_path / name, [[f"text {i} x", str(i % 3)] for i in range(50)]
    rows[7][0] = "a, b" if name == "a.csv" else "é"
    if name == "a.jsonl":
        lines = [f'{{"text": "{text}", "label": {label}}}' for text, label in rows]
        lines[3] += "\n"
    else:
        lines = ["text\tlabel", *("\t".join(row) for row in rows)]
        if name == "a.csv":
            lines = ["text,label", *(f'"{text}\nsecond ""line""",{label}' for text, label in rows)]
    path.write_text("\n".join(lines) + "\n\n", encoding="utf-8")
    whole, parts = read_table(path), list(table_parts(path, text_blocks(path, 64)))
    assert whole.columns["label"] == [label for _, label in rows]
    for column in ("text", "label"):
        assert whole.columns[column] == [one for part in parts for one in part.columns[column]]
    assert whole.lines == [line for part in parts for line in part.lines]
    assert whole.at(5) == f"{path}, line {whole.lines[5]}"


def test_bad_bytes_are_found_on_their_line(tmp_path):
    path = tmp_path / "a.tsv"
    path.write_bytes(b"text\tlabel\n" + b"fine\t1\n" * 20 + b"b\xffd\t1\n")
    for read in (read_table, lambda path: list(text_blocks(path, 16))):
        with pytest.raises(InputError, match=r"line 22: the file is not UTF-8 \(byte 0xff\)"):
            read(path)
