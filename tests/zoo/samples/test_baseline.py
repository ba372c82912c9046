import numpy as np
import pytest

from keras_transformer.zoo.samples.baseline import ngram_baseline
from keras_transformer.zoo.samples.languages import language_examples

TRAIN = [
    *((f"the {word}", "en") for word in ("house", "mouse", "garden", "ship", "weather")),
    *((f"das {word}", "de") for word in ("Haus", "Maus", "Gartentor", "Schiff", "Wetter")),
]


def test_learns_a_small_case():
    result = ngram_baseline(TRAIN, [("the door", "en"), ("das Tor", "de"), ("das Rad", "en")])
    assert result["predictions"] == ["en", "de", "de"]
    assert result["accuracy"] == pytest.approx(2 / 3)
    # F1 of each of the two classes: 2 * 1 * 0.5 / 1.5.
    assert result["macro_f1"] == pytest.approx(2 / 3)


def test_languages_are_told_apart_and_the_same_each_time():
    data = language_examples(("de", "fr", "ru", "fi"))
    result = ngram_baseline(data["train"], data["test"])
    labels = [label for _, label in data["test"]]
    assert result["accuracy"] > 0.93
    assert result["accuracy"] == np.mean(np.array(labels) == np.array(result["predictions"]))
    assert ngram_baseline(data["train"], data["test"]) == result
