"""A training step on JAX whose state stays on the devices from step to step."""

from collections.abc import Callable, Mapping
from typing import Any

import keras
import numpy as np

from keras_transformer.zoo.distributed.devices import current

# Others need not have it.
if keras.config.backend() == "jax":
    import jax


class PlainStep:
    """Does a step on the other backends, and after it has nothing to hand back.

    Args:
        learner: compiled model.
    """

    ahead = 0

    def __init__(self, learner: keras.Model):
        self._learner = learner

    def __call__(self, inputs: Mapping[str, np.ndarray], targets: Any) -> float:
        """Does a step, and returns the loss of its batch."""
        return float(self._learner.train_on_batch(inputs, targets))

    def settle(self) -> None:
        """Does nothing: the variables hold the state."""


class KeptStep:
    """Does what `train_on_batch` does, without handing the state back to the variables each time.

    Args:
        learner: compiled model whose optimizer is built.

    Attributes:
        ahead: number of steps that may be given to the device before the loss of the first is
            read, which waits for it.
    """

    ahead = 4

    def __init__(self, learner: keras.Model):
        self._learner = learner
        self._state: tuple | None = None
        self._metrics: list[Any] = []
        self._step: Any = None
        devices = current()
        self._place = jax.device_put if devices is None else devices.place

    def __call__(self, inputs: Mapping[str, np.ndarray], targets: Any) -> Any:
        """Begins a step, and returns the loss of its batch, which is on the device."""
        step, arguments = self._call(inputs, targets)
        loss, self._state = step(*arguments)
        return loss

    def compiled(self, inputs: Mapping[str, np.ndarray], targets: Any) -> Any:
        """Returns the compiled step for a batch, which has XLA's analysis of cost and memory."""
        step, arguments = self._call(inputs, targets)
        return step.lower(*arguments).compile()

    def memory(self, inputs: Mapping[str, np.ndarray], targets: Any) -> int:
        """Returns the bytes of a step's weights, states and tensors on each device."""
        one = self.compiled(inputs, targets).memory_analysis()
        given, made = one.argument_size_in_bytes, one.output_size_in_bytes
        # What is donated is both.
        return given + made - one.alias_size_in_bytes + one.temp_size_in_bytes

    def _call(self, inputs: Mapping[str, np.ndarray], targets: Any) -> tuple[Any, tuple]:
        """The compiled step and its arguments."""
        placed = {name: self._place(np.asarray(rows)) for name, rows in inputs.items()}
        if targets is not None:
            targets = keras.tree.map_structure(lambda one: self._place(np.asarray(one)), targets)
        if self._step is None:
            self._learner._symbolic_build(data_batch=(placed, targets, None))
            self._step = self._compiled()
            # Those of one batch, not of all since the last reset.
            self._learner.reset_metrics()
            self._metrics = [one.value for one in self._learner.metrics_variables]
        if self._state is None:
            # Bound to where they lie, as what a step returns is, or JAX compiles for each of both.
            self._state = tuple(
                [jax.device_put(one.value, one.value.sharding) for one in group]
                for group in self._variables()
            )
        return self._step, (self._state, self._metrics, (placed, targets))

    def settle(self) -> None:
        """Hands the state back to the variables, so that others read and change them."""
        if self._state is None:
            return
        state, self._state = self._state, None
        for group, values in zip(self._variables(), state, strict=True):
            for variable, value in zip(group, values, strict=True):
                variable.assign(value)

    def _variables(self) -> tuple[list[keras.Variable], ...]:
        learner = self._learner
        return (
            learner.trainable_variables, learner.non_trainable_variables,
            learner.optimizer.variables,
        )  # fmt: skip

    def _compiled(self) -> Callable:
        def step(state, metrics, data):
            logs, (*state, _) = self._learner.train_step((*state, metrics), (*data, None))
            return logs["loss"], tuple(state)

        # Where a weight lies is decided once, not by what a step makes of it.
        places = tuple([one.value.sharding for one in group] for group in self._variables())
        return jax.jit(step, donate_argnums=0, out_shardings=(None, places))


def step_of(learner: keras.Model) -> PlainStep | KeptStep:
    """Returns the training step of a compiled model whose optimizer is built."""
    return (KeptStep if keras.config.backend() == "jax" else PlainStep)(learner)
