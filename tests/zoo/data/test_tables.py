import gzip
import re

import numpy as np
import pytest

from keras_transformer.zoo.data.tables import column, read_table
from keras_transformer.zoo.errors import InputError
from keras_transformer.zoo.tasks.classification import Classification
from keras_transformer.zoo.tasks.regression import Regression


def write(folder, name, content):
    path = folder / name
    data = content if isinstance(content, bytes) else content.encode()
    path.write_bytes(gzip.compress(data) if name.endswith(".gz") else data)
    return path


TABLES = {
    "a.tsv": 'text\tlabel\nsay "hi"\t1\n\t2\n',
    "a.csv": 'text,label\n"say ""hi""",1\n,2\n',
    "a.jsonl": '{"text": "say \\"hi\\"", "label": 1}\n{"label": "2", "text": ""}\n',
}


@pytest.mark.parametrize("suffix", ["", ".gz"])
@pytest.mark.parametrize("name", TABLES)
@pytest.mark.parametrize("line_break", ["\n", "\r\n"])
def test_reads_each_format(tmp_path, name, suffix, line_break):
    content = TABLES[name].replace("\n", line_break)
    table = read_table(write(tmp_path, name + suffix, content))
    assert table.columns == {"text": ['say "hi"', ""], "label": ["1", "2"]}
    assert len(table.lines) == 2
    assert table.lines == ([1, 2] if name == "a.jsonl" else [2, 3])


def test_byte_order_mark_and_missing_last_line_break(tmp_path):
    table = read_table(write(tmp_path, "a.tsv", b"\xef\xbb\xbftext\tlabel\na\tb"))
    assert table.columns == {"text": ["a"], "label": ["b"]}


def test_unicode_line_separators_stay_in_the_text(tmp_path):
    table = read_table(write(tmp_path, "a.tsv", "text\tlabel\na\u2028b\x85c\tx\n"))
    assert table.columns["text"] == ["a\u2028b\x85c"]


def test_csv_field_over_several_lines_counts_lines(tmp_path):
    table = read_table(write(tmp_path, "a.csv", 'text,label\n"one\ntwo",x\nthree,y\n'))
    assert table.columns["text"] == ["one\ntwo", "three"]
    assert table.lines == [2, 4]


def test_json_numbers_keep_their_digits_and_booleans_their_name(tmp_path):
    path = write(tmp_path, "a.jsonl", '{"a": 1.50, "b": true, "c": 12345678901234567890}\n')
    assert read_table(path).columns == {"a": ["1.50"], "b": ["true"], "c": ["12345678901234567890"]}


def test_blank_lines(tmp_path):
    one_column = read_table(write(tmp_path, "a.tsv", "text\na\n\nb\n\n"))
    assert one_column.columns == {"text": ["a", "", "b"]}
    assert one_column.lines == [2, 3, 4]
    with pytest.raises(InputError, match=r"b\.tsv, line 3: expected 2 columns .*, got 1\."):
        read_table(write(tmp_path, "b.tsv", "text\tlabel\na\tx\n\nb\ty\n"))


BAD_TABLES = [
    ("a.tsv", "", ": the file is empty."),
    ("a.tsv.gz", "", ": the file is empty."),
    ("a.csv", "\n\n", ": the file is empty."),
    ("a.jsonl", "\n", ": the file is empty."),
    ("a.tsv", "text\tlabel\n", ": the file has a header but no rows."),
    (
        "a.tsv",
        "text\tlabel\na\tb\na\tb\tc\n",
        ", line 3: expected 2 columns as in the header, got 3.",
    ),
    ("a.csv", 'x,y\n"a\nb",c\nd\n', ", line 4: expected 2 columns as in the header, got 1."),
    ("a.csv", 'x,y\na,b\n"a,b\n', ", line 3: bad CSV (unexpected end of data)."),
    ("a.tsv", "text\ttext\na\tb\n", ", line 1: the column 'text' is there twice."),
    ("a.tsv", b"text\na\n\xff\n", ", line 3: the file is not UTF-8 (byte 0xff)."),
    (
        "a.tsv",
        b"\xef\xbb\xbftext\na\n\xff\n",
        ", line 3: the file is not UTF-8 (byte 0xff).",
    ),
    (
        "a.jsonl",
        '{"a": 1}\n{"a": \n',
        ", line 2: bad JSON (Expecting value: line 1 column 7 (char 6)).",
    ),
    ("a.jsonl", "[1]\n", ", line 1: expected a JSON object with at least one key."),
    ("a.jsonl", "{}\n", ", line 1: expected a JSON object with at least one key."),
    (
        "a.xlsx",
        "x",
        ": expected a name that ends in .tsv, .csv, .jsonl (or one of them and .gz), .parquet, "
        ".arrow, .feather.",
    ),
]


