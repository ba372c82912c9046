"""Predictions as they are shown: tables, and JSON-serializable objects."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from keras_transformer.cli.vectors import shown_vector
from keras_transformer.zoo.answering.answers import Answer
from keras_transformer.zoo.masking.fills import Filled
from keras_transformer.zoo.masking.replacements import ReplacedPieces
from keras_transformer.zoo.outputs import WINDOWED, LabelSet, Prediction, Vector
from keras_transformer.zoo.tagging.decoding import Tagged

MAX_LABELS = 5
BAR_WIDTH = 20
SHOWN_CHARACTERS = 60
# In place of the label of a row that a classifier rejects.
OUT_OF_SCOPE = "out of scope"


def values(
    prediction: Prediction | LabelSet | Vector | Tagged | Answer | Filled | ReplacedPieces,
) -> dict[str, Any]:
    """Returns the values of a prediction as a JSON-serializable object."""
    fields = prediction._asdict()
    if isinstance(prediction, Tagged):
        return {**fields, "spans": [span._asdict() for span in prediction.spans]}
    if isinstance(prediction, Filled):
        return {**fields, "masks": [mask._asdict() for mask in prediction.masks]}
    return {**fields, "vector": fields["vector"].tolist()} if "vector" in fields else fields


def longer(predictor: Any) -> str:
    """Returns in words what was cut of a text."""
    most = predictor.modality.longest
    if predictor.output_kind in WINDOWED:
        return f"have a word that is longer than {most}, or too long a question, which was cut"
    return f"are longer than {most} and were cut"


def note_cuts(predictor: Any, results: Sequence[Any]) -> None:
    """Says which rows were cut, by their place; None stands for a blank line."""
    from keras_transformer.cli import display

    cut = [row for row, one in enumerate(results, start=1) if one and one.truncated]
    if cut:
        display.note(
            f"{len(cut)} of {len(results)} {predictor.modality.rows} {longer(predictor)}: "
            f"{display.first_of(cut)}."
        )


def print_table(texts: Any, predictions: list, rows_of: str = "text") -> None:
    """Prints the predictions for texts, or for paths of rows of another modality."""
    from keras_transformer.cli import display

    first = rows_of.capitalize()
    found = next(one for one in predictions if one)
    if isinstance(found, Vector):
        rows = [
            (short(text), len(one.vector), shown_vector(one.vector))
            for text, one in zip(texts, predictions, strict=True)
        ]
        display.table(None, (first, "Width", "Vector"), rows)
    elif isinstance(found, LabelSet):
        rows = [
            (short(text), shown_labels(one.labels) if one else "")
            for text, one in zip(texts, predictions, strict=True)
        ]
        display.table(None, (first, "Labels"), rows)
    elif isinstance(found, Answer):
        rows = [
            (short(text), short(one.text) or "no answer",
             "" if one.start is None else f"{one.start}-{one.end}", f"{one.score:.1%}")
            if one else ("",) * 4
            for text, one in zip(texts, predictions, strict=True)
        ]  # fmt: skip
        display.table(None, ("Question", "Answer", "Characters", "Probability"), rows)
    elif isinstance(found, Tagged):
        numbered = len(texts) > 1
        rows = [
            (*([place] if numbered else []), short(span.text), span.label,
             f"{span.start}-{span.end}", f"{span.score:.1%}", bar(span.score))
            for place, one in enumerate(predictions, start=1)
            for span in one.spans
        ]  # fmt: skip
        columns = ("Text", "Label", "Characters", "Probability", "")
        display.table(None, (*(["Line"] if numbered else []), *columns), rows)
    elif isinstance(found, Filled):
        numbered = len(texts) > 1
        rows = [
            (*([place] if numbered else []), f"{mask.start}-{mask.end}", piece, f"{share:.1%}",
             bar(share))
            for place, one in enumerate(predictions, start=1)
            for mask in one.masks
            for piece, share in mask.pieces.items()
        ]  # fmt: skip
        columns = ("Characters", "Piece", "Probability", "")
        display.table(None, (*(["Line"] if numbered else []), *columns), rows)
    elif isinstance(found, ReplacedPieces):
        numbered = len(texts) > 1
        rows = [
            (*([place] if numbered else []), piece, f"{share:.1%}", bar(share))
            for place, one in enumerate(predictions, start=1)
            for piece, share in one.pieces
        ]  # fmt: skip
        columns = ("Piece", "Replaced", "")
        display.table(None, (*(["Line"] if numbered else []), *columns), rows)
    elif not found.scores:
        rows = [
            (short(text), one.score if one else None)
            for text, one in zip(texts, predictions, strict=True)
        ]
        display.table(None, (first, "Value"), rows)
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
        display.table(None, (first, "Label", "Probability", ""), rows)


def shown_labels(labels: dict[str, float]) -> str:
    return ", ".join(f"{label} {score:.1%}" for label, score in labels.items()) or "-"


def short(text: str) -> str:
    """Returns a text on one line, shortened."""
    text = " ".join(text.split())
    return text if len(text) <= SHOWN_CHARACTERS else f"{text[: SHOWN_CHARACTERS - 1]}…"


def bar(share: float) -> str:
    """Returns a share as a bar."""
    return "█" * round(share * BAR_WIDTH)


def print_json(model: Path, rows: list[dict[str, Any]]) -> None:
    """Prints the predictions of a model as one JSON object."""
    from keras_transformer.cli import display

    result = {"model": str(model), "predictions": rows}
    display.say_json(result)
