"""The number that decides about a model: a metric of its task, measured on a file of data."""

import dataclasses
import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from keras_transformer.zoo.data.pairs import load_pairs
from keras_transformer.zoo.data.plain_text import load_plain_text
from keras_transformer.zoo.data.tables import load_examples
from keras_transformer.zoo.errors import InputError
from keras_transformer.zoo.evaluation.metrics import evaluate, evaluate_texts
from keras_transformer.zoo.predictor import Predictor


@dataclasses.dataclass(frozen=True, kw_only=True)
class Metric:
    """A task's deciding metric on data that nothing was trained on.

    Attributes:
        name: among the results of an evaluation.
        points: in a difference of 1: 100 of a share; negative where lower is better.
    """

    name: str
    points: float

    def drop(self, reference: float, value: float) -> float:
        """Returns the points by which a value is worse than a reference."""
        return (reference - value) * self.points


def check_max_drop(max_drop: float) -> None:
    """Raises InputError for a budget that is no number of points."""
    if not 0 <= max_drop < math.inf:
        raise InputError(f"Expected max_drop to be 0 or more points, got max_drop={max_drop}.")


METRICS = {
    "classification": Metric(name="accuracy", points=100.0),
    "regression": Metric(name="pearson", points=100.0),
    "translation": Metric(name="bleu", points=1.0),
    "language-modeling": Metric(name="perplexity", points=-1.0),
}


def read_evaluation(
    predictor: Predictor, path: str | Path, columns: Mapping[str, str | None], **decoding: Any
) -> Callable[[Predictor], dict[str, Any]]:
    """Reads the data of a task once, and returns the function from a model to its metrics.

    Args:
        predictor: says what the task and its labels are.
        path: labelled rows, sources and targets, or plain text.
        columns: names of the columns by their use.
        **decoding: how a translator chooses tokens, see `Decoding`.

    Raises:
        FileNotFoundError: there is no such file.
        InputError: the file does not fit the task.
    """
    if predictor.task_name == "translation":
        pairs = load_pairs(path, **columns)
        return lambda model: evaluate_texts(model, pairs, **decoding)
    if predictor.task_name == "language-modeling":
        load_plain_text(path)
        return lambda model: model.perplexity(path)
    examples = load_examples(
        path, task=predictor.task_name, labels=list(predictor.labels) or None, **columns
    )
    return lambda model: evaluate(model, examples)
