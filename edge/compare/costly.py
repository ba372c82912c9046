"""The layers that cost a refused file its accuracy, measured in the simulation.

Each group of layers is rounded alone, and the groups are ordered by the error of the outputs. Then
the fewest of the costliest are sought that, kept in float, bring the outputs within the limit.
"""

import dataclasses
from collections.abc import Sequence

import keras
import numpy as np

from keras_transformer.edge.compare.layer_groups import Group, groups_of
from keras_transformer.edge.compare.parity import (
    DEPARTING,
    LIMITS,
    cuts_of,
    difference,
    units_of,
)
from keras_transformer.edge.compare.probes import model_outputs
from keras_transformer.edge.precision import Precision
from keras_transformer.zoo.checkpoint import Checkpoint
from keras_transformer.zoo.models.build import build, get_weights, set_weights
from keras_transformer.zoo.outputs import EMBEDDING

# Rows of the probes on which groups are ordered; what is kept is measured on all.
_ORDERING_ROWS = 16
_NAMED = 3


class _Simulation:
    """A model that rounds, of which groups can be kept in float."""

    def __init__(
        self, checkpoint: Checkpoint, model: keras.Model, spec: Precision, kept: Sequence[str],
        length: int,
    ):  # fmt: skip
        self.checkpoint, self.spec, self.kept, self.length = checkpoint, spec, kept, length
        self.weights = get_weights(model)
        self.groups = groups_of(model)
        every = max(1, len(next(iter(checkpoint.probes.values()))) // _ORDERING_ROWS)
        probes = {name: rows[::every] for name, rows in checkpoint.probes.items()}
        self.some = dataclasses.replace(checkpoint, probes=probes)
        self.expected = self._outputs(checkpoint.model, checkpoint)
        self.some_expected = self._outputs(checkpoint.model, self.some)

    def departing(self, floats: Sequence[Group]) -> float:
        """The share of all rows that depart with these groups in float."""
        limit = LIMITS[self.spec.name]
        return difference(
            self.expected, self._outputs(self._model(floats), self.checkpoint), None,
            units_of(self.checkpoint.task.to_json()),
            vectors=self.checkpoint.task.output == EMBEDDING, direction=limit.direction,
            off=limit.off, cuts=cuts_of(self.checkpoint),
        ).departing  # fmt: skip

    def cost(self, group: Group) -> float:
        """The mean squared error of the outputs where this group alone is rounded."""
        others = [other for other in self.groups if other is not group]
        found = self._outputs(self._model(others), self.some)
        return float(np.mean(np.square(found - self.some_expected)))

    def _outputs(self, model, checkpoint):
        return model_outputs(model, checkpoint, self.length)

    def _model(self, floats):
        keep = [*self.kept, *(pattern for group in floats for pattern in group.patterns)]
        model = build(self.checkpoint.config, self.checkpoint.task, bits=self.spec.bits, keep=keep)
        set_weights(model, self.weights)
        return model


def costly_layers(
    checkpoint: Checkpoint, model: keras.Model, spec: Precision, kept: Sequence[str], length: int
) -> str | None:
    """Says which layers cost a file most, and which to keep in float.

    Args:
        checkpoint: a float checkpoint.
        model: its Keras model that rounds as the file does.
        spec: precision of the file.
        kept: patterns of the layers that are in float already.
        length: the file's longest length.

    Returns:
        A clause of a sentence. It names options only if the simulation with them is within the
        limit. None if the simulation is within it without any: its layers are not the reason.
    """
    simulation = _Simulation(checkpoint, model, spec, kept, length)
    if simulation.departing(()) <= DEPARTING:
        return None
    costs = {group.name: simulation.cost(group) for group in simulation.groups}
    order = sorted(simulation.groups, key=lambda group: costs[group.name], reverse=True)
    named = ", ".join(group.name for group in order[:_NAMED])
    clause = f"the layers that cost most are {named}"
    if spec.inner_bits is not None:
        return (
            f"{clause}, and a file of integers alone keeps none in float; train for it with "
            "keras-transformer quantize, or try --precision int8"
        )
    keepable = [group for group in order if group.is_keepable]
    least = simulation.departing(keepable)
    if least > DEPARTING:
        return (
            f"{clause}, and keeping all that can be float does not suffice: {least:.1%} would "
            "still depart; train for it with keras-transformer quantize"
        )
    number, share = _fewest(keepable, simulation, least)
    options = " ".join(
        f'--keep "{pattern}=float32"' for group in keepable[:number] for pattern in group.patterns
    )
    return f"{clause}; with {options} {share:.1%} depart in the simulation"


def _fewest(
    order: Sequence[Group], simulation: _Simulation, least: float
) -> tuple[int, float]:  # fmt: skip
    """The number of the first groups that suffice, by bisection, and what departs with them."""
    short, enough, share = 0, len(order), least
    while enough - short > 1:
        middle = (short + enough) // 2
        found = simulation.departing(order[:middle])
        if found <= DEPARTING:
            enough, share = middle, found
        else:
            short = middle
    return enough, share
