"""Recipes: training runs as values, from which they can be repeated."""

import dataclasses
import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Protocol, Self

from keras_transformer.zoo.errors import InputError
from keras_transformer.zoo.recipe.compression import Distill, Prune, Quantize
from keras_transformer.zoo.recipe.options import Part, option_name
from keras_transformer.zoo.recipe.parts import Data, Model, Optimizer, Tokenizer, Training

PARTS: Mapping[str, type[Part]] = {
    "model": Model, "data": Data, "tokenizer": Tokenizer, "optimizer": Optimizer,
    "training": Training, "prune": Prune, "quantize": Quantize, "distill": Distill,
}  # fmt: skip
# None if the step was not applied.
_OF_A_LATER_RUN = ("prune", "quantize", "distill")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Option:
    """An option of a recipe, with a name that is unique among all parts.

    Attributes:
        part, field: location of its value.
        kind: type of its value.
        default: value if neither the user nor the task sets another; `dataclasses.MISSING` for
            none.
        choices: allowed values of a string, if restricted.
        of_task: whether it sets a field of the task.
    """

    part: str
    field: str
    kind: Any
    default: Any
    choices: tuple[str, ...]
    of_task: bool


OPTIONS = {
    option_name(field): Option(
        part=part, field=field.name, kind=field.type, default=field.default,
        choices=field.metadata.get("choices", ()), of_task=field.metadata.get("of_task", False),
    )
    for part, kind in PARTS.items()
    for field in dataclasses.fields(kind)
}  # fmt: skip
CHOICES = {name: option.choices for name, option in OPTIONS.items() if option.choices}


class TaskDefaults(Protocol):
    """The part of a task's interface that recipes use.

    Attributes:
        name: name of the task.
        columns: column names by their use; None for an optional one, empty for one that must be
            given.
        defaults: default values of options that differ from those of the parts.
    """

    name: str
    columns: Mapping[str, str | None]
    defaults: Mapping[str, Any]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Recipe:
    """Everything that determines the weights of a run, except the machine.

    Attributes:
        model, data, tokenizer, optimizer, training: parts of every run.
        task: name of the task.
        prune, quantize, distill: settings of these steps if they were applied to the model, or
            None; a run inherits those of the checkpoint that it continues from.
    """

    model: Model
    task: str
    data: Data
    tokenizer: Tokenizer = dataclasses.field(default_factory=Tokenizer)
    optimizer: Optimizer = dataclasses.field(default_factory=Optimizer)
    training: Training = dataclasses.field(default_factory=Training)
    prune: Prune | None = None
    quantize: Quantize | None = None
    distill: Distill | None = None

    def __post_init__(self):
        if not isinstance(self.task, str):
            raise InputError(f"Expected task to be text, got task={self.task!r}.")
        for name, kind in PARTS.items():
            part = getattr(self, name)
            if not isinstance(part, kind) and not (part is None and name in _OF_A_LATER_RUN):
                raise InputError(
                    f"Expected {name} to be {kind.__name__}(...), got {name}={part!r}."
                )

    @property
    def task_options(self) -> dict[str, Any]:
        """The options that set fields of the task, where they are not the default."""
        of_task = {name: option for name, option in OPTIONS.items() if option.of_task}
        values = {
            name: getattr(getattr(self, option.part), option.field)
            for name, option in of_task.items()
        }
        return {name: value for name, value in values.items() if value != of_task[name].default}

    @classmethod
    def of_task(cls, task: TaskDefaults, /, **options: Any) -> Self:
        """Creates a recipe, with the task's defaults for options that are not given.

        Args:
            task: task of the run.
            **options: values by option name, see `OPTIONS`, and columns by their use.

        Raises:
            InputError: if a name is unknown, or a value is missing or impossible.
        """
        values = _with_options(_of(task), options)
        return cls._made(task.name, values, "The recipe")

    def replace(self, **options: Any) -> Self:
        """Returns a copy with some options changed, or without a part: `prune=None`.

        A new training file resets the digest, a new validation file the share, and other texts to
        prune the vocabulary to what is recorded of the last.
        """
        values = {name: part and dict(vars(part)) for name, part in self._parts().items()}
        return self._made(self.task, _with_options(values, options), "The recipe")

    def to_json(self) -> str:
        """Returns the recipe as JSON text with an object for each part."""
        return json.dumps(dataclasses.asdict(self), indent=2, ensure_ascii=False) + "\n"

    @classmethod
    def from_json(
        cls, text: str | bytes, source: str = "The recipe", /, *,
        tasks: Mapping[str, TaskDefaults] | None = None, task: str | None = None, **options: Any,
    ) -> Self:  # fmt: skip
        """Creates a recipe from the JSON text of `to_json`, with some values changed.

        Args:
            text: JSON text with an object for each part.
            source: name of the text in errors.
            tasks: tasks by name; with them the text may omit options that have a default.
            task: name of a task in place of the text's.
            **options: values in place of the text's, see `of_task`.

        Raises:
            InputError: if the text is not a recipe, a name is unknown, or a value is impossible.
        """
        try:
            given = json.loads(text)
        except (ValueError, RecursionError) as error:
            raise InputError(f"Expected {source} to be JSON: {error}.") from None
        if not isinstance(given, dict):
            raise InputError(f"Expected {source} to hold an object, got {given!r}.")
        _check_names(given, ("task", *PARTS), source)
        task = task or given.get("task")
        if task is None:
            raise InputError(f"{source} lacks task.")
        if not isinstance(task, str):
            raise InputError(f"Expected task of {source} to be text, got task={task!r}.")
        values: dict[str, Any] = dict.fromkeys(PARTS)
        if tasks is not None:
            if task not in tasks:
                raise InputError(f"Expected task to be one of {', '.join(tasks)}, got {task!r}.")
            # A table may know a task by another name than its own.
            task, values = tasks[task].name, _of(tasks[task])
        for name, part in given.items():
            if name == "task" or (part is None and name in _OF_A_LATER_RUN):
                continue
            if not isinstance(part, dict):
                raise InputError(f"Expected {name} of {source} to be an object, got {part!r}.")
            _check_names(part, [f.name for f in dataclasses.fields(PARTS[name])], source, name)
            columns = part.pop("columns", None) if name == "data" else None
            values[name] = {**(values[name] or {}), **part}
            if columns is not None:
                values[name]["columns"] = _columns(values[name].get("columns"), columns, source)
        return cls._made(task, _with_options(values, options), source)

    @classmethod
    def from_file(cls, path: str | Path, /, **changes: Any) -> Self:
        """Reads `recipe.json`, see `from_json`."""
        try:
            text = Path(path).read_text(encoding="utf-8")
        except UnicodeDecodeError:
            raise InputError(f"{path} is not UTF-8 text.") from None
        return cls.from_json(text, str(path), **changes)

    def _parts(self) -> dict[str, Part | None]:
        return {name: getattr(self, name) for name in PARTS}

    @classmethod
    def _made(cls, task: str, values: Mapping[str, Mapping[str, Any] | None], source: str) -> Self:
        parts = {}
        for name, kind in PARTS.items():
            given = values.get(name)
            if given is None and name in _OF_A_LATER_RUN:
                continue
            given = given or {}
            for field in dataclasses.fields(kind):
                has_default = field.default_factory is not dataclasses.MISSING
                has_default |= field.default is not dataclasses.MISSING
                if field.name not in given and not has_default:
                    raise InputError(
                        f"{source} lacks {option_name(field)} ({name}.{field.name})."
                    )
            parts[name] = kind(**given)
        return cls(task=task, **parts)


