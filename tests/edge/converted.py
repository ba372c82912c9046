"""Files of a model that the tests of a file share."""

import functools

import keras_transformer as kt
from keras_transformer.edge.precision import PRECISIONS


def converter(trained, rows, lengths=None):
    """Returns a function that converts a model to a precision, each only once.

    Args:
        trained: function of no or some names that returns the checkpoint.
        rows: data to calibrate on.
        lengths: lengths of the float32 file.
    """

    @functools.cache
    def converted(*names):
        *model, precision = names
        calibration = rows if PRECISIONS[precision].is_static else None
        return kt.convert(
            trained(*model), precision, calibration=calibration,
            lengths=lengths if precision == "float32" else None,
        )  # fmt: skip

    return converted
