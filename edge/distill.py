"""Distillation: a small model learns from a teacher's outputs beside the labels.

Hinton et al. 2015, arXiv:1503.02531, section 2. The teacher is run once over the training rows.
"""

import dataclasses
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import keras
import numpy as np
from keras import ops

from keras_transformer.edge.biases import round_biases
from keras_transformer.edge.qat import qat_recipe
from keras_transformer.edge.ranges import track_ranges
from keras_transformer.edge.retrain import Retraining, changed_recipe
from keras_transformer.zoo.catalog import TASKS_OF, get_config
from keras_transformer.zoo.errors import InputError
from keras_transformer.zoo.models import build, get_weights, set_weights
from keras_transformer.zoo.report import Report
from keras_transformer.zoo.tasks import Task
from keras_transformer.zoo.trained import Trained


def distillation_loss(task: Task, share: float, temperature: float, label_smoothing: float = 0.0):
    """Returns the loss of targets (B, 1 + outputs), a label and the teacher's outputs, and outputs.

    (1 - share) of the task's own loss, and share of the cross entropy with the teacher's softened
    probabilities less its minimum, times temperature squared, which keeps gradients of one size
    (Hinton et al. 2015, section 2.1). In regression the latter is the mean squared difference.

    Args:
        task: a task over whole texts.
        share: the teacher's part, from 0 to 1.
        temperature: by which both sides' logits are divided.
        label_smoothing: of the task's own loss.
    """
    own = task.loss(label_smoothing)

    def loss(targets, outputs):
        labels, teacher = targets[:, :1], targets[:, 1:]
        if task.name == "regression":
            followed = ops.mean(ops.square(outputs - teacher))
        else:
            labels = ops.cast(labels, "int32")
            expected = ops.log_softmax(teacher / temperature)
            found = ops.log_softmax(outputs / temperature)
            difference = ops.sum(ops.exp(expected) * (expected - found), axis=-1)
            followed = ops.mean(difference) * temperature**2
        return (1.0 - share) * own(labels, outputs) + share * followed

    return loss


def new_student(teacher: Trained, name: str, settings: Mapping[str, Any]) -> Trained:
    """Returns an untrained model of the catalogue with the teacher's labels and tokenizer.

    Its recipe is the teacher's but for the model: what trained the one well is a start for the
    other.

    Raises:
        InputError: for an unknown name or setting, or a model that cannot do the task.
    """
    config = get_config(name)
    if teacher.task not in TASKS_OF[config.architecture]:
        raise InputError(
            f"Expected a student that can be trained for {teacher.task}, got the "
            f"{config.architecture} {name}."
        )
    config = config.replace(**settings).replace(vocab_size=teacher.tokenizer.vocab_size)
    if teacher.max_length > config.max_length:
        raise InputError(
            f"Expected a student of at least the teacher's {teacher.max_length} tokens, "
            f"got max_length={config.max_length}."
        )
    if teacher.task_spec.pair and config.num_segments < 2:
        raise InputError(
            f"Expected a student with two segments for pairs, got {name} with "
            f"num_segments={config.num_segments}."
        )
    recipe = teacher.recipe.replace(
        model=name, settings=dict(settings), sparsity=0.0, pattern="element", clusters=0
    )
    keras.utils.set_random_seed(recipe.seed)
    return Trained(
        config=config, task_spec=teacher.task_spec, tokenizer=teacher.tokenizer,
        max_length=teacher.max_length, model=build(config, teacher.task_spec), recipe=recipe,
        metrics={}, probes={},
    )  # fmt: skip


def distill(
    teacher: Trained,
    student: Trained,
    out: str | Path,
    *,
    share: float = 0.5,
    temperature: float = 2.0,
    resume: bool = False,
    overwrite: bool = False,
    report: Report | None = None,
    scalars: Callable[[str, float, int], None] | None = None,
    **changes: Any,
) -> Trained:
    """Trains a student on a teacher's outputs and the labels, and writes its checkpoint folder.

    Args:
        teacher: a checkpoint of classification or regression.
        student: `new_student`, or a checkpoint, whose weights it goes on from; a quantized one
            stays quantized and moves its ranges.
        out: the new checkpoint folder.
        share, temperature: see `distillation_loss`.
        resume, overwrite, report, scalars: see `train.train`.
        **changes: what differs from the student's recipe, such as `epochs`, or the paths
            `train` and `validation`.

    Raises:
        InputError: the models' tasks or labels differ, or generate text, a value is out of range,
            or the data does not fit.
    """
    _check(teacher, student, share, temperature)
    changes |= {"teacher_share": float(share), "teacher_temperature": float(temperature)}
    recipe = (qat_recipe if student.is_quantized else changed_recipe)(student.recipe, changes)
    run = Retraining(
        trained=student, recipe=recipe, out=Path(out), resume=resume, overwrite=overwrite,
        report=report, scalars=scalars,
    )  # fmt: skip
    rows = run.data.train
    followed = np.column_stack([rows.targets, teacher.scores(rows.texts, rows.pairs)])
    run.follow(dataclasses.replace(rows, targets=followed.astype("float32")))
    model = build(student.config, student.task_spec, **student.bits, dtype=recipe.dtype)
    set_weights(model, get_weights(student.model))
    if student.is_quantized:
        track_ranges(model)
    loss = distillation_loss(student.task_spec, share, temperature, recipe.label_smoothing)
    metrics = {"teacher": teacher.metrics.get("validation")}
    settle = round_biases if student.is_quantized else None
    return run.finish(run.fit(model, loss), "distill", student.bits, settle, **metrics)


def _check(teacher: Trained, student: Trained, share: float, temperature: float) -> None:
    if teacher.task_spec.generates:
        raise InputError(
            f"Expected a teacher of classification or regression, got one of {teacher.task}."
        )
    if teacher.task_spec != student.task_spec:
        raise InputError(
            "Expected a student with the teacher's task and labels, got "
            f"{_described(student.task_spec)} for {_described(teacher.task_spec)}."
        )
    if student.recipe.sparsity or student.recipe.clusters:
        raise InputError(
            "Expected a dense student, got one that was pruned; distill first and prune then."
        )
    if not 0 < share <= 1:
        raise InputError(f"Expected share to be above 0 and at most 1, got share={share}.")
    if not 0 < temperature < float("inf"):
        raise InputError(f"Expected temperature to be above 0, got temperature={temperature}.")


def _described(task: Task) -> str:
    pairs = " of pairs" if task.pair else ""
    named = [*task.labels[:3], *(["..."] if len(task.labels) > 3 else [])]
    labels = f" with the {len(task.labels)} labels {', '.join(named)}" if named else ""
    return f"{task.name}{pairs}{labels}"
