"""Text for a terminal: nothing that it obeys, nothing that its encoding lacks, no long value."""

import io
import json
import os
import time

import pytest

from keras_transformer.zoo.errors import InputError, RunError, no_file
from keras_transformer.zoo.printable import (
    printable,
    printable_json,
    shortened,
    without_passwords,
)
from keras_transformer.zoo.progress import Printed
from keras_transformer.zoo.tabular import Grid, Tabular

TITLE = "\x1b]0;gotcha\x07"
ENCODINGS = ("utf-8", "cp1252", "ascii", "latin-1", "cp437", "gb18030")


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        (TITLE, r"\x1b]0;gotcha\x07"),
        ("\x9b31m", r"\x9b31m"),
        ("a\r\x08b\x7f", r"a\r\x08b\x7f"),
        ("\u202eelif\u2066", r"\u202eelif\u2066"),
        ("caf\udce9", r"caf\udce9"),
        ("映画 é \u200f", "映画 é \u200f"),
        ("two\nlines\tand", r"two\nlines\tand"),
    ],
)
def test_what_a_terminal_obeys_is_escaped(text, shown):
    assert printable(text) == shown


def test_lines_of_a_text_are_kept():
    assert printable("two\nlines\tand\r", lines=True) == "two\nlines\tand\\r"


@pytest.mark.parametrize(
    ("encoding", "shown"),
    [("ascii", r"### \u6620 \xe9..."), ("cp1252", r"### \u6620 é…"), ("utf-8", "███ 映 é…")],
)
def test_what_an_encoding_lacks_is_replaced_or_escaped(encoding, shown):
    assert printable("███ 映 é…", encoding) == shown


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_json_is_of_the_same_value_in_every_encoding(encoding):
    value = {"ภาษา": ["😀", "é", "\x9b", "\u202e", TITLE, "a\nb"]}
    text = printable_json(json.dumps(value, indent=2, ensure_ascii=False), encoding)
    assert json.loads(text.encode(encoding).decode(encoding)) == value
    assert all(character.isprintable() or character == "\n" for character in text)


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_json_of_a_name_that_is_not_utf_8_is_json(encoding):
    text = printable_json(json.dumps("caf\udce9 😀", ensure_ascii=False), encoding)
    value = json.loads(text.encode(encoding).decode(encoding))
    assert value == printable("caf\udce9 😀") == r"caf\udce9 😀"


@pytest.mark.parametrize(
    ("sentence", "expected"),
    [
        ("Expected x, got name='short'.", "Expected x, got name='short'."),
        (f"No 'a{'b' * 90_000}' in {'c' * 90}.", f"No 'a{'b' * 76}…' in {'c' * 90}."),
        (f"got [{'1, ' * 5000}2]; do it.", f"got [{'1, ' * 25}1,…]; do it."),
        (f"got {'9' * 5000}.", f"got {'9' * 78}…."),
        (f"got {{'a': \"{'b' * 500}\"}}.", f"got {{'a': \"{'b' * 71}…}}."),
        (f"There is no file {'/folder' * 30}.", f"There is no file {'/folder' * 30}."),
        ("the model's labels' and 'x'", "the model's labels' and 'x'"),
    ],
)
def test_a_long_value_in_a_sentence_is_shortened(sentence, expected):
    assert shortened(sentence) == expected
    assert shortened(expected) == expected
    for error in (InputError, RunError):
        assert str(error(sentence)) == expected


@pytest.mark.parametrize(
    "value",
    ["[" * 100_000, "[ " * 100_000, "'\\" * 100_000, "[ " + "'\\ " * 50_000, "a " * 100_000,
     "/x" * 50_000, "(" * 100_000, '"' * 100_001],
)  # fmt: skip
def test_a_sentence_has_an_end_soon(value):
    start = time.perf_counter()
    assert len(shortened(f"Expected x, got {value}.")) <= 1200
    assert time.perf_counter() - start < 2


def test_results_and_reports_in_python_are_escaped_too():
    class Result(Tabular):
        def grids(self):
            return [Grid(TITLE, (TITLE, "b"), [(TITLE, 1)])]

    file = io.StringIO()
    report = Printed(file)
    report.start(TITLE, 3)
    report.step(1, 0.5)
    report.note(TITLE)
    for text in (repr(Result()), file.getvalue()):
        assert r"\x1b]0;gotcha\x07" in text
        assert "\x1b" not in text and "\x07" not in text


@pytest.mark.parametrize(
    ("address", "shown"),
    [
        ("http:/me:hush@host/a.tsv", "http:/***@host/a.tsv"),
        ("http//me:hush@host/a.tsv", "http//***@host/a.tsv"),
        ("http:://me:hush@host:8/a.tsv", "http:://***@host:8/a.tsv"),
        ("http//:me:hush@host/a*.tsv", "http//:***@host/a*.tsv"),
        ("https:me:hush@host/a.tsv", "https:***@host/a.tsv"),
        ("://me:hu@sh@host/a.tsv", "://***@host/a.tsv"),
        ("zip://a.tsv::http:/me:hush@host/b.zip", "zip://a.tsv::http:/***@host/b.zip"),
    ],
)
def test_passwords_of_mistyped_addresses_are_hidden(address, shown):
    sentence = f"Expected a file, got '{address}'."
    assert without_passwords(sentence) == f"Expected a file, got '{shown}'."
    for error in (InputError, RunError):
        assert str(error(sentence)) == f"Expected a file, got '{shown}'."
    assert "hush" not in str(no_file(address))
    # As a path it loses a slash, and what was its beginning is a folder.
    assert "hush" not in str(no_file(os.path.abspath(address)))


def test_a_path_without_a_scheme_may_have_a_password():
    for path in ("me:hush@host/a.tsv", "/data/me:hush@host/a.tsv"):
        hidden = path.replace("me:hush", "***")
        assert str(no_file(path)) == f"There is no file {hidden}."


@pytest.mark.parametrize(
    "text",
    [
        "Expected a time, got '12:30@home'.", "me@host.org: 3 rows", "C:\\data\\a.tsv", "a: b@c",
        "/data/run:2/a@b.tsv", "https://host:8/a@b", "got label='x:y', text='z@w'.", "",
    ],
)  # fmt: skip
def test_other_texts_stay_as_they_are(text):
    assert without_passwords(text) == text
