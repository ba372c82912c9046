"""The classifier to beat: logistic regression on character n-grams."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import accuracy_score, f1_score


def ngram_baseline(
    train: Sequence[tuple[str, str]], test: Sequence[tuple[str, str]]
) -> dict[str, Any]:
    """Fits multinomial logistic regression on TF-IDF of 1 to 3 characters and scores it.

    Args:
        train: (text, label) to fit on.
        test: (text, label) to score on.

    Returns:
        `accuracy`, `macro_f1` (over the labels of `test` and of the predictions) and
        `predictions`, a label for each row of `test`.
    """
    texts, labels = zip(*train, strict=True)
    test_texts, test_labels = zip(*test, strict=True)
    # Keeping the case gains over a point on the language data's validation split; C and the
    # weighting move it by 0.2 at most.
    vectorizer = TfidfVectorizer(
        analyzer="char_wb", ngram_range=(1, 3), lowercase=False, sublinear_tf=True, dtype=np.float32
    )
    # SAGA reaches what L-BFGS reaches on this data in a sixth of the time.
    classifier = LogisticRegression(C=10.0, solver="saga", tol=1e-3, max_iter=500, random_state=0)
    classifier.fit(vectorizer.fit_transform(texts), labels)
    predictions = classifier.predict(vectorizer.transform(test_texts)).tolist()
    return {
        "accuracy": float(accuracy_score(test_labels, predictions)),
        "macro_f1": float(f1_score(test_labels, predictions, average="macro")),
        "predictions": predictions,
    }
