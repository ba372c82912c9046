"""The baseline of a text classification: a linear classifier of the counts of n-grams."""

from collections.abc import Sequence

import numpy as np
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.svm import LinearSVC

from keras_transformer.zoo.tokenizers.normalizers.scripts import spaces_words

# Words and punctuation marks, one or two in a row.
_WORDS = {"token_pattern": r"\w+|[^\w\s]", "ngram_range": (1, 2)}
# In scripts without spaces between words: one to three characters.
_CHARACTERS = {"analyzer": "char", "ngram_range": (1, 3)}


def ngram_accuracy(
    texts: Sequence[str], targets: np.ndarray, test_texts: Sequence[str], test_targets: np.ndarray
) -> float | None:
    """Fits a linear support vector machine on TF-IDF of n-grams, and returns its accuracy.

    This takes seconds, and is what a model has to beat to be worth its size.

    Args:
        texts: training texts.
        targets: (rows,) their integer targets.
        test_texts: texts to classify.
        test_targets: (rows,) their targets.

    Returns:
        The fraction of `test_texts` that get their target; None where nothing can be fitted: the
        texts are blank, or have all one target.
    """
    if len(np.unique(targets)) < 2 or not any(map(str.strip, texts)):
        return None
    kind = _WORDS if spaces_words(texts) else _CHARACTERS
    vectorizer = TfidfVectorizer(**kind, sublinear_tf=True, dtype=np.float32)
    classifier = LinearSVC(random_state=0)
    classifier.fit(vectorizer.fit_transform(texts), targets)
    return float(np.mean(classifier.predict(vectorizer.transform(test_texts)) == test_targets))
