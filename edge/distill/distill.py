"""Distillation: training of a small model on a teacher's outputs and the labels.

Hinton et al. 2015, arXiv:1503.02531; the losses are in `compress.following`.
"""

import dataclasses
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import keras

from keras_transformer.edge.compress.following import Following, Guidance
from keras_transformer.edge.distill.students import new_student, reading, shallower
from keras_transformer.edge.precision import precision_of
from keras_transformer.edge.quantize.qat import qat_recipe
from keras_transformer.edge.quantize.rounding import round_biases
from keras_transformer.edge.quantize.trained_ranges import train_ranges
from keras_transformer.zoo.backends import needs_backend
from keras_transformer.zoo.chat.chat import FILE_NAMES as CHAT_FILES
from keras_transformer.zoo.checkpoint import Checkpoint
from keras_transformer.zoo.data.sources import Source
from keras_transformer.zoo.errors import InputError
from keras_transformer.zoo.models.build import build, get_weights, set_weights
from keras_transformer.zoo.models.fused_config import check_single
from keras_transformer.zoo.pretrained.checkpoints import as_checkpoint
from keras_transformer.zoo.pretrained.source import is_published
from keras_transformer.zoo.progress import Report
from keras_transformer.zoo.tasks.task import Task
from keras_transformer.zoo.tasks.translation import translations
from keras_transformer.zoo.training.fine_tune import Retraining, changed_recipe
from keras_transformer.zoo.training.random_state import random_state_kept
from keras_transformer.zoo.training.run_folder import one_run, preparing

# Of the run that the student's recipe is from, what this one does not do.
_WHOLE = {"lora": 0, "lora_layers": "*", "adapter": False, "loss_chunk": 0, "remat": False,
          "flash_attention": False}


@needs_backend("distill")
@one_run
@preparing
@random_state_kept()
def distill(
    teacher: Checkpoint | str | Path,
    student: Checkpoint | str | Path | None = None,
    out: str | Path | None = None,
    *,
    settings: Mapping[str, Any] | None = None,
    init: str = "student",
    share: float = 0.5,
    temperature: float = 2.0,
    hidden_weight: float = 0.0,
    attention_weight: float = 0.0,
    beams: int = 0,
    train: Source | None = None,
    validation: Source | float | None = None,
    resume: bool = False,
    overwrite: bool = False,
    report: Report | None = None,
    scalars: Callable[[str, float, int], None] | None = None,
    **changes: Any,
) -> Checkpoint:
    """Trains a student on a teacher's outputs and the labels.

    Args:
        teacher: a checkpoint, or its folder.
        student: a name of the catalogue, or a published model, see `new_student`; or a checkpoint,
            or its folder, with the same labels and vocabularies, whose weights are the initial
            ones; a quantized one stays quantized, and its ranges are trained too. None for the
            teacher's own shape with changed settings, where `init` is `teacher`.
        out: the new checkpoint folder; None keeps the checkpoint in memory.
        settings: changes to the config of a new student.
        init: `teacher` for a new student that begins with blocks of the teacher, see `shallower`;
            `student` for the student's own weights.
        share, temperature, hidden_weight, attention_weight: weights of the losses, see `Guidance`.
        beams: for a translation, the number of beams with which the teacher generates the targets
            (sequence-level distillation: Kim and Rush 2016, arXiv:1606.07947, section 3.2), each
            time the run starts or is resumed; 0 for the targets of the data.
        train, validation: data to use in place of the student's, as for `train.train`. Rows in
            memory are kept only as long as the process that trained on them.
        resume, overwrite, report, scalars: options of the run, see `train.train`.
        **changes: changes to the student's recipe, such as `epochs`.

    Raises:
        InputError: if the models' tasks, labels or vocabularies differ, or their shapes where the
            student begins with the teacher's blocks, a value is out of range, or the data does not
            fit.
    """
    if not 0 < share <= 1:
        raise InputError(f"Expected share to be above 0 and at most 1, got share={share}.")
    guidance = Guidance(
        share=share, temperature=temperature, hidden=hidden_weight, attention=attention_weight
    )
    teacher = as_checkpoint(teacher)
    if hidden_weight or attention_weight:
        check_single(teacher.config, "whose inner states a student follows")
    student = _student(teacher, student, settings, init, changes)
    _check(teacher, student)
    if (hidden_weight or attention_weight) and student.modality.name != "text":
        _check_positions(teacher, student)
    _check_beams(beams, teacher.task)
    changes |= {
        "train": train,
        "validation": validation,
        "share": float(share),
        "temperature": float(temperature),
        "hidden_weight": float(hidden_weight),
        "attention_weight": float(attention_weight),
        "beams": beams,
        "init": init,
    }
    if student.is_quantized:
        recipe = qat_recipe(student.recipe, changes)
    else:
        recipe = changed_recipe(student.recipe, changes, _WHOLE)
    run = Retraining(
        checkpoint=student, recipe=recipe, out=out, train=train, validation=validation,
        resume=resume, overwrite=overwrite, report=report, scalars=scalars, origin=teacher,
    )  # fmt: skip
    if beams:
        pairs = run.data.train
        run.report.note(f"The teacher writes {len(pairs.sources)} targets with {beams} beams.")
        texts = translations(teacher.generator(), pairs, teacher.labels, beams=beams)
        run.follow(dataclasses.replace(pairs, targets=texts))
    quantized = {"bits": student.bits, "keep": student.keep}
    model = build(student.config, student.task, dtype=recipe.training.dtype, **quantized)
    set_weights(model, get_weights(student.model))
    has_ranges = precision_of(student.bits).is_static
    learner: keras.Model = Following(model, teacher.model, student.task, guidance)
    if has_ranges:
        learner = train_ranges(model, recipe, run.total_steps, learner)
    fit = run.fit(model, learner)
    metrics = {"teacher": teacher.metrics.get("validation")}
    settle = round_biases if has_ranges else None
    return run.finish(fit, "distill", settle=settle, **quantized, **metrics)


