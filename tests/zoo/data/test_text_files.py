import re

import numpy as np
import pytest

from keras_transformer.zoo.data.tables import PART_ROWS, read_table
from keras_transformer.zoo.data.text_files import (
    LEAST_BOUND,
    max_unpacked,
    plain_lines,
    read_text,
)
from keras_transformer.zoo.errors import InputError
from keras_transformer.zoo.tasks.language_modeling import LanguageModeling
from tests.zoo.data.test_tables import TABLES, write


@pytest.mark.parametrize("line_break", ["\r\n", "\r\r\n", "\r", "\x85"])
@pytest.mark.parametrize("suffix", ["", ".gz"])
@pytest.mark.parametrize("name", TABLES)
def test_other_line_breaks_mean_what_lf_does(tmp_path, name, suffix, line_break):
    content = "\ufeff" + TABLES[name].replace("\n", line_break)
    table = read_table(write(tmp_path, name + suffix, content))
    assert table.columns == {"text": ['say "hi"', ""], "label": ["1", "2"]}
    expected = read_table(write(tmp_path, f"lf_{name}", TABLES[name]))
    assert table.lines == expected.lines


def test_line_breaks_inside_cells(tmp_path):
    path = write(tmp_path, "a.csv", 'text,label\r\n"one\r\ntwo",x\r\n"a\rb\x85c",y\r\n')
    assert read_table(path).columns["text"] == ["one\ntwo", "a\rb\x85c"]
    # Where lines end in LF, the others are in a text.
    path = write(tmp_path, "a.tsv", "text\tlabel\na\rb\tx\n")
    assert read_table(path).columns["text"] == ["a\rb"]
    path = write(tmp_path, "a.jsonl", '{"text": "a\x85b"}')
    assert read_table(path).columns["text"] == ["a\x85b"]


@pytest.mark.parametrize("name", TABLES)
def test_a_long_cell(tmp_path, name):
    text = "a long text " * 50_000
    path = write(tmp_path, name, TABLES[name].replace(r'say \"hi\"', text).replace(
        '"say ""hi"""', text
    ).replace('say "hi"', text))  # fmt: skip
    assert read_table(path).columns["text"][0] == text


def test_more_rows_than_are_read_at_once(tmp_path):
    count = 2 * PART_ROWS + 1
    rows = "".join(f"t{row}\t{row % 3}\n" for row in range(count))
    table = read_table(write(tmp_path, "a.tsv", f"text\tlabel\n{rows}"))
    assert table.columns["text"] == [f"t{row}" for row in range(count)]
    assert table.columns["label"] == [str(row % 3) for row in range(count)]
    assert table.lines == list(range(2, count + 2))


def test_a_file_that_unpacks_to_much_more(tmp_path):
    content = "text\tlabel\n" + "a\tx\nb\ty\n" * (LEAST_BOUND // 8)
    path = write(tmp_path, "a.tsv.gz", content)
    message = (
        f"{path}: expected at most 16 MB unpacked, got more of a file of 0.0 MB; "
        "--max-unpacked MB (max_unpacked in Python) lifts the bound."
    )
    with pytest.raises(InputError, match=f"^{re.escape(message)}$"):
        read_table(path)
    with pytest.raises(InputError, match="Expected a size above 0 to unpack, got size=0"):
        with max_unpacked(0):
            pass
    with max_unpacked(2 * LEAST_BOUND):
        assert read_text(path) == content
    with max_unpacked(1000), pytest.raises(InputError, match="expected at most 0 MB unpacked"):
        read_text(path)


def test_a_file_that_unpacks_to_as_much_as_text_does(tmp_path):
    # Above the bound of small files, but not of its own size.
    rng = np.random.default_rng(0)
    content = rng.bytes(LEAST_BOUND // 15).hex() * 10
    path = write(tmp_path, "a.tsv.gz", content)
    assert len(content) > LEAST_BOUND > path.stat().st_size
    assert read_text(path) == content


@pytest.mark.parametrize("line_break", ["\r\n", "\r", "\x85"])
@pytest.mark.parametrize("suffix", [".txt", ".txt.gz"])
def test_plain_text_means_what_it_does_with_lf(tmp_path, line_break, suffix):
    text = "One line.\n\nAnother \u2028line.\nThe end."
    found = write(tmp_path, f"a{suffix}", "\ufeff" + text.replace("\n", line_break))
    expected = LanguageModeling().read(write(tmp_path, "lf.txt", text))
    assert LanguageModeling().read(found).text == expected.text == text
    in_memory = LanguageModeling().read([text.replace("\n", line_break)])
    assert in_memory.text == f"{text}\n"


def test_line_breaks_may_be_mixed_in_plain_text_and_files_joined():
    assert plain_lines("a\r\nb\rc\nd\x85\ufeffe\r\r\nf \ufeffg") == "a\nb\nc\nd\ne\n\nf \ufeffg"


def test_two_byte_order_marks(tmp_path):
    assert read_table(write(tmp_path, "a.tsv", "\ufeff\ufefftext\na\n")).columns == {"text": ["a"]}
