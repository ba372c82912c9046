"""Mixtures: files whose rows are read more or less often in an epoch."""

import json
from collections import Counter

import numpy as np
import pytest

from keras_transformer.zoo.data.batches import SampledBatches
from keras_transformer.zoo.data.plain_text import load_plain_text
from keras_transformer.zoo.data.rows import drawn_rows
from keras_transformer.zoo.errors import InputError
from keras_transformer.zoo.modalities.text import Text
from keras_transformer.zoo.prepared.context import prepared_in
from keras_transformer.zoo.tasks.classification import Classification
from keras_transformer.zoo.tasks.tagging.token_classification import TokenClassification
from keras_transformer.zoo.tasks.translation import Translation
from keras_transformer.zoo.tokenizers.tokenizer import Tokenizer, TokenizerConfig

RANGE = "expected a weight from 0.0001 to 1000"
TEXT = Text(tokenizer=Tokenizer(TokenizerConfig(kind="bytes")), max_length=30)


@pytest.fixture
def mixture(tmp_path):
    for name, rows in (("a", 20), ("b0", 10), ("b1", 5)):
        lines = [f"{name} {'x' * (row % 7)}\t{row % 2}" for row in range(rows)]
        (tmp_path / f"{name}.tsv").write_text("\n".join(["text\tlabel", *lines]) + "\n")
    path = tmp_path / "train.mixture.json"
    path.write_text(json.dumps({"a.tsv": 0.5, "b*.tsv": 2.4}))
    return path


def test_rows_are_drawn_as_often_as_they_weigh():
    weights = np.repeat(np.float32([0.5, 1, 2.4]), [20, 7, 15])
    made = [Counter(drawn_rows(weights, (1, epoch)).tolist()) for epoch in range(4)]
    for found in made:
        counts = [[found[row] for row in part] for part in np.split(np.arange(42), [20, 27])]
        assert sorted(counts[0]) == [0] * 10 + [1] * 10
        assert counts[1] == [1] * 7
        assert sorted(counts[2]) == [2] * 9 + [3] * 6
    assert made[0] != made[1]
    assert made[0] == Counter(drawn_rows(weights, (1, 0)).tolist())


@pytest.mark.parametrize("task", [Classification(), Translation()], ids=lambda task: task.name)
def test_batches_hold_the_rows_of_an_epoch(tmp_path, mixture, task):
    columns = {} if task.name == "classification" else {"source": "text", "target": "label"}
    for least in (0, 10**9):
        with prepared_in(tmp_path / "data", least):
            task, train, _ = task.read_parts(str(mixture), str(tmp_path / "a.tsv"), columns)
            batches = task.run_data(train, train, TEXT).batches(batch_tokens=64, bucket=4, seed=0)
        assert isinstance(batches, SampledBatches) and len(train) == 35
        shapes = []
        for epoch in range(3):
            made = list(batches.epoch(epoch))
            index = np.concatenate([batch.index for batch in made])
            np.testing.assert_array_equal(np.sort(index), drawn_rows(train.weights, (0, epoch)))
            assert [count for row, count in Counter(index.tolist()).items() if row < 20] == [1] * 10
            again = list(batches.epoch(epoch, start=2))
            assert [one.index.tolist() for one in again] == [one.index.tolist() for one in made[2:]]
            shapes.append({one.inputs["ids"].shape[1] for one in made})
        # Whatever an epoch draws, it has the padded lengths of all rows.
        if task.name == "classification":
            assert set().union(*shapes) <= set(batches._sample(0).edges)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("[1]", "expected an object with a weight for each file, got [1]."),
        ("{}", "expected an object with a weight for each file, got {}."),
        ('{"a.tsv": 0}', f"{RANGE} for 'a.tsv', got 0."),
        ('{"a.tsv": true}', f"{RANGE} for 'a.tsv', got True."),
        ('{"a.tsv": NaN}', f"{RANGE} for 'a.tsv', got nan."),
        ('{"a.tsv": 1e-9}', f"{RANGE} for 'a.tsv', got 1e-09."),
        ('{"a.tsv": 1, "a*.tsv": 2}', "expected {folder}/a.tsv once, got it twice."),
        ('{"a.tsv": 1, "../FOLDER/a.tsv": 2}', "expected {folder}/a.tsv once, got it twice."),
        ('{"a\\u0000.tsv": 1}', "expected the name of a file, got 'a\\x00.tsv'."),
        ('{"a.tsv"', "bad JSON (Expecting ':' delimiter: line 1 column 9 (char 8))."),
    ],
)
def test_bad_mixtures(mixture, content, message):
    mixture.write_text(content.replace("FOLDER", mixture.parent.name))
    with pytest.raises(InputError) as error:
        Classification().read(str(mixture))
    assert str(error.value) == f"{mixture}: {message}".replace("{folder}", str(mixture.parent))


def test_a_mixture_of_mixtures_is_refused(mixture):
    other = mixture.with_name("b.mixture.json")
    other.write_text(json.dumps({mixture.name: 1}))
    with pytest.raises(InputError, match="expected no mixture for a file of b"):
        Classification().read(str(other))


def test_its_own_folder_is_no_pattern(tmp_path):
    folder = tmp_path / "data[1]"
    folder.mkdir()
    (folder / "a.tsv").write_text("text\tlabel\na\tx\nb\ty\n")
    for name in ("a.tsv", "a*.tsv"):
        path = folder / "m.mixture.json"
        path.write_text(json.dumps({name: 2}))
        assert Classification().read(str(path)).weights.tolist() == [2, 2]


def test_a_row_of_a_small_weight_is_read_at_times():
    found = []
    for epoch in range(200):
        try:
            found.append(len(drawn_rows(np.float32([0.5]), (0, epoch))))
        except InputError as error:
            assert "Expected weights by which an epoch has a row" in str(error)
            found.append(0)
    assert 70 < sum(found) < 130


def test_files_of_a_mixture_are_there(mixture):
    mixture.write_text('{"c.tsv": 1}')
    with pytest.raises(FileNotFoundError, match=r"c\.tsv"):
        Classification().read(str(mixture))
    mixture.write_text('{"c*.tsv": 1}')
    with pytest.raises(InputError, match="expected a file that matches the pattern, got none"):
        Classification().read(str(mixture))


def test_rows_without_weights_are_refused(mixture):
    with pytest.raises(InputError, match="expected no mixture for plain text"):
        load_plain_text(mixture)
    with pytest.raises(InputError, match="mixture"):
        TokenClassification().read(str(mixture))
