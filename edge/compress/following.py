"""Training model for distillation: a student and its teacher on the same batch."""

import collections
import dataclasses
from collections.abc import Callable

import keras
from keras import ops

from keras_transformer.edge.compress.inner_states import (
    hidden_difference,
    listening,
    matched_blocks,
    matched_projections,
    relation_difference,
)
from keras_transformer.zoo.errors import InputError
from keras_transformer.zoo.models.build import PAD_ID
from keras_transformer.zoo.tasks.task import Task


@dataclasses.dataclass(frozen=True, kw_only=True)
class Guidance:
    """The weights of the distillation losses.

    Attributes:
        share: share of the loss on the teacher's outputs, from 0 to 1; the rest is the labels'.
        temperature: divisor of the logits of both models.
        hidden: weight of the blocks' `hidden_difference`.
        attention: weight of the last blocks' `relation_difference`.

    Raises:
        InputError: if a value is out of range.
    """

    share: float
    temperature: float
    hidden: float = 0.0
    attention: float = 0.0

    def __post_init__(self):
        if not 0 <= self.share <= 1:
            raise InputError(f"Expected share to be from 0 to 1, got share={self.share}.")
        if not 0 < self.temperature < float("inf"):
            raise InputError(
                f"Expected temperature to be above 0, got temperature={self.temperature}."
            )
        for name in ("hidden", "attention"):
            weight = getattr(self, name)
            if not 0 <= weight < float("inf"):
                raise InputError(
                    f"Expected {name}_weight not to be negative, got {name}_weight={weight}."
                )


class Following(keras.Model):
    """A student in training with its teacher.

    The loss is (1 - share) times that of `compile`, share times the task's `output_difference`,
    plus the weighted means of the hidden and attention differences. The teacher reads the same
    inputs as the student, dropped tokens included (Beyer et al. 2022, arXiv:2106.05237, section 3),
    and has no dropout itself. Its variables are not part of this model, so no saved state contains
    them.

    `keras.distillation.Distiller` is not suitable: it finds layers by name in a functional model,
    where a stack of blocks is one layer; it runs the student a second time for them, with other
    dropout; it supports neither padding nor maps between widths.

    Args:
        student: the model that is trained.
        teacher: a model with the same inputs and outputs.
        task: the task of both.
        guidance: weights of the losses.
    """

    def __init__(self, student: keras.Model, teacher: keras.Model, task: Task, guidance: Guidance):
        super().__init__(name="following")
        self.student = student
        self.task = task
        self.guidance = guidance
        blocks = matched_blocks(student, teacher) if guidance.hidden else []
        projections = matched_projections(student, teacher) if guidance.attention else []
        # One for each stack: Jiao et al. 2020, equation 8.
        self.maps = {}
        for pair in blocks:
            if pair.widths[0] != pair.widths[1] and pair.stack not in self.maps:
                own_width, width = pair.widths
                self.maps[pair.stack] = keras.layers.Dense(
                    width, use_bias=False, name=f"{pair.stack}_map"
                )
                self.maps[pair.stack].build((None, None, own_width))
        pairs = [*blocks, *projections]
        # Keras does not track layers in functions and tuples of pairs.
        self._read_student = listening(student, [pair.own for pair in pairs])
        self._read_teacher = listening(teacher, [pair.other for pair in pairs])
        self._blocks, self._projections = tuple(blocks), tuple(projections)

    def compile(self, *, loss: Callable, **arguments) -> None:
        """Sets the loss of the labels, which is weighted by 1 - share."""
        self._of_labels = loss
        # Keras would take the last axis from outputs of width 1, and wants a target for each one.
        super().compile(loss=None, **arguments)

    def call(self, inputs, training=None):
        """Returns the student's outputs, and those of its layers that match the teacher's."""
        return self._read_student(inputs, training=training)

    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
        outputs, states = y_pred
        expected, expected_states = keras.tree.map_structure(
            ops.stop_gradient, self._read_teacher(x, training=False)
        )
        share = self.guidance.share
        total = (1.0 - share) * self._of_labels(y, outputs) + sum(self.losses, 0.0)
        total = total + share * self.task.output_difference(
            y, expected, outputs, self.guidance.temperature
        )
        if not states:
            return total
        real = {name: ops.cast(ops.not_equal(ids, PAD_ID), "float32") for name, ids in x.items()}
        if self.task.modality != "text":
            # Inputs of one size: no position is padding, see `distill`.
            real = collections.defaultdict(lambda: ops.ones_like(states[0][..., 0]))
        both = list(zip(states, expected_states, strict=True))
        count = len(self._blocks)
        hidden = [
            hidden_difference(self._mapped(pair, own), other, real[pair.reads])
            for pair, (own, other) in zip(self._blocks, both[:count], strict=True)
        ]
        attention = [
            relation_difference(own, other, pair.heads, real[pair.reads])
            for pair, (own, other) in zip(self._projections, both[count:], strict=True)
        ]
        for factor, differences in (
            (self.guidance.hidden, hidden), (self.guidance.attention, attention)
        ):  # fmt: skip
            if differences:
                total = total + factor * sum(differences) / len(differences)
        return total

    def _mapped(self, pair, own):
        return self.maps[pair.stack](own) if pair.stack in self.maps else own
