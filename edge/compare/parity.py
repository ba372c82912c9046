"""Parity of a file with the Keras model that it was converted from.

A new file is checked twice, one of integers once more (see `simulated`). Layer by layer, given the
file's own values (`layers.find_layers`), it must compute what the Keras model does that rounds as
it does. At the outputs, a file of rounded kernels must keep what the checkpoint's own model says in
at least 95 % of the rows: the float model, or the one that was trained with rounding. A row departs
where

- the file chooses a class or a token that the model finds less than half as likely as its own
  choice: between two that are about as likely, either is as good;
- it decides on a label of any number of them otherwise than the model, which finds the odds more
  than twice, or less than half, those of the label's threshold;
- the cosine of its vector with the model's is below 0.98 for dynamic_int8, 0.95 for files of int8
  activations, 0.8 for int4. On STS-B's test pairs the smallest cosines of all-MiniLM-L6-v2's files
  were 0.99 (dynamic_int8), 0.93 (int8) and 0.82 (int4), which lost 0.1, 0.3 and 0.1 points of
  Spearman's correlation; static_int8 had 0.72, and lost 1.5;
- its number is off by more than a twentieth of the range of the numbers of the rows, for int4 by
  more than 15 %.

Other files must give the numbers of the Keras model. So must those of targets whose layers are not
compared, with the model that rounds as they do. The largest differences of random models
(classifiers of 1 to 4 layers, decoders, translators), whose sharp attention amplifies a step the
most, and the limits:

| precision | limit | measured | why |
|---|---|---|---|
| float32 | 1e-4 of the outputs' size | 4e-6 | sums are added in another order |
| float16 | 2e-2 of the outputs' size | 6e-3 | each constant is rounded to 11 bits |
| int16x8 | 2e-2 of the outputs' size | 7e-4 | a few of 65,536 steps fall the other way |
| dynamic_int8, int4 | 8 steps of 8 bits | 5.8, 5.2 | ties in the rounding of rows |
| int8 | 8 output steps | 8 | ties in the rounding of stored tensors |
| integer | 16 output steps | 10 | the same, of about twice as many tensors |

Of vectors the direction counts: in place of steps their smallest cosine has a limit, 0.98 and, of
integer files, 0.97. Random models measured 0.9999 (dynamic_int8), 0.9993 (int8), 0.998 (integer);
all-MiniLM-L6-v2, whose outliers make ties costlier, 0.993 (dynamic_int8, on odd texts).

A tie is a value so near the middle of two steps that it rounds either way; its effects cause more
ties, up to the cost of rounding itself. Steps are those of a stored output, or 1/255 of the range
of the Keras model's outputs on the compared rows where the file's are float.
"""

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

import keras
import numpy as np

from keras_transformer.edge.compare.probes import (
    at_positions,
    model_outputs,
    next_tokens,
    probe_inputs,
)
from keras_transformer.edge.precision import Precision
from keras_transformer.edge.runtime.names import EMBEDDING, LOGITS, PROBABILITIES
from keras_transformer.edge.runtime.runner import Runner
from keras_transformer.zoo.checkpoint import Checkpoint
from keras_transformer.zoo.errors import RunError
from keras_transformer.zoo.generation.text import Model
from keras_transformer.zoo.outputs import LABEL_SETS, cosines, threshold_logits
from keras_transformer.zoo.predictor import Predictor


@dataclasses.dataclass(frozen=True, kw_only=True)
class Limit:
    """The largest allowed difference of a file's outputs from its Keras model's.

    Attributes:
        relative: largest difference over the root mean square of the outputs, or None.
        cosine: smallest cosine of a file's vectors with the Keras model's, in place of steps, or
            None.
        steps: most output steps by which 99 % of rows may differ, or None. Of up to 100 rows that
            is all of them; a generative model that is undecided between two tokens may exceed it in
            the rest, since sharp attention turns one step into many.
        direction: cosine with the vector of the checkpoint's own model below which a row departs.
        off: share of the numbers' range by which a row departs.
    """

    relative: float | None = None
    steps: int | None = None
    cosine: float | None = None
    direction: float | None = None
    off: float = 0.05


# Share of rows that may depart, and what departs, see above.
DEPARTING = 0.05
_REGRET = float(np.log(2.0))

