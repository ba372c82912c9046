"""What is done with logits of any task: a check that they are numbers, and their sigmoid."""

from collections.abc import Sequence
from typing import TypeVar

import numpy as np

from keras_transformer.zoo.errors import RunError

Outputs = TypeVar("Outputs", bound=np.ndarray | Sequence[np.ndarray])


def finite(outputs: Outputs, of: str = "rows") -> Outputs:
    """Returns outputs that are to be measured.

    Args:
        outputs: an array (rows, ...), or an array of any shape for each row.
        of: what the rows are, in the message.

    Raises:
        RunError: one is infinite or not a number, of which the highest is no prediction.
    """
    if isinstance(outputs, np.ndarray):
        is_finite = np.isfinite(outputs).all(axis=tuple(range(1, outputs.ndim)))
    else:
        is_finite = np.array([np.isfinite(one).all() for one in outputs], bool)
    wrong = np.count_nonzero(~is_finite)
    if wrong:
        raise RunError(
            f"Expected finite outputs of the model, got others in {wrong} of {len(outputs)} {of}."
        )
    return outputs


def sigmoid(logits: np.ndarray) -> np.ndarray:
    """Returns 1 / (1 + exp(-x)) in float64, without an overflow for any x."""
    return np.exp(-np.logaddexp(0.0, -logits.astype("float64")))