@pytest.mark.parametrize(("name", "content", "message"), BAD_TABLES)
def test_bad_table(tmp_path, name, content, message):
    path = write(tmp_path, name, content)
    with pytest.raises(InputError) as error:
        read_table(path)
    assert str(error.value) == f"{path}{message}"


BAD_KEYS = [
    ('{"a": 1}\n{"b": 1}\n', ", line 2: expected the key 'a' as in other lines, got 'b'."),
    ('{"b": 1}\n\n{"a": 1}\n', ", line 1: expected the key 'a', which line 3 has."),
    ('{"a": 1, "a": 2}\n', ", line 1: the column 'a' is there twice."),
    ('{"a": 1}\n{"a": 1, "a": 2}\n', ", line 2: the column 'a' is there twice."),
    *(
        (
            f'{{"a": 1}}\n\n{{"a": {value}}}\n',
            f", line 3: expected 'a' to be a string, a number, true or false, got {what}.",
        )
        for value, what in {
            "null": "null", '{"b": 1}': "an object", "[1]": "a list", "NaN": "NaN",
            "Infinity": "Infinity", "-Infinity": "-Infinity",
        }.items()
    ),
]  # fmt: skip


@pytest.mark.parametrize(("content", "message"), BAD_KEYS)
def test_a_json_key_without_a_text_in_each_line(tmp_path, content, message):
    table = read_table(write(tmp_path, "a.jsonl", content))
    with pytest.raises(InputError) as error:
        column(table, "a")
    assert str(error.value) == f"{table.path}{message}"


def test_json_keys_that_nobody_asked_for_may_be_anything(tmp_path):
    content = (
        '{"id": null, "text": "a", "tags": [1, {"b": 2}], "label": "x"}\n'
        '{"text": "b", "label": "y", "more": {"score": NaN}, "more": 3}\n'
    )
    path = write(tmp_path, "a.jsonl", content)
    examples = classification(path)
    assert (examples.texts, examples.labels) == (["a", "b"], ["x", "y"])
    for name in ("id", "tags", "more"):
        with pytest.raises(InputError, match=rf"a\.jsonl, line 1: expected .*'{name}'"):
            column(read_table(path), name)
    with pytest.raises(InputError, match="the columns are 'id', 'text', 'tags', 'label', 'more'"):
        column(read_table(path), "score")


@pytest.mark.parametrize("value", ["NaN", "Infinity", "null"])
@pytest.mark.parametrize("task", [Classification(), Regression()])
def test_json_labels_that_are_no_labels(tmp_path, value, task):
    content = f'{{"text": "a", "label": 1}}\n{{"text": "b", "label": {value}}}'
    path = write(tmp_path, "a.jsonl", content)
    with pytest.raises(InputError) as error:
        task.read(path)
    assert str(error.value) == (
        f"{path}, line 2: expected 'label' to be a string, a number, true or false, got {value}."
    )
    # Where labels may be missing, they may be missing in some rows.
    assert task.read(path, labelled=False).targets is None


@pytest.mark.parametrize("keep", [5, 20, -4])
def test_cut_short_gzip(tmp_path, keep):
    whole = gzip.compress(b"text\tlabel\n" + bytes(range(32, 127)) + b"\tx\n")
    path = tmp_path / "a.tsv.gz"
    path.write_bytes(whole[:keep])
    with pytest.raises(InputError, match=r"a\.tsv\.gz: the gzip data is damaged or cut short"):
        read_table(path)


def test_gzip_suffix_without_gzip(tmp_path):
    path = tmp_path / "a.tsv.gz"
    path.write_text("text\na\n")
    with pytest.raises(InputError, match="the gzip data is damaged or cut short"):
        read_table(path)


def test_missing_file_and_folder(tmp_path):
    with pytest.raises(FileNotFoundError, match=re.escape(f"There is no file {tmp_path}/no.tsv.")):
        read_table(tmp_path / "no.tsv")
    (tmp_path / "folder.tsv").mkdir()
    with pytest.raises(InputError, match=r"folder\.tsv: expected a table .*, got a folder\."):
        read_table(tmp_path / "folder.tsv")


