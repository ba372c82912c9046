"""What tasks make of data in memory, and how they split it."""

import re
from collections import Counter

import numpy as np
import pytest

from keras_transformer.zoo.checkpoint import Checkpoint
from keras_transformer.zoo.errors import InputError
from keras_transformer.zoo.tasks.classification import Classification
from keras_transformer.zoo.tasks.language_modeling import LanguageModeling
from keras_transformer.zoo.tasks.registry import ALIASES, TASKS, task_named
from keras_transformer.zoo.tasks.regression import Regression
from keras_transformer.zoo.tasks.translation import Translation
from keras_transformer.zoo.training.chosen.configs import config_of
from keras_transformer.zoo.training.run_data import learn_run_data, read_inputs, training_batches
from tests.zoo import tiny

TEXTS = [f"text {i}" for i in range(20)]


def refused(message, kind=InputError):
    return pytest.raises(kind, match=f"^{re.escape(message)}$")


def test_labels_are_learned_from_the_training_data():
    task, train, validation = Classification().read_parts(
        (TEXTS, ["b", "a"] * 10), (["x"], ["b"])
    )
    assert task == Classification(labels=("a", "b"))
    assert train.targets.tolist() == [1, 0] * 10
    assert (validation.targets.tolist(), validation.path) == ([1], "validation")
    with refused("validation, row 1: unknown label 'c'; the known labels are 'a', 'b'."):
        task.read_parts((TEXTS, ["a"] * 20), (["x"], ["c"]))


def test_integers_are_indices_of_labels_that_are_words():
    task = Classification(labels=("no", "yes"))
    assert task.read((["a", "b"], np.array([1, 0]))).targets.tolist() == [1, 0]
    with refused("data, row 2: unknown label '2'; the known labels are '0', '1'."):
        task.read((["a", "b"], [1, 2]))
    named = Classification(labels=("2", "1"))
    assert named.read((["a", "b"], [1, 2])).targets.tolist() == [1, 0]


def test_pairs_are_three_columns():
    examples = Classification(pair=True).read((["a", "b"], ["c", "d"], ["x", "y"]))
    assert (examples.texts, examples.pairs) == (["a", "b"], ["c", "d"])
    renamed = {"text": "first", "text_pair": "second", "label": "class"}
    rows = [
        {"first": "a", "second": "c", "class": "x"}, {"first": "b", "second": "d", "class": "y"}
    ]  # fmt: skip
    assert Classification().read(rows, renamed).pairs == ["c", "d"]


def test_numbers():
    examples = Regression().read((["a", "b"], np.array([0.1, 2], "float32")))
    np.testing.assert_array_equal(examples.targets, np.array([0.1, 2], "float32"))
    with refused("data, row 1: expected a finite number in column 'label', got 'many'."):
        Regression().read((["a"], ["many"]))


def test_sources_and_their_targets():
    one = Translation().read((["a b", "c"], ["A", "C"]))
    assert (one.sources, one.targets, one.languages) == (["a b", "c"], ["A", "C"], [])
    several = Translation(labels=["de", "fr"]).read((["a", "b"], ["x", "y"], ["u", "v"]))
    assert several.targets == ["x", "y", "u", "v"]
    assert several.languages == ["de", "de", "fr", "fr"]
    alone = Translation(labels=["de", "fr"]).read((["a"], ["u"]), {"target": "fr"})
    assert alone.languages == ["fr"]
    with refused("data, row 2: expected a text in column 'target', got none."):
        Translation().read((["a", "b"], ["x", " "]))


def test_plain_text_in_memory_is_lines():
    plain = LanguageModeling().read(["a b", "c"], name="train")
    assert (plain.text, plain.path) == ("a b\nc\n", "train")
    assert LanguageModeling().read(plain) is plain
    with refused("train: expected text to learn from, got only blanks."):
        LanguageModeling().read([" "], name="train")
    with refused("train, row 1: expected a text in column 'text', got int 3.", TypeError):
        LanguageModeling().read([3], name="train")


def test_unknown_columns():
    with refused(
        f"Expected columns of classification among {', '.join(Classification.columns)}, got "
        "'source'."
    ):
        Classification().read((["a"], ["b"]), {"source": "x"})
    with refused("Expected columns of language-modeling among none, got 'text'."):
        LanguageModeling().read(["a"], {"text": "x"})


