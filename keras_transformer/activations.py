"""The activations of the feed-forward layer, by name."""

import contextlib
import contextvars
import math

import keras
from keras import ops

_has_own_gradient = contextvars.ContextVar("has_own_gradient", default=True)


@contextlib.contextmanager
def without_own_gradients():
    """Computes activations with ops that have no custom gradient inside the context.

    A custom gradient is a Python function, which a PyTorch trace cannot record, and which
    TensorFlow registers for the life of the process, with all of the graph that it was traced in.
    """
    token = _has_own_gradient.set(False)
    try:
        yield
    finally:
        _has_own_gradient.reset(token)


def gelu(x):
    """Returns `x / 2 * (1 + erf(x / sqrt(2)))` (Hendrycks and Gimpel 2016, arXiv:1606.08415)."""
    return _gelu(x) if _has_own_gradient.get() else ops.gelu(x, approximate=False)


@ops.custom_gradient
def _gelu(x):
    """GELU with a custom gradient.

    The forward pass is written as the TFLite converter expects it, so that it becomes one GELU.
    The gradient reuses what the forward pass computed, in 7 passes over the widest tensor of a
    Transformer instead of the 10 that automatic differentiation takes.
    """
    root = x / math.sqrt(2.0)
    doubled = 1.0 + ops.erf(root)
    half = 0.5 * x

    def gradient(*args, upstream=None):
        if upstream is None:  # PyTorch names it, the other backends do not
            (upstream,) = args
        density = ops.exp(math.log(2.0 / math.sqrt(math.pi)) - ops.square(root))
        return 0.5 * upstream * (doubled + root * density)

    return half * doubled, gradient


def silu(x):
    """Returns `x * sigmoid(x)` (Elfwing et al. 2017, arXiv:1702.03118)."""
    # TensorFlow's own computes the sigmoid twice in training, and saves the memory of it.
    is_custom = keras.config.backend() == "tensorflow"
    return ops.silu(x) if _has_own_gradient.get() or not is_custom else x * ops.sigmoid(x)


def hard_silu(x):
    """Returns `x * relu6(x + 3) / 6`, h-swish (Howard et al. 2019, arXiv:1905.02244, 5.2)."""
    # As the TFLite converter expects it, so that it becomes one HARD_SWISH.
    return x * ops.relu6(x + 3.0) * (1.0 / 6.0)


ACTIVATIONS = {
    "relu": ops.relu,
    "gelu": gelu,
    "gelu_tanh": lambda x: ops.gelu(x, approximate=True),
    "silu": silu,
    "hard_silu": hard_silu,
}

# Activation -> the slope of the sigmoid for which `x * sigmoid(slope * x)` equals the activation or
# is within 0.02 of it (Hendrycks and Gimpel 2016, section 2): an integer device has no other.
SIGMOID_SLOPES = {"gelu": 1.702, "gelu_tanh": 1.702, "silu": 1.0}
