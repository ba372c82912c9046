"""Which checkpoints can become one."""

from collections.abc import Sequence

from keras_transformer.zoo.checkpoint import Checkpoint
from keras_transformer.zoo.errors import InputError
from keras_transformer.zoo.fusion.averages import AVERAGES
from keras_transformer.zoo.models.fused_config import Config, check_single
from keras_transformer.zoo.models.several_config import SeveralConfig
from keras_transformer.zoo.storage.files import weights_digest
from keras_transformer.zoo.tasks.task import Task


def check_members(members: Sequence[Checkpoint], names: Sequence[str], by: str) -> None:
    """Checks that members can become one.

    Args:
        members: the checkpoints.
        names: what messages call them.
        by: see `fuse.fuse`.

    Raises:
        InputError: if one is quantized or of several, two have the same weights, or their tasks,
            labels, vocabularies, shapes or outputs do not fit.
    """
    first = members[0]
    known: dict[str, str] = {}
    for one, name in zip(members, names, strict=True):
        if one.is_quantized:
            raise InputError(
                f"Expected float checkpoints to fuse, got {name} of precision={one.precision}; "
                "fuse the float ones, and quantize what that gives."
            )
        if one.task.untuned() != first.task.untuned():
            raise InputError(
                f"Expected members of one task with the same labels, got {_described(first)} in "
                f"{names[0]} and {_described(one)} in {name}."
            )
        ours, theirs = one.modality.files(), first.modality.files()
        for file in sorted({*ours, *theirs}):
            if ours.get(file) != theirs.get(file):
                raise InputError(
                    f"Expected members with one vocabulary, got another {file} in {name} than in "
                    f"{names[0]}; train them on the same data, or from the same published model."
                )
        if by == "soup":
            if _shape(one) != _shape(first):
                raise InputError(
                    "Expected members of one shape, whose weights are averaged, got "
                    f"{one.recipe.model.name} in {name} and {first.recipe.model.name} in "
                    f"{names[0]} with other settings; fuse them by=mean."
                )
        elif isinstance(one.config, SeveralConfig):
            raise InputError(
                f"Expected members that read rows of one kind where by={by}, got {name} of "
                f"{one.config.modality}; by=soup averages the weights of models of one shape."
            )
        else:
            check_single(one.config, "for each member")
        digest = weights_digest(one.model.weights)
        if digest in known:
            raise InputError(
                f"Expected members with weights of their own, got the same in {known[digest]} and "
                f"{name}; train one with another seed or other data."
            )
        known[digest] = name
    if by == "soup":
        return
    for name, task in (first.task.tasks if first.head_names else {"": first.task}).items():
        _check_average(f"{task.name} ({name})" if name else task.name, task, by)
        widths = [one.config.hidden_dim for one in members]
        if AVERAGES[task.output].combine == "vectors" and len(set(widths)) > 1:
            raise InputError(
                "Expected embedders whose vectors are of one width, got hidden_dim="
                f"{', '.join(map(str, widths))} in {', '.join(names)}; distill them to one width "
                "first."
            )


def _check_average(what: str, task: Task, by: str) -> None:
    """Raises InputError if a task's outputs are not averaged in a way."""
    average = AVERAGES.get(task.output)
    if average is None:
        raise InputError(
            f"Expected models whose outputs are averaged, got {what}; by=soup averages the weights "
            "of models of one shape."
        )
    if by == "vote" and average.votes is None:
        raise InputError(
            f"Expected models that choose a label where they vote, got {what}; fuse them by=mean."
        )
    if by == "fitted" and not average.has_shares:
        raise InputError(
            "Expected models of probabilities, numbers or answers where weights are fitted, got "
            f"{what}; fuse them by=mean."
        )


def _shape(checkpoint: Checkpoint) -> Config:
    return checkpoint.config.replace(dropout=0.0, attention_dropout=0.0, stochastic_depth=0.0)


def _described(checkpoint: Checkpoint) -> str:
    if not checkpoint.head_names:
        return _task_in_words(checkpoint.task)
    heads = checkpoint.task.tasks.items()
    return ", ".join(f"{name} of {_task_in_words(task)}" for name, task in heads)


def _task_in_words(task: Task) -> str:
    labels = f" with the labels {', '.join(task.labels)}" if task.labels else ""
    return f"{task.name}{' of pairs' if task.pair else ''}{labels}"
