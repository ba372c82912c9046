"""Predictions as tables."""

from typing import Any

from keras_transformer.cli.vectors import shown_vector
from keras_transformer.zoo.outputs import LabelSet, Vector

MAX_LABELS = 5
BAR_WIDTH = 20
SHOWN_CHARACTERS = 60
# In place of the label of a row that a classifier rejects.
OUT_OF_SCOPE = "out of scope"


def print_table(texts: Any, predictions: list) -> None:
    from keras_transformer.cli import display

    found = next(one for one in predictions if one)
    if isinstance(found, Vector):
        rows = [
            (short(text), len(one.vector), shown_vector(one.vector))
            for text, one in zip(texts, predictions, strict=True)
        ]
        display.table(None, ("Text", "Width", "Vector"), rows)
    elif isinstance(found, LabelSet):
        rows = [
            (short(text), shown_labels(one.labels) if one else "")
            for text, one in zip(texts, predictions, strict=True)
        ]
        display.table(None, ("Text", "Labels"), rows)
    elif not found.scores:
        rows = [
            (short(text), one.score if one else None)
            for text, one in zip(texts, predictions, strict=True)
        ]
        display.table(None, ("Text", "Value"), rows)
    elif len(texts) == 1:
        best = sorted(predictions[0].scores.items(), key=lambda item: -item[1])[:MAX_LABELS]
        rows = [(label, f"{score:.1%}", bar(score)) for label, score in best]
        title = OUT_OF_SCOPE.capitalize() if found.label is None else None
        display.table(title, ("Label", "Probability", ""), rows)
    else:
        rows = [
            (short(text), one.label or OUT_OF_SCOPE, f"{one.score:.1%}", bar(one.score))
            if one else ("",) * 4
            for text, one in zip(texts, predictions, strict=True)
        ]
        display.table(None, ("Text", "Label", "Probability", ""), rows)


def shown_labels(labels: dict[str, float]) -> str:
    return ", ".join(f"{label} {score:.1%}" for label, score in labels.items()) or "-"


def short(text: str) -> str:
    text = " ".join(text.split())
    return text if len(text) <= SHOWN_CHARACTERS else f"{text[: SHOWN_CHARACTERS - 1]}…"


def bar(share: float) -> str:
    return "█" * round(share * BAR_WIDTH)
