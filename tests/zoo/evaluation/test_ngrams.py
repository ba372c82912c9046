import numpy as np
import pytest

from keras_transformer.zoo.evaluation.ngrams import ngram_accuracy


def test_words_that_tell_the_classes_apart_are_learned():
    texts = ["a good film", "good fun", "a bad film", "bad luck"]
    asked = ["a good day", "a bad day", "such a bad one", "so good"]
    right, wrong = np.array([0, 1, 1, 0]), np.array([1, 0, 0, 1])
    known = np.array([0, 0, 1, 1])
    assert ngram_accuracy(texts, known, asked, right) == 1.0
    assert ngram_accuracy(texts, known, asked, wrong) == 0.0
    assert ngram_accuracy(texts, known, asked, np.array([0, 1, 0, 1])) == 0.5


def test_the_order_of_two_words_counts():
    """Every word is in both classes as often; only pairs of words tell them apart."""
    texts = ["ab cd", "cd ab", "ef gh", "gh ef"] * 5
    targets = np.array([0, 1, 0, 1] * 5)
    assert ngram_accuracy(texts, targets, texts[:4], targets[:4]) == 1.0


def test_punctuation_is_a_word():
    texts, targets = ["so?", "well?", "so!", "well!"], np.array([0, 0, 1, 1])
    assert ngram_accuracy(texts, targets, ["and?", "and!"], np.array([0, 1])) == 1.0


def test_scripts_without_spaces_are_read_by_characters():
    texts = ["この映画は良い", "とても良い一日", "この映画は悪い", "とても悪い一日"]
    targets = np.array([0, 0, 1, 1])
    # As words each sentence would be one of its own, and none of these known.
    assert ngram_accuracy(texts, targets, ["良い本", "悪い本"], np.array([0, 1])) == 1.0


@pytest.mark.parametrize("texts", [["a", "b"], [" ", "\t\n"]])
def test_nothing_to_fit_gives_none(texts):
    targets = np.array([1, 1]) if texts[0] == "a" else np.array([0, 1])
    assert ngram_accuracy(texts, targets, ["a"], np.array([1])) is None
