"""The learners of models that are trained within others, such as that of several tasks."""

import keras

from keras_transformer.zoo.checkpoint import Checkpoint
from keras_transformer.zoo.errors import InputError
from keras_transformer.zoo.models.config import TransformerConfig
from keras_transformer.zoo.pretrained.checkpoints import as_checkpoint
from keras_transformer.zoo.tasks.masked.masked_data import MaskedData
from keras_transformer.zoo.tasks.matching.contrastive_data import ContrastiveData
from keras_transformer.zoo.tasks.multi_task.learner import MultiTaskLearner
from keras_transformer.zoo.tasks.multi_task.multi_data import MultiData
from keras_transformer.zoo.tasks.run_data import RunData
from keras_transformer.zoo.training.memory.chunked_learner import ChunkedLearner


def learner_of(
    model: keras.Model, config: TransformerConfig, data: RunData, loss_chunk: int = 0
) -> keras.Model | None:
    """Returns the model that a run's steps train, see `Fit`; None for the model itself.

    Args:
        model, config: the model that is kept, and its config.
        data: data of the run.
        loss_chunk: the recipe's option of that name.

    Raises:
        FileNotFoundError, InputError: if a teacher cannot be opened, or does not fit its task; or
            if a task without a vocabulary has a loss in chunks.
    """
    if isinstance(data, MaskedData):
        return data.learner(model, config, loss_chunk)
    if data.task.generates:
        return ChunkedLearner(model, loss_chunk) if loss_chunk else None
    if loss_chunk:
        raise InputError(
            "Expected loss_chunk only for a task that predicts tokens of a vocabulary, got "
            f"loss_chunk={loss_chunk} for {data.task.name}."
        )
    if not isinstance(data, MultiData):
        return data.learner(model, config) if isinstance(data, ContrastiveData) else None
    teachers = {}
    for name, entry in data.train.teachers.items():
        teacher = as_checkpoint(entry.teacher)
        _check(teacher, data, name)
        teachers[name] = (teacher.model, entry.share, entry.temperature)
    return MultiTaskLearner(model, data.task, data.train.weights, teachers)


def _check(teacher: Checkpoint, data: MultiData, name: str) -> None:
    task = data.task.tasks[name]
    if teacher.task.untuned() != task.untuned():
        raise InputError(
            f"Expected the teacher of {name} to have its task and labels, got one of "
            f"{teacher.task_name} with {len(teacher.labels)} labels."
        )
    if teacher.modality.files() != data.modality.files():
        raise InputError(
            f"Expected the teacher of {name} to have the model's vocabulary, got another one; "
            "train both from the same published model, or with the same --vocabulary."
        )
    if teacher.longest < data.modality.max_length:
        raise InputError(
            f"Expected a teacher of {name} that reads the model's {data.modality.max_length} "
            f"tokens, got one of max_length={teacher.longest}."
        )
