"""Parity of a file of integers with the integer simulation of its Keras model.

Both compute with integers alone, and every kernel is simulated to the last bit: on the processors
whose kernels `edge.integers` follows, the outputs are equal. Others may round a tie otherwise, and
its effects may cause more: in all but a few rows they stay within some steps.
"""

import dataclasses
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

import keras
import numpy as np
from keras import ops

from keras_transformer.edge.compare.parity import Parity, outputs_difference, runner_parity
from keras_transformer.edge.compare.probes import probe_inputs, stepwise_outputs
from keras_transformer.edge.graphs.front_end import file_inputs
from keras_transformer.edge.graphs.static import make_signatures
from keras_transformer.edge.integers.simulation import IntegerGraph
from keras_transformer.edge.integers.steps import IntegerSteps
from keras_transformer.edge.precision import Precision, get_precision
from keras_transformer.edge.runtime.names import DECODE, LOGITS, PREDICT
from keras_transformer.edge.runtime.runner import Runner
from keras_transformer.edge.tflite.inside import Inside, unpacked
from keras_transformer.quantization import QuantPoint
from keras_transformer.zoo.checkpoint import Checkpoint
from keras_transformer.zoo.errors import RunError
from keras_transformer.zoo.models.build import all_layers, build, set_weights, shared_weights

# Rows of the probes that are run: NumPy takes many times as long as a file.
ROWS = 8
# Share of the rows that may be more than so many steps off.
MOST, STEPS = 0.01, 8
# Two integers are equal if they are closer than this many steps, as floats.
_EQUAL = 0.5


class Simulation:
    """The signatures of a file, computed in integers from the Keras model.

    Args:
        checkpoint: the checkpoint; its first probes are run.
        model: its Keras model in the file's precision, whose biases are on their grid.
        spec: the precision.
        length: the file's longest length.

    Attributes:
        checkpoint: the checkpoint with these probes alone.
        graphs: the signatures by name.
        points: name of the quantization point of each FakeQuant, by signature and the op's name.
    """

    def __init__(
        self, checkpoint: Checkpoint, model: keras.Model, spec: Precision, length: int
    ):  # fmt: skip
        self.length, self.graphs, self.points = length, {}, {}
        self._model = model
        probes = {name: rows[:ROWS] for name, rows in checkpoint.probes.items()}
        self.checkpoint = dataclasses.replace(checkpoint, probes=probes)
        head = checkpoint.task.head()
        self._last = None if head.is_standard else head.last_layer()
        if self._last is not None:
            # What follows the stored outputs is float, in the file too.
            standard = build(checkpoint.config, head.standard(), bits=spec.bits)
            set_weights(standard, shared_weights(model))
            model = standard
        points = [layer for layer in all_layers(model) if isinstance(layer, QuantPoint)]
        try:
            for point in points:
                point.observer = self._named
            for name, function in make_signatures(self.checkpoint, model, [length]).items():
                self._tracing, self._met = self.points.setdefault(name, {}), Counter()
                self.graphs[name] = IntegerGraph(function)
        finally:
            for point in points:
                point.observer = None

    def _named(self, point, outputs):
        """Names a point as `SideBySide` does, while a signature is traced."""
        self._met[point] += 1
        passes = "" if self._met[point] == 1 else f":{self._met[point]}"
        self._tracing[outputs.op.name] = f"{point.path}{passes}"
        return outputs

    def rows(self) -> Iterator[dict[str, np.ndarray]]:
        """Yields the inputs of `predict` for each probe."""
        inputs = file_inputs(self._model, probe_inputs(self.checkpoint, self.length))
        for row in range(len(next(iter(inputs.values())))):
            yield {name: values[row : row + 1] for name, values in inputs.items()}

    def steps(self, graphs: Mapping[str, Any] | None = None) -> IntegerSteps:
        """Returns the steps of generation, by graphs that `run` as those here."""
        config = self.checkpoint.config
        return IntegerSteps(graphs or self.graphs, config.num_layers, config.vocab_size)

    def outputs(self) -> np.ndarray:
        """Returns the outputs (rows, outputs) for the probes, or the logits after each token."""
        if DECODE in self.graphs:
            return stepwise_outputs(self.checkpoint, self.steps())
        graph = self.graphs[PREDICT]
        found = np.concatenate([graph.run(inputs)[LOGITS] for inputs in self.rows()])
        return found if self._last is None else ops.convert_to_numpy(self._last(found))


