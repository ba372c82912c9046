"""Quickstart job: the language of a name, with an encoder that classifies."""

import functools
from collections.abc import Sequence
from pathlib import Path

from sklearn.metrics import accuracy_score, f1_score

from keras_transformer.edge.quickstart.quickstart import Baseline, Job
from keras_transformer.zoo.data.pairs import SentencePairs
from keras_transformer.zoo.recipe import Recipe
from keras_transformer.zoo.samples.baseline import label_baseline
from keras_transformer.zoo.samples.languages import write_tables
from keras_transformer.zoo.tasks.classification import Classification

# Few enough to train in a minute or two; most have a script of their own.
LANGUAGES = ("en", "fi", "ru", "el", "he", "ar", "hi", "ta", "th", "ka", "hy", "ja")


def recipe(data: Path, seed: int) -> Recipe:
    """Returns the training run: a small encoder of word pieces of a few characters."""
    return Recipe.of_task(
        Classification, model="bert_tiny",
        # The parts of a word matter more than their position.
        settings={"pooling": "mean", "positions": "alibi", "dropout": 0.2},
        train=str(data / "train.tsv"), validation=str(data / "validation.tsv"),
        text="text", label="label", lowercase=False, strip_accents=False,
        tokenizer="wordpiece", vocab_size=6000,
        max_length=32, epochs=10, learning_rate=2e-3, batch_tokens=1024, token_dropout=0.2,
        piece_dropout=0.3, label_smoothing=0.1, ema=0.99, seed=seed,
    )  # fmt: skip


def metrics(test: SentencePairs, answers: Sequence[str]) -> dict[str, float]:
    """Returns the accuracy, and the macro F1 over the labels that occur or are predicted."""
    return {
        "accuracy": float(accuracy_score(test.targets, answers)),
        "macro_f1": float(f1_score(test.targets, answers, average="macro")),
    }


JOB = Job(
    name="languages",
    title="Languages of names, concepts not trained on",
    columns=("text", "label"),
    write_data=functools.partial(write_tables, languages=LANGUAGES),
    recipe=recipe,
    qat_epochs=2,
    precisions=("float32", "float16", "dynamic_int8", "int8"),
    baselines=(
        Baseline(
            name="n-gram regression",
            answer=lambda train, texts: label_baseline(train.sources, train.targets, texts),
        ),
    ),
    metrics=metrics,
    # Place names that are not in the data.
    texts=(
        "Northern Lights", "Suomenlahti", "Озеро Байкал", "Θεσσαλονίκη", "ירושלים", "القاهرة",
        "東京タワー",
    ),
)  # fmt: skip
