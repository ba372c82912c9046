"""Word error rates against counts by hand."""

import numpy as np
import pytest

from keras_transformer.zoo.evaluation.word_errors import (
    plain_words,
    transcript_metrics,
    word_errors,
)


def test_errors_are_counted_by_row():
    texts = ["Four seven", "one", "", "so it is, isn't it?", "um"]
    references = ["four, eleven.", "one two three", "nine", "So it is isn't it", "..."]
    found = word_errors(texts, references)
    np.testing.assert_array_equal(found.errors, [1, 2, 1, 0, 1])
    np.testing.assert_array_equal(found.words, [2, 3, 1, 5, 0])
    assert found.rate() == pytest.approx(5 / 11)
    assert found.rate(np.array([1, 1])) == pytest.approx(4 / 6)
    assert found.rate(np.array([4])) is None


def test_case_and_punctuation_do_not_count():
    assert plain_words(" Don't -- STOP, 'Straße'! ") == "don't stop 'strasse'"
    metrics = transcript_metrics(["Yes!", "no no"], ["yes", "no"])
    assert metrics == {"wer": 0.5, "exact_match": 0.5}
