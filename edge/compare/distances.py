"""Distances of a file's tensors from the values of the Keras model, and their limits."""

import numpy as np

from keras_transformer.edge.tflite.inside import Tensor

# The converter computes a tensor's scale from the same range in another order.
SCALE_TOLERANCE = 1e-4
# Largest error of a layer, given the same inputs. In steps for an integer tensor: a value near the
# middle of two can round either way. Relative to its size for a float one: sums are added in
# another order, and a float16 file rounds constants.
STEP_LIMIT, FLOAT_LIMIT, FLOAT16_LIMIT = 1.5, 1e-4, 2e-2
# A kernel of blocks adds the zero point's share and the sum of each block in float32. They nearly
# cancel where one input of a row is huge: 1.6e-4 in SmolLM2-135M's first token, in one channel.
BLOCKS_LIMIT = 5e-4
# Pretrained models have channels a hundred times as large as the rest (Bondarenko et al. 2021,
# arXiv:2109.12948): the rounding of a float beyond so many sizes is counted in parts of its own.
OUTLIER = 16
# Distance within which a tensor is taken for a point's, before its error is measured.
FIND_STEPS_OFF, FIND_RELATIVE = 8, 0.5
# Number of values that suffice to rule out most tensors for a point.
SAMPLE = 128


def same_kind(tensor, values, step, *, is_flat):
    """Whether a tensor may hold a point's values: it has their shape, and the point's step."""
    if (step is None) != (tensor.step is None):
        return False
    # For one token, a projection's output is split into heads, and into groups of those that share
    # keys, by reshapes at most; of more tokens the order of the values tells.
    same_size = is_flat and tensor.values.size == values.size
    if not same_size and _without_ones(tensor.values.shape) != _without_ones(values.shape):
        return False
    return step is None or abs(tensor.step / step - 1.0) <= SCALE_TOLERANCE


def _without_ones(shape):
    return [size for size in shape if size != 1]


def size_of(values):
    """Root mean square."""
    return max(float(np.sqrt(np.mean(np.square(values)))), 1e-9)


def distances(values, tensor, size):
    """Returns distances in the tensor's steps, or relative to the values' size, see `OUTLIER`."""
    # Scores of masked positions are near float32's largest number. A tensor that the runtime has
    # not written may have any value, and belongs to no point.
    with np.errstate(invalid="ignore", over="ignore"):
        difference = tensor.values.reshape(values.shape).astype("float64") - values
        return np.abs(difference) / (tensor.step or np.maximum(size, np.abs(values) / OUTLIER))


def is_far(values, tensor, size):
    """Whether a sample of the values shows that the tensor is not the point's."""
    # Most tensors of a shape belong to other points: a sample of the values is enough.
    every = max(1, values.size // SAMPLE)
    some = Tensor(values=tensor.values.reshape(-1)[::every], step=tensor.step)
    most = FIND_RELATIVE if tensor.step is None else FIND_STEPS_OFF
    return distances(values.reshape(-1)[::every], some, size).max() > most


def limit_of(tensor, is_rounded, precision):
    """The largest distance of a tensor, given the same inputs, that the precision explains."""
    if tensor.step is not None:
        return STEP_LIMIT
    # A float16 file computes in float32, but each of its constants is rounded.
    if precision == "float16" or (is_rounded and precision == "int16x8"):
        return FLOAT16_LIMIT
    return BLOCKS_LIMIT if is_rounded and precision == "int4" else FLOAT_LIMIT