def _student(
    teacher: Checkpoint, student: Checkpoint | str | Path | None,
    settings: Mapping[str, Any] | None, init: str, changes: Mapping[str, Any],
) -> Checkpoint:  # fmt: skip
    """The given checkpoint, or a new student initialized with the run's seed."""
    is_name = isinstance(student, str) and not Path(student).is_dir()
    is_new = is_name or (isinstance(student, str | Path) and is_published(student))
    if init == "teacher":
        check_single(teacher.config, "whose blocks a student begins with")
        if student is not None and not is_new:
            raise InputError(
                "Expected a student of the catalogue, a published one or none where it begins with "
                f"the teacher's blocks, got a checkpoint and init={init}."
            )
        return shallower(teacher, None if student is None else str(student), settings or {})
    if student is None:
        raise InputError(
            "Expected a student, by its name or its checkpoint, where it does not begin with the "
            f"teacher's blocks, got none and init={init}."
        )
    if is_new:
        seed = changes.get("seed", teacher.recipe.training.seed)
        recipe = teacher.recipe.replace(seed=seed)
        teacher = dataclasses.replace(teacher, recipe=recipe)
        return new_student(teacher, str(student), settings or {})
    if settings:
        raise InputError(
            f"Expected settings only for a model of the catalogue, got settings={dict(settings)}."
        )
    return as_checkpoint(student)


def _check(teacher: Checkpoint, student: Checkpoint) -> None:
    if teacher.task != student.task:
        raise InputError(
            "Expected a student with the teacher's task and labels, got "
            f"{_described(student.task)} for {_described(teacher.task)}."
        )
    ours, theirs = student.modality.files(), teacher.modality.files()
    for name in sorted({*ours, *theirs} - CHAT_FILES):
        if ours.get(name) != theirs.get(name):
            raise InputError(
                f"Expected a student with the teacher's vocabulary, got another {name} "
                f"(vocab_size={student.config.vocab_size} for {teacher.config.vocab_size})."
            )
    ours, theirs = (
        [
            (spec.name, spec.shape)
            for spec in type(one.modality).specs(one.config.modality_settings)
        ]
        for one in (student, teacher)
    )
    if ours != theirs:
        raise InputError(
            f"Expected a student with the teacher's inputs {dict(theirs)}, got {dict(ours)}; "
            "--set gives it their size."
        )
    ours, theirs = reading(student.config), reading(teacher.config)
    for name in ours:
        if ours[name] != theirs.get(name):
            raise InputError(
                f"Expected a student that reads what the teacher does, got {name}={ours[name]} for "
                f"{theirs.get(name)}."
            )
    has_one_size = student.config.positions_of_rows is not None
    if teacher.longest < student.max_length and not has_one_size:
        raise InputError(
            f"Expected a teacher that reads the student's {student.max_length} tokens, "
            f"got one of max_length={teacher.longest}."
        )
    if student.recipe.prune is not None:
        raise InputError(
            "Expected a dense student, got one that was pruned; distill first and prune then."
        )


def _check_positions(teacher: Checkpoint, student: Checkpoint) -> None:
    """Raises InputError if the states of a student do not stand where the teacher's do."""
    ours, theirs = student.config.positions_of_rows, teacher.config.positions_of_rows
    if ours is None or ours != theirs:
        raise InputError(
            "Expected hidden_weight and attention_weight to be 0 for models whose positions are "
            f"not as many in every row and in both, got {theirs} of the teacher and {ours}."
        )


def _check_beams(beams: int, task: Task) -> None:
    if beams < 0:
        raise InputError(f"Expected beams not to be negative, got beams={beams}.")
    if beams and not task.reads_sources:
        raise InputError(
            f"Expected beams to be 0 for a task other than translation, got beams={beams} "
            f"for {task.name}."
        )


def _described(task: Task) -> str:
    pairs = " of pairs" if task.pair else ""
    named = [*task.labels[:3], *(["..."] if len(task.labels) > 3 else [])]
    labels = f" with the {len(task.labels)} labels {', '.join(named)}" if named else ""
    return f"{task.name}{pairs}{labels}"