def simulated_parity(simulation: Simulation, runner: Runner) -> Parity:
    """Compares a file of integers with its simulation on the simulation's probes."""
    checkpoint = simulation.checkpoint
    if runner.generates:
        found = stepwise_outputs(checkpoint, runner.steps)
    else:
        found = runner.run(probe_inputs(checkpoint, runner.max_length))
    return outputs_difference(simulation.outputs(), found, runner)


def file_parity(checkpoint: Checkpoint, runner: Runner) -> Parity:
    """Compares a file with its checkpoint on the probes; one of integers with its simulation."""
    spec = get_precision(runner.precision)
    if spec.inner_bits is None or not checkpoint.is_quantized:
        return runner_parity(checkpoint.model, checkpoint, runner)
    return simulated_parity(
        Simulation(checkpoint, checkpoint.model, spec, runner.max_length), runner
    )


class _Beside:
    """A signature of a file and its simulation, run on the same inputs: the file's."""

    def __init__(self, signature, simulation, flatbuffer, places):
        self.signature, self.graph = signature, simulation.graphs[signature]
        self.shapes = self.graph.shapes
        # In the order in which they run.
        self.paths = {
            op: path for op, path in simulation.points[signature].items() if path in places
        }  # fmt: skip
        self.places, self.off, self.rows = places, {}, []
        self.inside = Inside(unpacked(flatbuffer), signature, set(places.values()))

    def run(self, inputs):
        points = {}
        self.graph.run(inputs, points)
        computed, last = self.inside.run(inputs), 0.0
        for op, values in points.items():
            path = self.paths.get(op)
            if path is not None:
                tensor = computed[self.places[path]]
                difference = np.abs(tensor.values.reshape(values.shape) - values)
                last = float(difference.max() / tensor.step)
                self.off[path] = max(last, self.off.get(path, 0.0))
        self.rows.append(last)
        return computed.outputs()

    def first(self) -> str | None:
        """The first layer that differs, in words."""
        for path, steps in self.off.items():
            if steps > _EQUAL:
                return f"{path} in {self.signature!r}, by {steps:.0f} steps"
        return None


def check_simulated(
    simulation: Simulation, flatbuffer: bytes, places: Mapping[str, Mapping[str, int]]
) -> dict[str, Any]:
    """Runs a file of integers beside its simulation, on the simulation's probes.

    Every call of a signature gets the file's own caches, and all layers of the call follow from its
    inputs: where all calls are equal, so are the file and its simulation end to end.

    Args:
        simulation: the simulation.
        flatbuffer: the file's model.
        places: the tensors of the layers, see `layers.find_layers`.

    Returns:
        The number of layers and calls that were compared, and the share of calls whose last layer
        was equal, as a JSON-serializable object.

    Raises:
        RunError: if the outputs are too far off; it names the first layer that differs.
    """
    beside = {
        name: _Beside(name, simulation, flatbuffer, places[name]) for name in simulation.graphs
    }
    if DECODE in beside:
        stepwise_outputs(simulation.checkpoint, simulation.steps(beside))
    else:
        for inputs in simulation.rows():
            beside[PREDICT].run(inputs)
    rows = np.array([row for one in beside.values() for row in one.rows])
    far = rows > STEPS + _EQUAL
    if far.mean() > MOST:
        first = next(filter(None, (one.first() for one in reversed(beside.values()))))
        raise RunError(
            f"Expected the integer file to be within {STEPS} steps of its simulation in integers "
            f"in {1 - MOST:.0%} of rows, got {far.sum()} of {len(rows)} that are not, and "
            f"{rows.max():.0f} steps at most; the first layer that differs is {first}; nothing "
            "was written."
        )
    layers = sum(len(one.off) for one in beside.values())
    return {"layers": layers, "rows": len(rows), "equal": float(np.mean(rows <= _EQUAL))}
