"""Data in a script without spaces: the defaults learn it, and what a model cannot read is said."""

import json
import random

import pytest

from keras_transformer.zoo.checkpoint import Checkpoint
from keras_transformer.zoo.evaluation.unknown import unknown_shares, unknown_warning
from keras_transformer.zoo.modalities.text import Text
from keras_transformer.zoo.recipe import Recipe
from keras_transformer.zoo.tasks.classification import Classification
from keras_transformer.zoo.tasks.language_modeling import LanguageModeling
from keras_transformer.zoo.tasks.measure import evaluate
from keras_transformer.zoo.tasks.translation import Translation
from keras_transformer.zoo.tokenizers.piece_list import SPECIAL_TOKENS
from keras_transformer.zoo.tokenizers.tokenizer import Tokenizer, TokenizerConfig
from keras_transformer.zoo.training.train import train
from tests.zoo import tiny

FILLERS = ("ร้านนี้", "อาหาร", "บริการ", "พนักงาน", "ราคา", "ห้อง", "สถานที่", "ที่นี่", "กาแฟ", "ของหวาน")
# Each tells itself from its neighbour by a tone mark alone.
WORDS = {"good": ("ใกล้", "เข้า", "ค่า"), "bad": ("ไกล", "เขา", "ค้า")}


def reviews(count, seed):
    """Thai texts without a space, in which one word says the label."""
    rng = random.Random(seed)
    texts, labels = [], []
    for _ in range(count):
        label = rng.choice(("good", "bad"))
        words = rng.choices(FILLERS, k=rng.randint(5, 9))
        words.insert(rng.randint(0, len(words)), rng.choice(WORDS[label]))
        texts.append("".join(words))
        labels.append(label)
    return texts, labels


class Notes(tiny.Report):
    def __init__(self):
        self.notes = []

    def note(self, text):
        self.notes.append(text)


def trained(**options):
    notes = Notes()
    values = {
        "settings": {**tiny.SETTINGS, "pooling": "mean"}, "max_length": 32, "learning_rate": 0.01,
        "vocab_size": 600,
    }  # fmt: skip
    data = {"train": reviews(600, 1), "validation": reviews(100, 2)}
    checkpoint = train("bert_tiny", report=notes, **{**data, **values, **options})
    # What else suits the rows is tested in test_suited.
    return checkpoint, [note for note in notes.notes if "training rows suit" not in note]


@pytest.mark.slow
def test_the_defaults_learn_thai(tmp_path):
    checkpoint, notes = trained(epochs=10, out=tmp_path / "out")
    assert notes == [
        "The tokenizer is sentencepiece, because the training data is in a script without spaces "
        "between words; --tokenizer selects another."
    ]
    assert checkpoint.recipe.tokenizer.kind == "sentencepiece"
    recipe = json.loads((tmp_path / "out" / "recipe.json").read_text(encoding="utf-8"))
    assert recipe["tokenizer"]["kind"] == "sentencepiece"
    assert Checkpoint.load(tmp_path / "out").recipe == checkpoint.recipe
    assert checkpoint.metrics["validation"]["accuracy"] >= 0.93
    assert "unknown_tokens" not in checkpoint.metrics["validation"]


def test_unknown_tokens_are_said_and_recorded():
    long = [text * 4 for text in reviews(20, 3)[0]]
    checkpoint, notes = trained(
        tokenizer="wordpiece", epochs=1, train=reviews(60, 1), max_length=64,
        validation=(long, ["good", "bad"] * 10),
    )  # fmt: skip
    assert notes == [
        "100.0% of the tokens of validation are unknown to the tokenizer, in 100.0% of the rows; "
        "models with --tokenizer sentencepiece know every text."
    ]
    recorded = checkpoint.metrics["validation"]
    assert (recorded["unknown_tokens"], recorded["rows_with_unknown_tokens"]) == (1.0, 1.0)
    texts, labels = reviews(40, 4)
    found = evaluate(checkpoint, (texts + long, labels + ["good"] * 20))
    assert found["rows_with_unknown_tokens"] == pytest.approx(20 / 60)
    assert 0 < found["unknown_tokens"] < 0.2


@pytest.mark.slow
def test_what_was_chosen_is_not_chosen_again(tables):
    recipe = tiny.recipe(tables, epochs=1)
    assert recipe.tokenizer.kind == "auto"
    made = train(recipe).recipe
    assert made.tokenizer.kind == "wordpiece"
    again = Recipe.from_json(made.to_json())
    assert again == made
    checkpoint, notes = trained(
        tokenizer="characters", epochs=1, train=reviews(60, 1), max_length=64,
        validation=reviews(20, 2),
    )  # fmt: skip
    assert (checkpoint.recipe.tokenizer.kind, notes) == ("characters", [])


CHARACTERS = Tokenizer(TokenizerConfig(kind="characters"), [*SPECIAL_TOKENS, *"abc\n"])


@pytest.mark.parametrize(
    "task, source, tokens, rows",
    [
        (Classification(), (["ab", "xb", "xx", ""], ["0", "1", "0", "1"]), 3 / 6, 2 / 4),
        (
            Classification(pair=True), (["ab", "xb", "c"], ["x", "x", "a"], ["0", "1", "0"]),
            3 / 8, 2 / 3,
        ),
        (Translation(), (["ab", "c"], ["a", "x"]), 1 / 5, 1 / 2),
        (LanguageModeling(), ["abc", "axa", "b"], 1 / 7, 1 / 3),
    ],
)  # fmt: skip
def test_shares_of_unknown_tokens(task, source, tokens, rows):
    examples = task.read(source)
    found = unknown_shares(task, examples, Text(tokenizer=CHARACTERS, max_length=8))
    assert found == {"unknown_tokens": tokens, "rows_with_unknown_tokens": rows}
    exact = Text(tokenizer=Tokenizer(TokenizerConfig(kind="bytes")), max_length=8)
    assert unknown_shares(task, examples, exact) == {}


def test_a_target_tokenizer_counts_too():
    task, texts = Translation(), (["ab", "c"], ["ax", "x"])
    words = Tokenizer(TokenizerConfig(kind="bytes"))
    modality = Text(tokenizer=words, target_tokenizer=CHARACTERS, max_length=8)
    found = unknown_shares(task, task.read(texts), modality)
    assert found == {"unknown_tokens": 2 / 3, "rows_with_unknown_tokens": 1.0}


def test_few_unknown_tokens_are_no_warning():
    shares = {"unknown_tokens": 0.0099, "rows_with_unknown_tokens": 0.5}
    assert unknown_warning(shares, "data") is None
    assert unknown_warning({}, "data") is None
    assert unknown_warning({**shares, "unknown_tokens": 0.01}, "dev.tsv").startswith(
        "1.0% of the tokens of dev.tsv are unknown to the tokenizer, in 50.0% of the rows; "
    )
