"""Training of one model on several tasks: their losses, weights and teachers."""

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import keras
from keras import ops

from keras_transformer.zoo.modalities.modality import Modality

if TYPE_CHECKING:
    from keras_transformer.zoo.tasks.multi_task.multi_task import MultiTask


class MultiTaskLearner(keras.Model):
    """A model in training on batches of one of its tasks each.

    The loss of a batch is the task's, times its weight. With uncertainty it is
    `weight exp(-s) loss + s / 2`, where the learned `s` is the logarithm of the task's variance
    (Kendall et al. 2018, arXiv:1705.07115, section 3; one form for all losses). The other heads
    have gradients of zero, whatever the backend, and so take what is left of Adam's steps.

    A teacher's share of the loss is its task's `output_difference`, as in `distill`.

    Args:
        model: the model that is trained.
        task: its tasks.
        weights: factor of each task's loss, by its name.
        teachers: for tasks that have one: the teacher, the share and the temperature.
    """

    def __init__(
        self, model: keras.Model, task: "MultiTask", weights: Mapping[str, float],
        teachers: Mapping[str, tuple[keras.Model, float, float]],
    ):  # fmt: skip
        super().__init__(name="multi_task_learner")
        self.model = model
        self._task, self._weights = task, dict(weights)
        # Their variables are not part of this model, nor of its saved states.
        self._teachers = _Untracked(teachers)
        self.log_variances = None
        if task.loss_weights == "uncertainty":
            self.log_variances = {
                name: self.add_weight(shape=(), initializer="zeros", name=f"{name}_log_variance")
                for name in task.tasks
            }

    def compile(self, *, loss: Callable, **arguments) -> None:
        """Sets the loss of targets and outputs by name, see `MultiTask.loss`."""
        self._of_labels = loss
        super().compile(loss=None, **arguments)

    def call(self, inputs, training=None):
        return self.model(inputs, training=training)

    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
        [name] = y
        total = self._of_labels(y, y_pred)
        if name in self._teachers.values:
            teacher, share, temperature = self._teachers.values[name]
            expected = ops.stop_gradient(
                teacher({tensor.name: x[tensor.name] for tensor in teacher.inputs}, training=False)
            )
            difference = self._task.tasks[name].output_difference(
                y[name], expected, y_pred[name], temperature
            )
            total = (1.0 - share) * total + share * difference
        total = self._weights.get(name, 1.0) * total
        if self.log_variances is not None:
            total = ops.exp(-self.log_variances[name]) * total + 0.5 * self.log_variances[name]
            # Gradients of zero for the others, as for their heads.
            total = total + 0.0 * sum(ops.convert_to_tensor(one) for one in
                                      self.log_variances.values())  # fmt: skip
        return total + sum(self.losses, 0.0)


class _Untracked:
    """Values that Keras does not look into."""

    def __init__(self, values: Any):
        self.values = values


def idle(outputs: Mapping[str, Any], name: str) -> Any:
    """Returns 0, of which all outputs but a task's have gradients of zero."""
    return 0.0 * sum(ops.sum(one) for other, one in outputs.items() if other != name)


def head_models(
    model: keras.Model, task: "MultiTask", modality: Modality
) -> dict[str, keras.Model]:
    """Returns models of the inputs and outputs of each head alone, which share the layers.

    Args:
        model: model of outputs by name.
        task: its tasks, or one whose `tasks` have an encoder each.
        modality: modality of the model.
    """
    found = {}
    for name, one in task.tasks.items():
        own = modality.of_kind(one.modality)
        reads = [spec.name for spec in own.inputs(pair=one.pair)]
        found[name] = (_head_model if own is modality else _tower)(model, name, reads)
    return found


def _tower(model: keras.Model, name: str, reads: Sequence[str]) -> keras.Model:
    """The encoder of one kind of rows, of which alone its outputs are."""
    own = {tensor.name: tensor for tensor in model.inputs if tensor.name in reads}
    return keras.Model(own, model.output[name], name=f"{name}_model")


def _head_model(model: keras.Model, name: str, reads: Sequence[str]) -> keras.Model:
    given = {tensor.name: tensor for tensor in model.inputs}
    inputs = {
        key: keras.Input(given[key].shape[1:], dtype=given[key].dtype, name=key) for key in reads
    }
    # What a row of its own lacks is 0, see `multi_data.completed`.
    beside = {key: ops.zeros_like(inputs[reads[0]]) for key in given if key not in reads}
    return keras.Model(inputs, model({**inputs, **beside})[name], name=f"{name}_model")
