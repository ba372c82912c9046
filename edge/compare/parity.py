"""How closely a file follows the Keras model that it was converted from."""

import dataclasses
import tempfile
from pathlib import Path

import keras
import numpy as np

from keras_transformer.edge.precision import Precision
from keras_transformer.edge.runtime.names import PROBABILITIES
from keras_transformer.edge.runtime.runner import Runner
from keras_transformer.zoo.checkpoint import Checkpoint
from keras_transformer.zoo.errors import RunError
from keras_transformer.zoo.generation.text import Model
from keras_transformer.zoo.models.predict import model_inputs

# Largest error that a file may have, relative to the root mean square of the outputs. float32
# differs by the order of additions, float16 by its 11-bit significand through a dozen layers, and
# int16x8 by a few of its tiny steps; dynamic int8 and int4 round activations row by row, which the
# Keras model does not do.
RELATIVE_TOLERANCE = {
    "float32": 1e-4, "float16": 2e-2, "int16x8": 2e-2, "dynamic_int8": 0.5, "int4": 0.5,
}  # fmt: skip
# Of a file of integers whose output was kept float: steps of the layers before it go through it.
FLOAT_OUTPUT_TOLERANCE = 0.5
# An integer file repeats the simulated rounding; a value next to the middle of two steps can
# fall either way, and the next layers carry that on. More than this is another graph, unless it
# is in few of many rows: where a model that writes is in doubt between two tokens, sharp attention
# makes a step many. Of up to 100 rows it is none. Where every op is one of integers, many more of
# them round, some twice: weights drawn at random carry that far, trained ones do not.
STEP_TOLERANCE = 8
OUTLIERS = {"int8": 0.01, "integer": 0.25}


@dataclasses.dataclass(frozen=True, kw_only=True)
class Parity:
    """The difference of two sets of outputs.

    Attributes:
        rows: compared.
        agreement: share of rows with the same highest output; None for regression.
        largest: largest absolute difference.
        relative: the same over the root mean square of the Keras outputs.
        steps: the same in output steps; None in a float file.
        outliers: share of rows that differ by more than `STEP_TOLERANCE` steps; None in a float
            file.
    """

    rows: int
    agreement: float | None
    largest: float
    relative: float
    steps: float | None
    outliers: float | None

    def check(self, spec: Precision, *, float_output: bool = False) -> None:
        """Raises RunError when the difference is larger than the precision explains.

        Args:
            spec: of the file.
            float_output: whether the output was kept float in a file of integers.
        """
        if spec.name in OUTLIERS and not float_output:
            # The step is that of the calibrated range; a clipped output reads as many steps.
            excess = self.steps is None or self.outliers > OUTLIERS[spec.name]
            limit = f"{STEP_TOLERANCE} output steps"
        else:
            tolerance = RELATIVE_TOLERANCE.get(spec.name, FLOAT_OUTPUT_TOLERANCE)
            excess = self.relative > tolerance
            limit = f"{tolerance} of the outputs' size"
        if excess or not np.isfinite(self.largest):
            steps = ""
            if self.steps is not None:
                more = f"more than {STEP_TOLERANCE} in {self.outliers:.1%} of rows"
                steps = f" ({self.steps:.1f} steps, {more})"
            raise RunError(
                f"Expected the {spec.name} file to follow the Keras model within {limit}, got a "
                f"difference of {self.largest:.4g}{steps} on {self.rows} rows; nothing was written."
            )


def difference(reference: np.ndarray, outputs: np.ndarray, step: float | None) -> Parity:
    """Compares outputs (rows, outputs) with the reference's."""
    by_row = np.abs(outputs - reference).max(axis=1)
    largest = float(by_row.max())
    size = float(np.sqrt(np.mean(np.square(reference))))
    classes = reference.shape[1] > 1
    agreement = float((outputs.argmax(1) == reference.argmax(1)).mean()) if classes else None
    return Parity(
        rows=len(reference), agreement=agreement, largest=largest,
        relative=largest / max(size, 1e-9), steps=None if step is None else largest / step,
        outliers=None if step is None else float((by_row / step > STEP_TOLERANCE).mean()),
    )  # fmt: skip


def outputs_difference(reference: np.ndarray, outputs: np.ndarray, runner: Runner) -> Parity:
    """Compares what a runner gives for arrays or texts with the Keras model's outputs."""
    if runner.output == PROBABILITIES:
        # The runner gives logarithms of probabilities, which are logits less a number of the row.
        highest = reference.max(axis=1, keepdims=True)
        sums = np.log(np.exp(reference - highest).sum(axis=1, keepdims=True))
        reference = reference - highest - sums
    return difference(reference, outputs, runner.description["output_step"])


def measure_parity(model: keras.Model, checkpoint: Checkpoint, data: bytes) -> Parity:
    """Runs the checkpoint's probes through the Keras model and through a file's bytes."""
    return runner_parity(model, checkpoint, runner_of(data))


def runner_of(data: bytes) -> Runner:
    """Returns what runs a file's bytes."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.tflite"
        path.write_bytes(data)
        return Runner(path)


def runner_parity(model: keras.Model, checkpoint: Checkpoint, runner: Runner) -> Parity:
    """Runs the checkpoint's probes through the Keras model and through a file."""
    if runner.generates:
        return steps_parity(model, checkpoint, runner.steps, runner.description["output_step"])
    return outputs_difference(*_whole_texts(model, checkpoint, runner), runner)


def steps_parity(
    model: keras.Model, checkpoint: Checkpoint, steps: Model, step: float | None
) -> Parity:
    """Runs the checkpoint's probes through the Keras model and token by token through a file.

    Args:
        model: the Keras model.
        checkpoint: what it was made of.
        steps: the file's side of generation.
        step: of its logits, see `output_step`.
    """
    return difference(*_next_tokens(model, checkpoint, steps), step)


def _whole_texts(model, checkpoint, runner):
    """Outputs (rows, outputs) of both."""
    # Both see the same padding: a quantized position is rounded and clipped, padding or not.
    inputs = {
        spec.name: spec.fit(checkpoint.probes[spec.name], runner.max_length)
        for spec in checkpoint.inputs
    }
    return np.asarray(model.predict_on_batch(model_inputs(model, inputs))), runner.run(inputs)


def _next_tokens(model, checkpoint, steps):
    """Logits (positions, V) of both after each token of the probes: all at once, and by steps.

    `prefill` reads a longer part of each next probe, so that every signature is met.
    """
    references, outputs = [], []
    probes = {name: ids[:, : steps.cache_length] for name, ids in checkpoint.probes.items()}
    logits = np.asarray(model.predict_on_batch(probes))
    for row, ids in enumerate(probes["ids"]):
        num_tokens = int(np.count_nonzero(ids))
        first = 0
        if "source_ids" in probes:
            source = probes["source_ids"][row]
            cache = steps.encode([source[: np.count_nonzero(source)]])
        else:
            first = row * num_tokens // len(probes["ids"])
            cache = steps.prefill(ids[None, :first])
        for place in range(first, num_tokens):
            found, cache = steps.step(ids[place : place + 1], cache)
            outputs.append(found[0])
        references.append(logits[row, first:num_tokens])
    return np.concatenate(references), np.array(outputs)
