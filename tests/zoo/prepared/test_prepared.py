"""Prepared data: what runs read of it is what they would read of the files."""


import dataclasses
import subprocess
import sys

import numpy as np
import pytest

from keras_transformer.zoo.columns.texts import Coded, Texts
from keras_transformer.zoo.data.batches import Batches
from keras_transformer.zoo.data.sources import read_source
from keras_transformer.zoo.errors import InputError, RunError
from keras_transformer.zoo.modalities.text import Text
from keras_transformer.zoo.prepared import encode, writers
from keras_transformer.zoo.prepared.context import current_store, prepared_in
from keras_transformer.zoo.progress import Report
from keras_transformer.zoo.storage.large import checked_folder, folder_aside
from keras_transformer.zoo.tasks.classification import Classification
from keras_transformer.zoo.tokenizers.tokenizer import Tokenizer, TokenizerConfig
from keras_transformer.zoo.worker import Worker
from tests.zoo.prepared.shards import written


def batches_of(task, source, pair):
    """The encoded training batches of a source, in one epoch."""
    columns = {"text": "text", "label": "label"} | ({"text_pair": "second"} if pair else {})
    task, train, _ = task.read_parts(source, source, columns)
    text = Text(max_length=12, tokenizer=Tokenizer(TokenizerConfig(kind="bytes")))
    data = task.run_data(train, train, text)
    found = data.batches(batch_tokens=64, bucket=4, seed=3)
    assert isinstance(found, Batches)
    found.in_multiples_of(1, whole=pair)
    return data, list(found.epoch(1))


@pytest.mark.parametrize("pair", [False, True])
@pytest.mark.parametrize("suffix", [".tsv", ".jsonl.gz"])
def test_batches_are_those_of_the_files(tmp_path, rows, suffix, pair, monkeypatch):
    monkeypatch.setattr(encode, "_PART_BYTES", 1000)
    source = written(tmp_path, rows, suffix)
    task = Classification(pair=pair)
    own, expected = batches_of(task, source, pair)
    # The first time it is written, the second time it is there.
    for missing in ("make", "refuse"):
        with prepared_in(tmp_path / "data", 0, missing=missing):
            data, found = batches_of(task, source, pair)
        assert isinstance(data.train.texts, Texts)
        assert data.task == own.task and list(data.train.rows()) == list(own.train.rows())
        assert len(found) == len(expected) > 10
        for one, other in zip(found, expected, strict=True):
            assert one.inputs.keys() == other.inputs.keys()
            for name, array in one.inputs.items():
                np.testing.assert_array_equal(array, other.inputs[name])
                assert array.dtype == other.inputs[name].dtype
            np.testing.assert_array_equal(one.targets, other.targets)
            np.testing.assert_array_equal(one.index, other.index)
        encoded = data._encoded_train
        assert encoded.num_truncated == own._encoded_train.num_truncated > 0
        assert {file.dtype for file in (encoded.columns["ids"].values,)} == {np.dtype("uint16")}


def test_places_name_the_file(tmp_path, rows):
    source = written(tmp_path, rows, ".tsv")
    with prepared_in(tmp_path / "data", 0):
        table = read_source(source, ["text"], ["label"])
    assert table.at(0) == f"{tmp_path}/part-0.tsv, line 2"
    assert table.at(100) == f"{tmp_path}/part-1.tsv, line 2"
    assert table.at(299) == f"{tmp_path}/part-2.tsv, line 200"
    assert read_source(source, ["text"]).at(100) == table.at(100)


def test_small_files_stay_in_the_memory(tmp_path, rows):
    source = written(tmp_path, rows, ".tsv")
    with prepared_in(tmp_path / "data"):
        assert isinstance(read_source(source, ["text"]).columns["text"], list)
    assert current_store() is None and not (tmp_path / "data").exists()


def test_what_is_prepared_has_to_be_whole(tmp_path, rows):
    source = written(tmp_path, rows, ".tsv")
    folder = tmp_path / "data"
    with prepared_in(folder, 0):
        batches_of(Classification(), source, False)
    [path] = folder.glob("rows-*")
    values = (path / "ids.values").read_bytes()
    (path / "ids.values").write_bytes(values[:-2] + b"xx")
    for damage in ("was changed after it was written, in", "lacks its file"):
        with prepared_in(folder, 0), pytest.raises(InputError) as error:
            batches_of(Classification(), source, False)
        assert str(error.value) == (
            f"The prepared data {path} {damage} ids.values; remove that folder and prepare the "
            "data again."
        )
        (path / "ids.values").unlink(missing_ok=True)


def test_data_of_other_runs_are_refused(tmp_path, rows):
    source = written(tmp_path, rows, ".tsv")
    with prepared_in(tmp_path / "data", 0):
        batches_of(Classification(), source, False)
    with prepared_in(tmp_path / "data", 0, missing="refuse"):
        with pytest.raises(InputError, match="data holds no table of this run: prepare the same"):
            batches_of(Classification(), source, True)
        examples = Classification().read(source)
        text = Text(max_length=13, tokenizer=Tokenizer(TokenizerConfig(kind="bytes")))
        with pytest.raises(InputError, match="data holds no rows of this run"):
            Classification().run_data(examples, examples, text).batches(
                batch_tokens=64, bucket=4, seed=3
            )


