"""Raw rows as a model reads them that has outputs at each position, and what it says of them."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from keras_transformer.zoo.answering.answers import AnswerOutputs, answer_outputs
from keras_transformer.zoo.answering.windows import question_windows
from keras_transformer.zoo.masking.fills import FillOutputs, masked_rows, piece_names
from keras_transformer.zoo.masking.replacements import PieceOutputs
from keras_transformer.zoo.outputs import ANSWERS, MASKS, REPLACED, TAGS
from keras_transformer.zoo.tagging.windows import TagOutputs, windows_of
from keras_transformer.zoo.tagging.words import words_of

# Rows whose outputs are in memory at once: those of a vocabulary are larger than all else.
_ROWS = 32


def in_parts(
    run: Callable[[Mapping[str, Any]], Sequence[np.ndarray]], columns: Mapping[str, Sequence[Any]]
) -> Iterator[np.ndarray]:
    """Yields the output (T or more, outputs) of each encoded row, computed a few at a time."""
    count = len(next(iter(columns.values())))
    for first in range(0, count, _ROWS):
        yield from run({name: rows[first : first + _ROWS] for name, rows in columns.items()})


def check_windows(kind: str, modality: Any, max_length: int, stride: int) -> None:
    """Raises InputError if windows of a length have no room beside what they have in common.

    Args:
        kind: kind of the outputs; those without windows have any length.
        modality: modality of the model.
        max_length, stride: see `windows_of` and `question_windows`.
    """
    if kind == TAGS:
        windows_of(modality.tokenizer, [], max_length, stride)
    elif kind == ANSWERS:
        question_windows(modality.tokenizer, [], [], max_length, stride)


def _tags(predictor: Any, rows: list[Any], pairs: None, run: Callable) -> TagOutputs:
    windows = windows_of(predictor.tokenizer, rows, predictor.max_length, predictor.stride)
    return windows.outputs(run(windows.columns), len(predictor.labels))


def _answers(predictor: Any, rows: list[Any], pairs: list[Any], run: Callable) -> AnswerOutputs:
    contexts = [words_of(context) for context in pairs or ()]
    asked = question_windows(
        predictor.tokenizer, rows, contexts, predictor.max_length, predictor.stride
    )
    names = [spec.name for spec in predictor.modality.inputs(pair=True)]
    found = run({name: asked.columns[name] for name in names})
    return answer_outputs(asked, found, predictor.null_threshold)


def _fills(predictor: Any, rows: list[Any], pairs: None, run: Callable) -> FillOutputs:
    read = masked_rows(predictor.tokenizer, rows, predictor.max_length)
    outputs = zip(read.positions, in_parts(run, {"ids": read.ids}), strict=True)
    scores = [values[positions] for positions, values in outputs]
    return FillOutputs(scores, read.places, piece_names(predictor.tokenizer), read.truncated)


def _replaced(predictor: Any, rows: list[Any], pairs: None, run: Callable) -> PieceOutputs:
    features, names = predictor.modality.encode(rows), piece_names(predictor.tokenizer)
    special, scores, pieces = predictor.tokenizer.special_ids, [], []
    outputs = run({"ids": features.columns["ids"]}) if rows else []
    for ids, values in zip(features.columns["ids"], outputs, strict=True):
        places = [place for place, i in enumerate(ids.tolist()) if i not in special]
        scores.append(values[places, 0])
        pieces.append([names[ids[place]] for place in places])
    return PieceOutputs(scores, pieces, features.truncated)


# Kind of output -> the function from a predictor, checked rows, their second rows and the function
# from columns to outputs by position, to the outputs of the rows.
READ: dict[str, Callable[..., Any]] = {
    TAGS: _tags, ANSWERS: _answers, MASKS: _fills, REPLACED: _replaced,
}  # fmt: skip
