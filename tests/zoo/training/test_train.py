import re

import numpy as np
import pytest
import sacrebleu

from keras_transformer.zoo.checkpoint import Checkpoint
from keras_transformer.zoo.errors import InputError
from keras_transformer.zoo.modalities.text import Text
from keras_transformer.zoo.models.build import get_weights
from keras_transformer.zoo.recipe.training_data import resolved
from keras_transformer.zoo.storage.files import write_folder
from keras_transformer.zoo.tasks.classification import Classification
from keras_transformer.zoo.tasks.labelled_data import LabelledData
from keras_transformer.zoo.tasks.translation import Translation
from keras_transformer.zoo.tokenizers.piece_list import PAD, SPECIAL_TOKENS
from keras_transformer.zoo.tokenizers.tokenizer import Tokenizer, TokenizerConfig
from keras_transformer.zoo.training.run_data import run_data_of
from keras_transformer.zoo.training.train_recipe import train_recipe
from tests.zoo import tiny


def refused(kind, message):
    return pytest.raises(kind, match=f"^{re.escape(message)}$")


@pytest.mark.slow
def test_regression_with_an_existing_vocabulary(tables, learned, tmp_path):
    path = tmp_path / "vocab.txt"
    vocabulary = learned[1].tokenizer.vocabulary
    path.write_text("\n".join(vocabulary) + "\n", encoding="utf-8")
    recipe = tiny.recipe(
        tables, task="regression", label="number", vocabulary=str(path), epochs=12,
        learning_rate=0.02,
    )  # fmt: skip
    trained = train_recipe(recipe, tmp_path / "out")
    assert list(trained.tokenizer.vocabulary) == list(vocabulary)
    assert (trained.task.name, trained.labels) == ("regression", ())
    assert trained.metrics["validation"]["pearson"] > 0.9
    loaded = Checkpoint.load(tmp_path / "out")
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
    trained = train_recipe(recipe, tmp_path / "out", report=(report := tiny.Heard()))
    assert trained.task.pair
    assert trained.config.vocab_size == 261
    assert [re.sub(r"^\d+ of", "N of", note) for note in report.notes] == [
        f"N of 96 rows of {tables / 'train.tsv'} are longer than 40 tokens and were cut.",
        f"N of 48 rows of {tables / 'validation.tsv'} are longer than 40 tokens and were cut.",
    ]
    loaded = Checkpoint.load(tmp_path / "out")
    assert loaded.scores(["a b"], ["c"]).shape == (1, 2)
    with refused(InputError, "Expected pairs of texts, as the model was trained on."):
        loaded.scores(["a b"])


def test_cut_rows_are_counted(tmp_path):
    path = tmp_path / "rows.tsv"
    path.write_text("text\tlabel\n" + "a a a\tx\na\ty\na a a a\tx\n", encoding="utf-8")
    examples = Classification().read(path)
    tokenizer = Tokenizer(TokenizerConfig(), [PAD, "[UNK]", "[CLS]", "[SEP]", "[MASK]", "a"])
    data = LabelledData(
        task=tiny.TASK, train=examples, validation=examples,
        modality=Text(tokenizer=tokenizer, max_length=5),
    )
    data.report_cuts(report := tiny.Heard())
    note = f"1 of 3 rows of {path} are longer than 5 tokens and were cut."
    assert report.notes == [note, note]


def assert_writes_the_same(trained, loaded, texts):
    """The same weights in graphs of another history: the last bits may differ, no token does."""
    tiny.assert_same_weights(get_weights(loaded.model), get_weights(trained.model))
    first, second = (one.generator().generate(texts, max_tokens=6) for one in (trained, loaded))
    assert [one.text for one in first] == [one.text for one in second]
    np.testing.assert_allclose(
        [one.log_probability for one in first], [one.log_probability for one in second], rtol=1e-4
    )
    for name, value in trained.probes.items():
        np.testing.assert_array_equal(loaded.probes[name], value)


@pytest.mark.slow
def test_translation_with_a_shared_vocabulary(tables, tmp_path):
    recipe = tiny.translation_recipe(tables, tokenizer="sentencepiece", vocab_size=320, epochs=3)
    trained = train_recipe(recipe, tmp_path / "out", report=(report := tiny.Heard()))
    losses = [loss for _, loss, _, _ in report.epochs]
    assert losses[-1] < losses[0]
    validation = trained.metrics["validation"]
    assert set(validation) == {
        "loss", "perplexity", "token_accuracy", "exact_match", "bleu", "chrf", "bleu_signature",
        "chrf_signature",
    }  # fmt: skip
    assert trained.config.vocab_size == trained.tokenizer.vocab_size
    assert (trained.config.source_vocab_size, trained.target_tokenizer) == (0, None)
    assert trained.tokenizer.config.normalization == "identity"
    assert list(trained.probes) == ["source_ids", "ids"]
    loaded = Checkpoint.load(tmp_path / "out")
    assert (loaded.task, loaded.config) == (Translation(), trained.config)
    assert loaded.recipe == trained.recipe == resolved(recipe)
    assert loaded.target_tokenizer is None
    assert_writes_the_same(trained, loaded, ["the old box", "things", "some of ours"])