def _of(task: TaskDefaults) -> dict[str, Any]:
    """A task's default values by part and field."""
    values: dict[str, Any] = dict.fromkeys(PARTS)
    values["data"] = {"columns": dict(task.columns)}
    return _with_options(values, task.defaults)


def _with_options(values: dict[str, Any], options: Mapping[str, Any]) -> dict[str, Any]:
    """Returns values by part and field, updated with options."""
    values = dict(values)
    columns = dict((values["data"] or {}).get("columns") or {})
    for name in _OF_A_LATER_RUN:
        if name in options and options[name] is None:
            values[name] = None
    for name, value in options.items():
        if name in _OF_A_LATER_RUN and value is None:
            continue
        if name == "columns":
            columns = _columns(columns, value, "The recipe")
        elif name in OPTIONS:
            place = OPTIONS[name]
            values[place.part] = {**(values[place.part] or {}), place.field: value}
        elif name in columns:
            columns[name] = value
        else:
            known = [*(other for other in OPTIONS if other != "columns"), *columns]
            raise InputError(
                f"Expected the options of a recipe among {', '.join(known)}, got {name!r}."
            )
    if columns:
        values["data"] = {**(values["data"] or {}), "columns": columns}
    if "train" in options and "digest" not in options:
        values["data"]["digest"] = ""
    if "prune_vocabulary" in options and "pruned" not in options:
        values["tokenizer"]["pruned"] = {}
    if "validation" in options and "validation_share" not in options:
        values["data"]["validation_share"] = 0.0
    return values


def _columns(known: Mapping[str, Any] | None, given: Any, source: str) -> dict[str, Any]:
    """Returns columns updated with the given ones; any use is allowed if `known` is None."""
    if not isinstance(given, Mapping):
        raise InputError(f"Expected columns to be an object, got columns={given!r}.")
    if known is None:
        return dict(given)
    _check_names(given, known, source, "columns")
    return {**known, **given}


def _check_names(given: Iterable[str], known: Iterable[str], source: str, part: str = "") -> None:
    known = list(known)
    for name in given:
        if name not in known:
            where = f" in {part}" if part else ""
            raise InputError(f"{source} has {name!r}{where}; known are {', '.join(known)}.")
