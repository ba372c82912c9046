import dataclasses
import re

import numpy as np
import pytest

from keras_transformer.zoo.checkpoint import write_folder
from keras_transformer.zoo.data import load_examples
from keras_transformer.zoo.errors import InputError
from keras_transformer.zoo.labelled import LabelledData
from keras_transformer.zoo.tokenizer import PAD, TokenizerConfig
from keras_transformer.zoo.train import train
from keras_transformer.zoo.trained import Trained
from keras_transformer.zoo.vocabulary import TextTokenizer
from tests.zoo import tiny


def refused(kind, message):
    return pytest.raises(kind, match=f"^{re.escape(message)}$")


def test_regression_with_an_existing_vocabulary(tables, learned, tmp_path):
    path = tmp_path / "vocab.txt"
    vocabulary = learned[1].tokenizer.vocabulary
    path.write_text("\n".join(vocabulary) + "\n", encoding="utf-8")
    recipe = tiny.recipe(
        tables, task="regression", label="number", vocabulary=str(path), epochs=12,
        learning_rate=0.02,
    )  # fmt: skip
    trained = train(recipe, tmp_path / "out")
    assert list(trained.tokenizer.vocabulary) == list(vocabulary)
    assert (trained.task, trained.labels) == ("regression", ())
    assert trained.metrics["validation"]["pearson"] > 0.9
    loaded = Trained.load(tmp_path / "out")
    scores = loaded.scores(["the iron box", "some old plum"])
    np.testing.assert_allclose(
        scores, trained.scores(["the iron box", "some old plum"]), rtol=1e-5, atol=1e-5
    )
    assert scores.shape == (2, 1) and scores[0] < scores[1]


def test_pairs_of_bytes(tables, tmp_path):
    recipe = tiny.recipe(
        tables, text_pair="second", label="twin", tokenizer="bytes", epochs=1, max_length=40,
        batch_tokens=2000, bucket=40,
    )  # fmt: skip
    trained = train(recipe, tmp_path / "out", report=(report := tiny.Heard()))
    assert trained.task_spec.pair
    assert trained.config.vocab_size == 261
    assert [re.sub(r"^\d+ of", "N of", note) for note in report.notes] == [
        f"N of 96 rows of {tables / 'train.tsv'} are longer than 40 tokens and were cut.",
        f"N of 48 rows of {tables / 'validation.tsv'} are longer than 40 tokens and were cut.",
    ]
    loaded = Trained.load(tmp_path / "out")
    assert loaded.scores(["a b"], ["c"]).shape == (1, 2)
    with refused(InputError, "Expected pairs of texts, as the model was trained on."):
        loaded.scores(["a b"])


def test_cut_rows_are_counted(tmp_path):
    path = tmp_path / "rows.tsv"
    path.write_text("text\tlabel\n" + "a a a\tx\na\ty\na a a a\tx\n", encoding="utf-8")
    examples = load_examples(path, text="text", label="label", task="classification")
    tokenizer = TextTokenizer(TokenizerConfig(), [PAD, "[UNK]", "[CLS]", "[SEP]", "[MASK]", "a"])
    data = LabelledData(
        task=tiny.TASK, train=examples, validation=examples, tokenizer=tokenizer, max_length=5
    )
    data.report_cuts(report := tiny.Heard())
    note = f"1 of 3 rows of {path} are longer than 5 tokens and were cut."
    assert report.notes == [note, note]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"model": "gpt_nano"},
            "Expected a task that the decoder gpt_nano can be trained for "
            "(language-modeling), got task='classification'.",
        ),
        (
            {"task": "tagging"},
            "Expected a task that the encoder bert_tiny can be trained for "
            "(classification, regression), got task='tagging'.",
        ),
        (
            {"settings": {"vocab_size": 50}},
            "Expected no setting vocab_size: it follows from the tokenizer.",
        ),
        (
            {"settings": {"num_heads": 3}},
            "Expected num_heads to divide hidden_dim, got hidden_dim=128, num_heads=3.",
        ),
        ({"max_length": 513}, "Expected max_length to be at most the model's 512, "
                              "got max_length=513."),
        (
            {"settings": {"num_segments": 1}, "text_pair": "second"},
            "Expected a model with two segments for pairs, got bert_tiny with num_segments=1.",
        ),
        (
            {"vocab_size": 30_523},
            "Expected vocab_size to be at most the 30522 of bert_tiny, got vocab_size=30523.",
        ),
    ],
)  # fmt: skip
def test_recipes_that_do_not_fit_the_model(tables, tmp_path, changes, message):
    with refused(InputError, message):
        train(tiny.recipe(tables, **changes), tmp_path / "out")
    assert list(tmp_path.iterdir()) == []


def test_a_vocabulary_larger_than_the_models(tables, tmp_path):
    path = tmp_path / "vocab.txt"
    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    path.write_text("\n".join([*special, *map(str, range(30_518))]), encoding="utf-8")
    message = (
        f"{path} has 30523 entries, more than the 30522 of bert_tiny; "
        "take a smaller vocabulary or a larger model."
    )
    with refused(InputError, message):
        train(tiny.recipe(tables, vocabulary=str(path)), tmp_path / "out")


def test_an_output_that_exists_is_refused_before_anything_is_read(tables, tmp_path):
    recipe, out = tiny.recipe(tables, train="none.tsv"), tmp_path / "out"
    out.mkdir()
    with refused(FileExistsError, f"{out} exists; choose another path or give --overwrite."):
        train(recipe, out)
    with refused(
        FileExistsError,
        f"{out} exists and is no checkpoint, so it is not overwritten; choose another path.",
    ):
        train(recipe, out, overwrite=True)


def test_an_unfinished_run_is_only_discarded_when_asked(tables, tmp_path):
    recipe, out = tiny.recipe(tables, train="none.tsv"), tmp_path / "out"
    states = tmp_path / "out.training"
    write_folder(states / "state", {"progress.json": b"{}"})
    with refused(
        FileExistsError,
        f"{states} holds an unfinished run; go on with --resume, or discard it with --overwrite.",
    ):
        train(recipe, out)
    (states / "mine.txt").write_text("mine", encoding="utf-8")
    for options in ({}, {"resume": True}, {"overwrite": True}):
        with refused(
            FileExistsError,
            f"{states} holds 'mine.txt', which is no state of a run; choose another path.",
        ):
            train(recipe, out, **options)
    assert (states / "mine.txt").read_text(encoding="utf-8") == "mine"
    (states / "mine.txt").unlink()
    with pytest.raises(FileNotFoundError, match="none.tsv"):
        train(recipe, out, overwrite=True)
    assert not states.exists()


def test_an_unknown_label_in_the_validation_data(tables, tmp_path):
    path = tmp_path / "validation.tsv"
    path.write_text("text\tlabel\nan old box\twood\n", encoding="utf-8")
    message = f"{path}, line 2: unknown label 'wood'; the known labels are 'fruit', 'métal'."
    with refused(InputError, message):
        train(tiny.recipe(tables, validation=str(path)), tmp_path / "out")


def test_a_recipe_names_every_choice_that_was_made(learned, tables):
    assert learned[1].recipe == tiny.recipe(tables, epochs=8)
    assert dataclasses.asdict(learned[1].recipe)["settings"] == tiny.SETTINGS