@pytest.mark.slow
def test_translation_with_a_vocabulary_for_each_side(tables, tmp_path):
    recipe = tiny.translation_recipe(
        tables, tokenizer="characters", shared_vocabulary=False, max_length=24, bucket=24,
        batch_tokens=256, epochs=1,
    )  # fmt: skip
    trained = train_recipe(recipe, tmp_path / "out")
    source, target = trained.tokenizer, trained.target_tokenizer
    assert set(source.vocabulary) & set(target.vocabulary) == {*SPECIAL_TOKENS, " "}
    assert trained.config.source_vocab_size == source.vocab_size
    assert trained.config.vocab_size == target.vocab_size
    files = {path.name for path in (tmp_path / "out").iterdir()}
    assert {"tokenizer.json", "target_tokenizer.json"} <= files
    loaded = Checkpoint.load(tmp_path / "out")
    assert loaded.target_tokenizer.vocabulary == target.vocabulary
    assert_writes_the_same(trained, loaded, ["the old box", "things " * 9])
    (made,) = loaded.generator().generate(["the box"], max_tokens=5)
    assert set(made.text) <= set(target.vocabulary)
    data, validation = run_data_of(loaded, recipe), trained.metrics["validation"]
    measured = data.validator()(loaded.model)
    assert measured == pytest.approx({name: validation[name] for name in measured}, rel=1e-4)
    texts = [one.text for one in loaded.generator().generate(data.validation.sources)]
    chrf = sacrebleu.corpus_chrf(texts, [data.validation.targets]).score
    assert validation["chrf"] == pytest.approx(chrf)


def test_language_model(tables, tmp_path):
    recipe = tiny.language_recipe(tables, epochs=4)
    trained = train_recipe(recipe, tmp_path / "out", report=(report := tiny.Heard()))
    # Ten times the same words: far better than all characters alike.
    losses = [metrics["loss"] for _, _, metrics, _ in report.epochs]
    assert losses[-1] < losses[0] < np.log(trained.tokenizer.vocab_size)
    loaded = Checkpoint.load(tmp_path / "out")
    validation = trained.metrics["validation"]
    unknown = {"unknown_tokens": 0.0, "rows_with_unknown_tokens": 0.0}
    found = loaded.perplexity(recipe.data.validation)
    assert {**found, **unknown} == pytest.approx(validation, rel=1e-4)
    text = tiny.Path(recipe.data.validation).read_text(encoding="utf-8")
    bits = validation["loss"] * (len(text) - 1) / np.log(2) / len(text)
    assert validation["bits_per_character"] == pytest.approx(bits, rel=1e-6)
    assert_writes_the_same(trained, loaded, ["the", "old and ", "s"])


@pytest.mark.parametrize("name", ["source", "target"])
def test_an_unknown_column_of_a_translation(tables, tmp_path, name):
    path = tables / "pairs.tsv"
    message = f"{path}: there is no column 'fr'; the columns are 'en', 'de'."
    with refused(InputError, message):
        train_recipe(tiny.translation_recipe(tables, **{name: "fr"}), tmp_path / "out")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"model": "bert_tiny", "task": "translation", "source": "text", "target": "second"},
            "Expected a task that the encoder bert_tiny can be trained for "
            "(classification, multi-label, regression, embedding, token-classification, "
            "question-answering, masked-language-modeling, multi-task), got task='translation'.",
        ),
        (
            {"model": "transformer_tiny", "task": "language-modeling"},
            "Expected a task that the encoder-decoder transformer_tiny can be trained for "
            "(translation), got task='language-modeling'.",
        ),
        (
            {"settings": {"source_vocab_size": 50}},
            "Expected no setting source_vocab_size: it follows from the tokenizer.",
        ),
        (
            {"model": "gpt_nano"},
            "Expected a task that the decoder gpt_nano can be trained for "
            "(language-modeling), got task='classification'.",
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
        train_recipe(tiny.recipe(tables, **changes), tmp_path / "out")
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
        train_recipe(tiny.recipe(tables, vocabulary=str(path)), tmp_path / "out")


def test_an_output_that_exists_is_refused_before_anything_is_read(tables, tmp_path):
    recipe, out = tiny.recipe(tables, train="none.tsv"), tmp_path / "out"
    out.mkdir()
    with refused(FileExistsError, f"{out} exists; choose another path or give --overwrite."):
        train_recipe(recipe, out)
    with refused(
        FileExistsError,
        f"{out} exists and is no checkpoint, so it is not overwritten; choose another path.",
    ):
        train_recipe(recipe, out, overwrite=True)


def test_an_unfinished_run_is_only_discarded_when_asked(tables, tmp_path):
    recipe, out = tiny.recipe(tables, train="none.tsv"), tmp_path / "out"
    states = tmp_path / "out.training"
    write_folder(states / "state", {"progress.json": b"{}"})
    with refused(
        FileExistsError,
        f"{states} holds an unfinished run; go on with --resume, or discard it with --overwrite.",
    ):
        train_recipe(recipe, out)
    (states / "mine.txt").write_text("mine", encoding="utf-8")
    for options in ({}, {"resume": True}, {"overwrite": True}):
        with refused(
            FileExistsError,
            f"{states} holds 'mine.txt', which is no state of a run; choose another path.",
        ):
            train_recipe(recipe, out, **options)
    assert (states / "mine.txt").read_text(encoding="utf-8") == "mine"
    (states / "mine.txt").unlink()
    with pytest.raises(FileNotFoundError, match="none.tsv"):
        train_recipe(recipe, out, overwrite=True)
    assert not states.exists()


def test_an_unknown_label_in_the_validation_data(tables, tmp_path):
    path = tmp_path / "validation.tsv"
    path.write_text("text\tlabel\nan old box\twood\n", encoding="utf-8")
    message = f"{path}, line 2: unknown label 'wood'; the known labels are 'fruit', 'métal'."
    with refused(InputError, message):
        train_recipe(tiny.recipe(tables, validation=str(path)), tmp_path / "out")


def test_a_recipe_names_every_choice_that_was_made(learned, tables):
    # The data has spaces between words.
    recipe = tiny.recipe(tables, epochs=8, tokenizer="wordpiece")
    assert learned[1].recipe == resolved(recipe)
    assert learned[1].recipe.model.settings == tiny.SETTINGS