LIMITS = {
    "float32": Limit(relative=1e-4),
    "float16": Limit(relative=2e-2),
    "int16x8": Limit(relative=2e-2),
    "dynamic_int8": Limit(steps=8, cosine=0.98, direction=0.98),
    "int4": Limit(steps=8, cosine=0.98, direction=0.8, off=0.15),
    "channel_int4": Limit(steps=8, cosine=0.98, direction=0.8, off=0.15),
    "int8": Limit(steps=8, cosine=0.98, direction=0.95),
    "static_int8": Limit(steps=8, cosine=0.98, direction=0.95),
    "integer": Limit(steps=16, cosine=0.97, direction=0.95),
}


@dataclasses.dataclass(frozen=True, kw_only=True)
class Parity:
    """The difference of two sets of outputs.

    Attributes:
        rows: number of rows that were compared.
        agreement: share of rows with the same highest output, or the same set of labels; None for
            regression and vectors.
        largest: largest absolute difference.
        relative: the same divided by the root mean square of the Keras outputs.
        steps: the same in steps of the file's stored output, or of 8 bits over the range of the
            Keras outputs where the file's are float.
        most_steps: steps by which 99 % of the rows differ at most.
        cosine: smallest cosine of a row's vectors; None where outputs are no vectors.
        departing: share of rows that depart, see the module.
    """

    rows: int
    agreement: float | None
    largest: float
    relative: float
    steps: float
    most_steps: float
    cosine: float | None = None
    departing: float = 0.0

    @property
    def same(self) -> str | None:
        """The share of rows with the same choice, or the smallest cosine of vectors, as text."""
        if self.cosine is not None:
            return f"{self.cosine:.4f}"
        return None if self.agreement is None else f"{self.agreement:.2%}"

    def check(
        self, spec: Precision, *, layers_follow: bool = False,
        costly: Callable[[], str | None] | None = None,
    ) -> None:  # fmt: skip
        """Raises RunError when the difference is larger than the precision explains.

        Args:
            spec: precision of the file.
            layers_follow: whether its layers were compared, and the outputs are compared with those
                of the checkpoint's own model.
            costly: function that returns a clause on the layers that cost the file most.
        """
        limit = LIMITS[spec.name]
        got, excess = f"{self.relative:.3g}", not np.isfinite(self.largest)
        if limit.steps is not None and layers_follow:
            wanted = f"{DEPARTING:.0%} of rows"
            got = f"{self.departing:.1%} with {self._departure(limit)}"
            excess = excess or self.departing > DEPARTING
        elif limit.steps is None:
            wanted = f"{limit.relative:g} of the outputs' size"
            excess = excess or self.relative > limit.relative
        elif self.cosine is not None:
            wanted, got = f"a cosine of {limit.cosine:g}", f"{self.cosine:.4f}"
            excess = excess or self.cosine < limit.cosine
        else:
            wanted = f"{limit.steps} output steps in 99% of rows"
            got = f"{self.most_steps:.1f} there and {self.steps:.1f} at most"
            excess = excess or self.most_steps > limit.steps
        if excess:
            remedy = None if costly is None else costly()
            if remedy is None and spec.rounds_kernels:
                remedy = (
                    "train for it with keras-transformer quantize, or keep the layers float that "
                    "keras-transformer sensitivity names, with --keep PATTERN=float32"
                )
            raise RunError(
                f"Expected the {spec.name} file to follow the Keras model within {wanted}, got "
                f"{got} on {self.rows} rows; nothing was written"
                f"{f'; {remedy}' if remedy else ''}."
            )

    def departures(self, spec: Precision) -> str | None:
        """Returns how many rows depart and what that is, in words; None where each has to agree."""
        if LIMITS[spec.name].steps is None:
            return None
        return (
            f"{round(self.departing * self.rows)} of {self.rows} "
            f"({self._departure(LIMITS[spec.name])}; {DEPARTING:.0%} may)"
        )

    def _departure(self, limit: Limit) -> str:
        if self.cosine is not None:
            return f"vectors of a cosine below {limit.direction:g} with the model's"
        if self.agreement is not None:
            return "choices that the model finds less than half as likely as its own"
        return f"numbers off by more than {limit.off:.0%} of their range"


