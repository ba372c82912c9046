"""Padding of training rows is at their end, as lengths in place of masks take it to be.

See `keras_transformer.flash.lengths_of`.
"""

import numpy as np
import pytest

import keras_transformer as kt
from keras_transformer.zoo.augmentation.token_dropout import drop_tokens
from keras_transformer.zoo.modalities.text import PAD_ID
from keras_transformer.zoo.recipe import Recipe
from keras_transformer.zoo.tasks.registry import TASKS
from keras_transformer.zoo.training.chosen.configs import config_of
from keras_transformer.zoo.training.run_data import learn_run_data, training_batches
from tests.answering import questions
from tests.tagging import sentences
from tests.zoo import tiny

RANKING = {"task": "similarity", "objective": "ranking", "text_pair": "second"}


def masked(folder, **changes):
    values = {
        "model": "bert_tiny", "train": str(folder / "text.txt"), "vocab_size": 60,
        "validation": str(folder / "text_validation.txt"), "max_length": 16, "batch_tokens": 64,
    }  # fmt: skip
    return Recipe.of_task(TASKS["masked-language-modeling"], **{**values, **changes})


def read(task, **data):
    """A recipe of rows in memory, and these."""
    recipe = Recipe.of_task(
        TASKS[task], model="bert_tiny", train="", validation="", max_length=20, vocab_size=80,
        tokenizer="wordpiece", batch_tokens=96,
    )  # fmt: skip
    return lambda folder: (recipe, data)


FILES = {
    "one text": tiny.recipe,
    "pieces": lambda folder: tiny.recipe(folder, piece_dropout=0.3),
    "pairs": lambda folder: tiny.recipe(folder, text_pair="second"),
    "ranked pairs": lambda folder: tiny.recipe(folder, **RANKING),
    "translation": tiny.translation_recipe,
    "separate": lambda folder: tiny.translation_recipe(folder, shared_vocabulary=False),
    "language model": tiny.language_recipe,
    "masked": masked,
    "tags": read("token-classification", train=sentences(40, 0), validation=sentences(8, 1)),
    "answers": read("question-answering", train=questions(40, 0), validation=questions(8, 1)),
}


@pytest.mark.parametrize("kind", FILES)
def test_padding_is_at_the_end(kind, tables):
    made = FILES[kind](tables)
    recipe, data = made if isinstance(made, tuple) else (made, {})
    run = learn_run_data(recipe, config_of(recipe), **data)
    padded = 0
    for batch in training_batches(run, recipe).epoch(0):
        for inputs in (batch.inputs, drop_tokens(batch.inputs, 0.3, 0, 1)):
            for name in {"ids", "source_ids"} & set(inputs):
                is_real = inputs[name] != PAD_ID
                ends = np.arange(is_real.shape[1]) < is_real.sum(axis=1)[:, None]
                np.testing.assert_array_equal(is_real, ends)
                assert is_real[:, 0].all()
                padded += int((~is_real).sum())
    # Blocks of a text alone are all of one length, but for the last.
    assert padded > 0 or kind in ("language model", "masked")


def test_a_name_of_padding_in_a_text_is_text(tables):
    checkpoint = kt.train(tiny.recipe(tables, epochs=1), report=kt.Report(), baseline=False)
    (ids,) = checkpoint.modality.encode(["[PAD] old [PAD] box"]).columns["ids"]
    assert PAD_ID not in ids