def test_deep_json_is_bad_json(tmp_path):
    with pytest.raises(InputError, match="line 1: bad JSON"):
        read_table(write(tmp_path, "a.jsonl", "[" * 200_000))


def classification(path, labels=(), **columns):
    return Classification(labels=labels).read(path, columns)


def test_learns_names_sorted(tmp_path):
    path = write(tmp_path, "a.tsv", "text\tlabel\na\tpos\nb\tneg\nc\tpos\n")
    examples = classification(path)
    assert examples.texts == ["a", "b", "c"]
    assert examples.pairs is None
    assert examples.labels == ["neg", "pos"]
    np.testing.assert_array_equal(examples.targets, np.array([1, 0, 1], np.int32))
    assert examples.targets.dtype == np.int32
    assert examples.path == path
    assert examples.lines == [2, 3, 4]


def test_learns_integers_in_numeric_order(tmp_path):
    path = write(tmp_path, "a.csv", "text,label\na,10\nb,9\nc,-1\n")
    examples = classification(path)
    assert examples.labels == ["-1", "9", "10"]
    np.testing.assert_array_equal(examples.targets, [2, 1, 0])


def test_known_labels_keep_their_order_and_need_not_all_occur(tmp_path):
    path = write(tmp_path, "a.tsv", "text\tlabel\na\tx\n")
    examples = classification(path, labels=["y", "x"])
    assert examples.labels == ["y", "x"]
    np.testing.assert_array_equal(examples.targets, [1])


def test_pairs_and_no_label(tmp_path):
    path = write(tmp_path, "a.tsv", "text\tother\na\tb\n")
    examples = classification(path, text_pair="other", label=None)
    assert (examples.texts, examples.pairs, examples.targets) == (["a"], ["b"], None)


def test_regression(tmp_path):
    path = write(tmp_path, "a.tsv", "text\tscore\na\t1.5\nb\t-2\n")
    examples = Regression().read(path, {"label": "score"})
    np.testing.assert_array_equal(examples.targets, np.array([1.5, -2], np.float32))
    assert examples.targets.dtype == np.float32
    assert examples.labels == []


@pytest.mark.parametrize("value", ["", "many", "nan", "inf", "1_0"])
def test_regression_refuses_what_is_no_number(tmp_path, value):
    path = write(tmp_path, "a.tsv", f"text\tscore\na\t1\nb\t{value}\n")
    with pytest.raises(InputError) as error:
        Regression().read(path, {"label": "score"})
    assert str(error.value) == (
        f"{path}, line 3: expected a finite number in column 'score', got {value!r}."
    )


@pytest.mark.parametrize("option", ["text", "text_pair", "label"])
def test_missing_column_names_the_columns(tmp_path, option):
    path = write(tmp_path, "a.tsv", "text\tlabel\na\tx\nb\ty\n")
    with pytest.raises(InputError) as error:
        classification(path, **{option: "sentence"})
    assert str(error.value) == (
        f"{path}: there is no column 'sentence'; the columns are 'text', 'label'."
    )


def test_one_class(tmp_path):
    path = write(tmp_path, "a.tsv", "text\tlabel\na\tx\nb\tx\n")
    with pytest.raises(InputError) as error:
        classification(path)
    assert str(error.value) == (
        f"{path}: expected at least two classes in column 'label', got only 'x'."
    )


def test_unknown_label_names_ten_known_ones(tmp_path):
    path = write(tmp_path, "a.tsv", "text\tlabel\na\t0\nb\t12\n")
    with pytest.raises(InputError) as error:
        classification(path, labels=["0", "1"])
    assert str(error.value) == (
        f"{path}, line 3: unknown label '12'; the known labels are '0', '1'."
    )
    with pytest.raises(InputError) as error:
        classification(path, labels=[str(i) for i in range(12)])
    names = ", ".join(f"'{i}'" for i in range(10))
    assert str(error.value) == (
        f"{path}, line 3: unknown label '12'; the known labels are {names} and 2 more."
    )


@pytest.mark.parametrize("value", ["", "two\nlines", "x\u2028"])
def test_label_that_is_not_one_line(tmp_path, value):
    path = write(tmp_path, "a.csv", f'text,label\na,"{value}"\nb,y\n')
    with pytest.raises(InputError) as error:
        classification(path)
    assert str(error.value) == f"{path}, line 2: expected a label of one line, got {value!r}."