def test_a_full_disk_leaves_nothing(tmp_path, rows, monkeypatch):
    source = written(tmp_path, rows, ".tsv")

    def full(self, part):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(writers.ArrayWriter, "add", full)
    with prepared_in(tmp_path / "data", 0), pytest.raises(OSError, match=r"No space.*data/table-"):
        read_source(source, ["text"])
    assert not any((tmp_path / "data").glob("**/*")) if (tmp_path / "data").exists() else True


def test_a_limit_of_a_file_is_no_shorter_file(tmp_path, rows):
    """What cannot be written to its last byte is an error, whoever buffers it."""
    path = tmp_path / "a.tsv"
    path.write_text("text\tlabel\n" + "a\tx\n" * 300)
    code = f"""
import resource
from keras_transformer.zoo.prepared.context import prepared_in
from keras_transformer.zoo.data.sources import read_source
resource.setrlimit(resource.RLIMIT_FSIZE, (2000, 2000))
with prepared_in({str(tmp_path / "data")!r}, 0):
    read_source({str(path)!r}, ["text"], ["label"])
"""
    pytest.importorskip("resource")
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert ended.returncode and "File too large" in ended.stderr
    assert not list((tmp_path / "data").glob("table-*"))


def test_who_comes_second_takes_what_is_there(tmp_path):
    with folder_aside(tmp_path / "entry", "kind") as first:
        (first / "a").write_text("a")
        with folder_aside(tmp_path / "entry", "kind") as second:
            (second / "a").write_text("a")
    assert list(checked_folder(tmp_path / "entry", "kind")) == ["a"]
    assert [one.name for one in tmp_path.iterdir()] == ["entry"]


def test_one_file_of_a_pattern_is_named(tmp_path):
    (tmp_path / "a.tsv").write_text("text\na\n")
    for least in (0, 10**9):
        with prepared_in(tmp_path / "data", least):
            table = read_source(str(tmp_path / "*.tsv"), ["text"])
        assert table.at(0) == f"{tmp_path}/a.tsv, line 2" and table.folder(0) == tmp_path


@pytest.mark.parametrize("text", ['{"text": "a\x85b"}', '{"text": "a"}\x85{"text": "b\x85"}'])
def test_nel_in_strings_of_one_line(tmp_path, text):
    (tmp_path / "a.jsonl").write_text(text, encoding="utf-8")
    own = read_source(tmp_path / "a.jsonl", ["text"]).columns["text"]
    with prepared_in(tmp_path / "data", 0):
        assert list(read_source(tmp_path / "a.jsonl", ["text"]).columns["text"]) == own


def test_rows_out_of_scope_are_prepared(tmp_path, rows):
    source = written(tmp_path, rows, ".tsv")
    text = Text(max_length=12, tokenizer=Tokenizer(TokenizerConfig(kind="bytes")))
    for missing in ("make", "refuse"):
        with prepared_in(tmp_path / "data", 0, missing=missing):
            task, train, _ = Classification().read_parts(source, source)
            outside = task.read(source, {"label": None}, labelled=False)
            data = dataclasses.replace(task.run_data(train, train, text), out_of_scope=outside)
            if missing == "make":
                data.report_cuts(Report())
            else:
                encoded = data._encode(outside, text)
                assert len(encoded.columns["ids"]) == len(rows)


def test_mistakes_name_the_file_and_the_line(tmp_path, rows):
    source = written(tmp_path, rows, ".tsv")
    for name, text, wrong in (
        ("part-1.tsv", "text\tother\na\tb\n", "part-1.tsv: there is no column 'label'"),
        ("part-2.tsv", "text\tlabel\na\tb\nc\n", "part-2.tsv, line 3: expected 2 columns"),
    ):
        kept = (tmp_path / name).read_text()
        (tmp_path / name).write_text(text)
        for context in (prepared_in(tmp_path / "data", 0), prepared_in(tmp_path / "data")):
            with context, pytest.raises(InputError, match=wrong):
                Classification().read(source)
        (tmp_path / name).write_text(kept)
    assert not list((tmp_path / "data").glob("*"))


def test_many_values_are_texts(tmp_path, monkeypatch):
    monkeypatch.setattr(writers, "_MAX_VALUES", 3)
    for values, kind in ((["a", "b", "a", "c"], Coded), ([f"{i}" for i in range(9)], Texts)):
        writer = writers.LabelsWriter(tmp_path, kind.__name__)
        for first in range(0, len(values), 2):
            writer.add(values[first : first + 2])
        writer.close()
        found = writers.read_column(tmp_path, kind.__name__, "")
        assert isinstance(found, kind) and list(found) == values


def test_an_encoder_that_ends_is_told(tmp_path, rows, monkeypatch):
    """A process that is killed, as where memory is short, is no hang and no missing row."""

    class Killed(Worker):
        def call(self, *arguments):
            self._process = self._started()
            self._process.kill()
            return super().call(*arguments)

    monkeypatch.setattr(encode, "Worker", Killed)
    source = written(tmp_path, rows, ".tsv")
    with prepared_in(tmp_path / "data", 0), pytest.raises(RunError, match="ended with code"):
        batches_of(Classification(), source, False)
    assert not list((tmp_path / "data").glob("*rows*"))