def difference(
    reference: np.ndarray, outputs: np.ndarray, step: float | None,
    units: tuple[float, float] = (0.0, 1.0), *, vectors: bool = False,
    direction: float | None = None, off: float = 0.05, cuts: np.ndarray | None = None,
) -> Parity:  # fmt: skip
    """Compares outputs (rows, outputs) with the reference's.

    Args:
        reference, outputs: outputs of the Keras model and of the file.
        step: step of the file's stored outputs; None where they are float.
        units: mean and deviation of the targets, see `Head`: sizes are counted from the mean, and
            steps of float32 at the mean are not a difference.
        vectors: whether the outputs are vectors, whose cosines are computed too.
        direction: cosine below which a vector departs; None for never.
        off: share of the range of the reference by which a number departs.
        cuts: logit (outputs,) of each label from which on it is chosen, if a row has any number of
            them; see `cuts_of`.
    """
    mean, deviation = units
    reference, outputs = ((part - mean) / deviation for part in (reference, outputs))
    by_row = np.abs(outputs - reference).max(axis=1)
    if mean:
        by_row = np.maximum(by_row - 2 * np.spacing(np.float32(abs(mean))) / deviation, 0.0)
    largest = float(by_row.max())
    size = float(np.sqrt(np.mean(np.square(reference))))
    classes = reference.shape[1] > 1 and not vectors
    agreement = None
    if classes and cuts is not None:
        others = (outputs >= cuts) != (reference >= cuts)
        agreement = float((~others.any(axis=1)).mean())
    elif classes:
        agreement = float((outputs.argmax(1) == reference.argmax(1)).mean())
    width = max(float(np.ptp(reference)), 255e-9)
    unit = (step or 0.0) / deviation or width / 255
    cosine = cosines(reference, outputs) if vectors else None
    if cosine is not None:
        departs = cosine < (-np.inf if direction is None else direction)
    elif classes and cuts is not None:
        departs = (others & (np.abs(reference - cuts) > _REGRET)).any(axis=1)
    elif classes:
        chosen = np.take_along_axis(reference, outputs.argmax(1)[:, None], axis=1)[:, 0]
        departs = reference.max(axis=1) - chosen > _REGRET
    else:
        departs = by_row > off * width
    return Parity(
        rows=len(reference), agreement=agreement, largest=largest * deviation,
        relative=largest / max(size, 1e-9), steps=largest / unit,
        most_steps=float(np.quantile(by_row, 0.99, method="inverted_cdf")) / unit,
        cosine=None if cosine is None else float(cosine.min()),
        departing=float(np.mean(departs)),
    )  # fmt: skip


def outputs_difference(reference: np.ndarray, outputs: np.ndarray, runner: Runner) -> Parity:
    """Compares a runner's outputs for arrays or texts with the Keras model's."""
    if runner.output == PROBABILITIES:
        # The runner returns logits up to a constant for each row, of which the probabilities of
        # the file have the sum 1.
        temperature = runner.description.get("output_temperature", 1.0)
        highest = reference.max(axis=1, keepdims=True)
        shares = np.exp((reference - highest) / temperature)
        reference = reference - highest - temperature * np.log(shares.sum(axis=1, keepdims=True))
    task = runner.description["task"] if runner.output == LOGITS else {}
    limit = LIMITS[runner.precision]
    return difference(
        reference, outputs, runner.description["output_step"], units_of(task),
        vectors=runner.embeds or runner.output == EMBEDDING, direction=limit.direction,
        off=limit.off, cuts=cuts_of(runner),
    )  # fmt: skip


def cuts_of(predictor: Predictor) -> np.ndarray | None:
    """Returns the logits from which on labels are chosen, where a row has any number of them."""
    if predictor.output_kind != LABEL_SETS:
        return None
    return threshold_logits(predictor.decision.get("thresholds", ()), len(predictor.labels))


def units_of(task: Mapping[str, Any]) -> tuple[float, float]:
    """Returns the mean and the deviation that a task's JSON says; most tasks have none."""
    return task.get("mean", 0.0), task.get("deviation", 1.0)


def measure_parity(model: keras.Model, checkpoint: Checkpoint, data: bytes) -> Parity:
    """Runs the checkpoint's probes through the Keras model and through a file's bytes."""
    return runner_parity(model, checkpoint, Runner(data))


def runner_parity(model: keras.Model, checkpoint: Checkpoint, runner: Runner) -> Parity:
    """Runs the checkpoint's probes through the Keras model and through a file."""
    if runner.generates:
        return steps_parity(model, checkpoint, runner.steps, runner.description["output_step"])
    expected = model_outputs(model, checkpoint, runner.max_length)
    inputs = probe_inputs(checkpoint, runner.max_length)
    found = at_positions(runner.run(inputs), checkpoint, inputs)
    return outputs_difference(expected, found, runner)


def steps_parity(
    model: keras.Model, checkpoint: Checkpoint, steps: Model, step: float | None
) -> Parity:
    """Runs the checkpoint's probes through the Keras model and token by token through a file.

    Args:
        model: the Keras model.
        checkpoint: the checkpoint that it was built from.
        steps: the file's steps of generation.
        step: step of its logits, see `output_step`.
    """
    return difference(*next_tokens(model, checkpoint, steps), step)
