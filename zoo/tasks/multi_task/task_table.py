"""Tables of tasks that one model learns: a JSON file or a mapping, with an entry for each task."""

import dataclasses
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from keras_transformer.zoo.columns.addresses import is_remote, public
from keras_transformer.zoo.data.sources import Source
from keras_transformer.zoo.data.text_files import read_text
from keras_transformer.zoo.errors import InputError
from keras_transformer.zoo.models.heads import check_head_name
from keras_transformer.zoo.tasks.registry import TASKS, task_named, tasks_for
from keras_transformer.zoo.tasks.task import Task

# Parts of an entry's data, and what it says beside them.
PARTS = ("train", "validation", "test")
_OTHERS = ("task", "weight", "teacher", "share", "temperature")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Entry:
    """One task of a table.

    Attributes:
        task: the task, without labels unless they were given.
        columns: columns of its data by their use.
        sources: its data by part, see `PARTS`.
        weight: factor of its loss.
        teacher: path of a checkpoint of this task alone whose outputs it learns too; empty for
            none.
        share, temperature: of the teacher's loss, as of `distill`.
    """

    task: Task
    columns: Mapping[str, str | None]
    sources: Mapping[str, Source]
    weight: float = 1.0
    teacher: str = ""
    share: float = 0.5
    temperature: float = 2.0

    def source(self, part: str, name: str, table: str) -> Source:
        """Returns the data of a part.

        Raises:
            InputError: if the entry has none.
        """
        if part not in self.sources:
            raise InputError(
                f"Expected {part} of {name} in {table} to be its data, got none; give it there."
            )
        return self.sources[part]


def is_table(source: Any) -> bool:
    """Whether a source is a table of tasks: a path, or a mapping of mappings."""
    if isinstance(source, str | os.PathLike):
        return True
    return isinstance(source, Mapping) and all(isinstance(one, Mapping) for one in source.values())


def read_table(source: Source, name: str = "the tasks") -> tuple[dict[str, Entry], str]:
    """Reads the entries of a table by the tasks' names.

    Each is an object with `task`, the kind of the task; `train`, `validation` and `test`, paths
    relative to the file (`validation` may also be a share of the training data); and as far as they
    differ from the defaults, the columns of the data by their use, the options of the task,
    `weight`, `teacher`, `share` and `temperature`, see `Entry`. In memory, `task` may be a task
    such as `Classification()`, and the parts any data.

    Returns:
        The entries, and the name of the table in messages.

    Raises:
        FileNotFoundError: if there is no such file.
        InputError: if it is no such table, a name occurs twice, or a file of it is missing.
        TypeError: if the source is none.
    """
    folder = None
    if isinstance(source, str | os.PathLike):
        folder, name = Path(source).parent, str(source)
        source = _parsed(Path(source))
    if not isinstance(source, Mapping):
        raise TypeError(f"Expected {name} to be a path or a mapping, got {source!r}.")
    if len(source) < 2:
        raise InputError(f"Expected at least two tasks in {name}, got {len(source)}.")
    return {key: _entry(key, value, name, folder) for key, value in source.items()}, name


def _parsed(path: Path) -> dict[str, Any]:
    """The object of a JSON file, of which no key occurs twice."""

    def of_pairs(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        keys = [key for key, _ in pairs]
        for key in keys:
            if keys.count(key) > 1:
                raise InputError(f"{path}: expected each name once, got {key!r} twice.")
        return dict(pairs)

    try:
        value = json.loads(read_text(path), object_pairs_hook=of_pairs)
    except InputError:
        raise
    except (ValueError, RecursionError) as error:
        raise InputError(f"Expected {path} to be a table of tasks in JSON: {error}.") from None
    if not isinstance(value, dict):
        raise InputError(
            f"Expected {path} to be a table of tasks in JSON, an object with an entry for each, "
            f"got {value!r}."
        )
    return value


def _entry(key: str, value: Any, table: str, folder: Path | None) -> Entry:
    check_head_name(key)
    if not isinstance(value, Mapping) or "task" not in value:
        raise InputError(
            f"Expected {key} in {table} to be an object that names its task, got {value!r}."
        )
    given = value["task"]
    known = [one for one in tasks_for("encoder") if TASKS[one].columns]
    kind = task_named(given) if isinstance(given, str) and given in TASKS else given
    if getattr(kind, "name", None) not in known:
        raise InputError(
            f"Expected task of {key} in {table} to be one of {', '.join(known)}, got {given!r}."
        )
    names = [*_OTHERS, *PARTS, *kind.columns, *kind.own_options]
    for name in value:
        if name not in names:
            raise InputError(
                f"Expected {key} in {table} to say {', '.join(names)}, got {name!r}."
            )
    of_task = {} if isinstance(given, str) else given.options()
    columns = {
        one: value.get(one, of_task.get(one, default)) for one, default in kind.columns.items()
    }
    options = {one: value[one] for one in kind.own_options if one in value}
    task = kind.of_columns(columns) if isinstance(given, str) else given
    numbers = {one: _number(value[one], one, key, table) for one in _OTHERS[1:2] + _OTHERS[3:]
               if one in value}  # fmt: skip
    teacher = value.get("teacher") or ""
    if teacher or (folder is not None and "teacher" in value):
        teacher = str(_located(value["teacher"], "teacher", key, table, folder))
    return Entry(
        task=task.with_options(options), columns=columns,
        sources={
            part: _located(value[part], part, key, table, folder) for part in PARTS if part in value
        },
        teacher=teacher, **numbers,
    )  # fmt: skip


def _number(value: Any, name: str, key: str, table: str) -> float:
    is_number = type(value) in (int, float) and 0 < value < float("inf")
    if not is_number or (name == "share" and value > 1):
        wanted = "above 0" + (" and at most 1" if name == "share" else "")
        raise InputError(f"Expected {name} of {key} in {table} to be {wanted}, got {value!r}.")
    return float(value)


def _located(value: Any, part: str, key: str, table: str, folder: Path | None) -> Source:
    """The path of an entry's data, of which a file says where it is from its own folder."""
    if folder is None or (part == "validation" and type(value) is float):
        return value
    if not isinstance(value, str) or not value:
        wanted = "a path, or a share such as 0.1" if part == "validation" else "a path"
        raise InputError(f"Expected {part} of {key} in {table} to be {wanted}, got {value!r}.")
    if is_remote(value):
        raise InputError(
            f"Expected {part} of {key} in {table} to be a file of this machine, got "
            f"{public(value)}."
        )
    path = folder / value
    if not path.exists():
        raise InputError(f"Expected {part} of {key} in {table} to be there, got no {path}.")
    return path