def test_a_share_is_stratified_and_seeded():
    labels = ["a"] * 50 + ["b"] * 40 + ["c"] * 9 + ["d"]
    source = ([f"{i}" for i in range(100)], labels)
    task, train, validation = Classification().read_parts(source, 0.1, seed=3)
    assert Counter(task.labels[i] for i in validation.targets) == {"a": 5, "b": 4, "c": 1}
    assert sorted([*train.texts, *validation.texts], key=int) == source[0]
    assert train.lines == [int(text) + 1 for text in train.texts]
    again, other = (Classification().read_parts(source, 0.1, seed=seed)[2] for seed in (3, 4))
    assert again.texts == validation.texts != other.texts
    # A class of one row is learned, not only measured.
    assert "99" in Classification().read_parts(source, 0.9)[1].texts


@pytest.mark.parametrize("name", TASKS)
def test_every_task_splits(name):
    task = TASKS[name]()
    is_plain = name in ("language-modeling", "masked-language-modeling")
    source = TEXTS if is_plain else (TEXTS, TEXTS)
    if name == "regression":
        source = (TEXTS, range(20))
    if name == "classification":
        source = (TEXTS, ["x", "y"] * 10)
    if name == "embedding":
        source = (TEXTS, TEXTS, range(20))
    if name == "token-classification":
        source = ([text.split() for text in TEXTS], [["A", "B"]] * 20)
    if name == "question-answering":
        source = [
            {"question": "What?", "context": text,
             "answers": {"text": ["text"], "answer_start": [0]}}
            for text in TEXTS
        ]  # fmt: skip
    if name == "contrastive":
        source = {"image": np.zeros((20, 8, 8, 3), "uint8"), "text": TEXTS}
    if name == "transcription":
        source = (np.zeros((20, 1600), "float32"), TEXTS)
    if name == "multi-task":
        source = {
            "a": {"task": "classification", "train": (TEXTS, ["x", "y"] * 10)},
            "b": {"task": "regression", "train": (TEXTS, range(20))},
        }
    _, train, validation = task.read_parts(source, 0.25)
    if is_plain:
        assert train.text + validation.text == "".join(f"{text}\n" for text in TEXTS)
        assert len(validation.text.splitlines()) == 5
    else:
        # Two tasks of as many rows.
        of = 2 if name == "multi-task" else 1
        assert (len(train), len(validation)) == (15 * of, 5 * of)


@pytest.mark.parametrize("share", [0, 1, 1.5, -0.1, float("nan")])
def test_no_share(share):
    message = f"Expected validation to be data or a share between 0 and 1, got validation={share}."
    with refused(message):
        Regression().read_parts((TEXTS, range(20)), share)


def test_a_share_that_leaves_nothing():
    with refused(
        "Expected validation to be a share of the training data that holds a row, got "
        "validation=0.1 of 2 rows."
    ):
        Regression().read_parts((["a", "b"], [1, 2]), 0.1)
    with refused(
        "Expected validation to be a share of the training data that holds a line, got "
        "validation=0.1 of 1 lines."
    ):
        LanguageModeling().read_parts(["a"], 0.1)


def test_run_data_of_arrays_is_that_of_the_file(tables):
    recipe = tiny.recipe(tables)
    from_file = learn_run_data(recipe, config_of(recipe))
    examples = Classification().read(tables / "train.tsv")
    labels = [examples.labels[i] for i in examples.targets]
    from_memory = learn_run_data(
        recipe, config_of(recipe), train=(examples.texts, labels),
        validation=tables / "validation.tsv",
    )  # fmt: skip
    assert from_memory.task == from_file.task
    assert from_memory.modality.tokenizer.vocabulary == from_file.modality.tokenizer.vocabulary
    made = [training_batches(data, recipe).fingerprint() for data in (from_file, from_memory)]
    assert made[0] == made[1]


def test_inputs_need_no_labels(learned):
    trained: Checkpoint = learned[1]
    inputs = read_inputs(trained, (["the box", "tin"],))
    encoded = trained.encode(["the box", "tin"])
    assert list(inputs) == ["ids"]
    for found, expected in zip(inputs["ids"], encoded.columns["ids"], strict=True):
        np.testing.assert_array_equal(found, expected)
    with refused("data: there is no column 'label'; the columns are 'text'."):
        trained.task.read((["the box"],))
    with refused("Expected single texts, as the model was trained on."):
        read_inputs(trained, (["a"], ["b"]), text="text", text_pair="second", label=None)


def test_an_unknown_task_lists_the_known():
    known = ", ".join((*TASKS, *ALIASES))
    with refused(f"Expected task to be one of {known}, got task='tagging'."):
        task_named("tagging")


def test_a_task_has_one_name_by_which_it_is_kept():
    assert task_named("similarity") is task_named("embedding") is TASKS["similarity"]
    assert "similarity" in TASKS and "similarity" not in list(TASKS)
