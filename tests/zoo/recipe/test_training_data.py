import hashlib
import re

import numpy as np
import pytest

from keras_transformer.zoo.errors import InputError
from keras_transformer.zoo.recipe import Recipe
from keras_transformer.zoo.recipe.training_data import (
    file_digest,
    resolved,
    rows_digest,
    training_file,
)
from keras_transformer.zoo.tasks.registry import TASKS


def refused(message):
    return pytest.raises(InputError, match=f"^{re.escape(message)}$")


def recipe(**changes):
    given = {"model": "bert_tiny", "train": "a.tsv", "validation": "b.tsv", **changes}
    return Recipe.of_task(TASKS["classification"], **given)


@pytest.fixture
def tables(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("a.tsv", "b.tsv"):
        (tmp_path / name).write_bytes(f"text\tlabel\n{name}\tgood\n".encode())
    return tmp_path


def test_a_run_that_begins_knows_its_paths_and_its_data(tables):
    made = resolved(recipe(vocabulary="vocab.txt"))
    digest = hashlib.sha256((tables / "a.tsv").read_bytes()).hexdigest()
    assert made == recipe(
        train=str(tables / "a.tsv"), validation=str(tables / "b.tsv"), digest=digest,
        vocabulary=str(tables / "vocab.txt"),
    )  # fmt: skip
    assert resolved(made) == made
    assert resolved(recipe()).tokenizer.vocabulary == ""
    assert training_file(made.data) == tables / "a.tsv"


def test_other_data_at_the_same_path_is_refused(tables):
    made = resolved(recipe())
    before, path = made.data.digest, tables / "a.tsv"
    path.write_text("text\tlabel\nother\tbad\n")
    message = (
        f"Expected {path} to be the training data of the recipe (SHA-256 {before[:12]}), got "
        f"other data (SHA-256 {file_digest(path)[:12]}); bring that back, or give --train FILE "
        "(train= in Python) for a run on other data."
    )
    with refused(message):
        resolved(made)
    with refused(message):
        training_file(made.data)
    # The same path on purpose.
    assert resolved(made.replace(train=str(path))).data.digest == file_digest(path)


def test_training_data_that_is_no_file(tables):
    with pytest.raises(FileNotFoundError, match=f"^There is no file {tables / 'none.tsv'}.$"):
        resolved(recipe(train="none.tsv"))
    digest = rows_digest([("a fine film", "good")])
    with refused(
        f"The training data was in memory (SHA-256 {digest[:12]}), which no checkpoint holds: give "
        "--train FILE (train= in Python)."
    ):
        resolved(recipe(train="", digest=digest))
    with refused(
        "The validation data was in memory, which no checkpoint holds: give "
        "--validation FILE (validation= in Python)."
    ):
        resolved(recipe(validation=""))


def test_digests(tmp_path):
    (tmp_path / "long").write_bytes(bytes(3_000_000))
    assert file_digest(tmp_path / "long") == hashlib.sha256(bytes(3_000_000)).hexdigest()
    (tmp_path / "folder" / "cat").mkdir(parents=True)
    (tmp_path / "folder" / ".cache").write_bytes(b"is not read")
    for name, data in (("cat/b", b"two"), ("cat/a", b"one")):
        (tmp_path / "folder" / name).write_bytes(data)
    found = resolved(recipe(train=str(tmp_path / "folder"))).data.digest
    parts = [(name, hashlib.sha256(data).hexdigest()) for name, data in
             (("cat/a", b"one"), ("cat/b", b"two"))]  # fmt: skip
    whole = "".join(f"{name}\0{digest}\n" for name, digest in parts)
    assert found == hashlib.sha256(whole.encode()).hexdigest()
    rows = [("a", "good"), ("b", "bad")]
    assert rows_digest(rows) == rows_digest(iter([["a", "good"], ["b", "bad"]]))
    assert rows_digest(rows) != rows_digest([("a", "goodb"), ("", "bad")])
    assert rows_digest([("a", 1)]) == rows_digest([("a", np.int32(1))])
    with refused("Expected rows of texts and numbers, got {1}."):
        rows_digest([{1}])
