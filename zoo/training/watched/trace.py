"""Traces of steps, which TensorBoard's profile plugin and Perfetto show."""

from pathlib import Path

import keras

# The backend that computes is there; the others need not be.
if keras.config.backend() == "jax":
    import jax
elif keras.config.backend() == "tensorflow":
    import tensorflow as tf


def begin_trace(folder: str | Path) -> None:
    """Begins to record what the host and the device do."""
    if keras.config.backend() == "jax":
        jax.profiler.start_trace(str(folder))
    else:
        tf.profiler.experimental.start(str(folder))


def end_trace() -> None:
    """Writes the trace to its folder."""
    if keras.config.backend() == "jax":
        jax.profiler.stop_trace()
    else:
        tf.profiler.experimental.stop()
