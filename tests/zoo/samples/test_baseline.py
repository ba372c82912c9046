import numpy as np
import pytest

from keras_transformer.zoo.errors import InputError
from keras_transformer.zoo.samples.baseline import date_baseline, label_baseline, parsed_dates
from keras_transformer.zoo.samples.dates import date_examples
from keras_transformer.zoo.samples.languages import language_examples

WORDS = {
    "en": ("the house", "the mouse", "the garden", "the ship", "the weather"),
    "de": ("das Haus", "das Maus", "das Gartentor", "das Schiff", "das Wetter"),
}


def test_labels_of_a_small_case():
    texts = [text for words in WORDS.values() for text in words]
    labels = [label for label, words in WORDS.items() for _ in words]
    assert label_baseline(texts, labels, ["the door", "das Tor", "das Rad"]) == ["en", "de", "de"]


def test_languages_are_told_apart_and_the_same_each_time():
    data = language_examples(("de", "fr", "ru", "fi"))
    texts, labels = zip(*data["train"], strict=True)
    test_texts, test_labels = zip(*data["test"], strict=True)
    found = label_baseline(texts, labels, test_texts)
    assert np.mean(np.array(found) == np.array(test_labels)) > 0.93
    assert label_baseline(texts, labels, test_texts) == found


@pytest.mark.slow
def test_fields_of_dates_are_found_by_n_grams():
    data = date_examples(("en_US", "de"), dates=6_000)
    texts, dates, _ = zip(*data["train"], strict=True)
    test_texts, test_dates, _ = zip(*data["test"], strict=True)
    found = date_baseline(texts, dates, test_texts)
    # A year alone would be one in a hundred.
    assert np.mean(np.array(found) == np.array(test_dates)) > 0.8
    assert date_baseline(texts, dates, test_texts) == found


@pytest.mark.parametrize(
    "text, date",
    [
        ("en_US: 3/4/2021", "2021-03-04"),
        ("en_GB: Thu, 04/03/2021", "2021-03-04"),
        ("ar_EG: ٤/٣/٢٠٢١", "2021-03-04"),
        # Two digits are a year of the data's century, whatever year it is today.
        ("de: 04.03.49", "2049-03-04"),
        ("de: 04.03.50", "1950-03-04"),
        # A month's name, no number at all, and no date.
        ("de: 4. März 2021", None),
        ("de: gestern", None),
        ("de: 31.02.2021", None),
    ],
)
def test_babel_reads_numbers_in_the_order_of_a_locale(text, date):
    assert parsed_dates([text]) == [date]


def test_babel_is_right_on_numeric_dates():
    rows = [
        row for rows in date_examples(("en_US", "en_GB", "hi"), dates=600).values() for row in rows
    ]
    for found, (text, date, _) in zip(parsed_dates([row[0] for row in rows]), rows, strict=True):
        assert found in (date, None), text


def test_babel_and_a_locale_that_it_does_not_know():
    with pytest.raises(InputError, match="Expected a locale that Babel knows, got 'xx'."):
        parsed_dates(["xx: 3.4.2021"])
