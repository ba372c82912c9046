"""The tasks by name, as far as a recipe knows them: their columns and their defaults."""

import dataclasses
from collections.abc import Mapping
from typing import Any


@dataclasses.dataclass(frozen=True, kw_only=True)
class TaskOptions:
    """What a recipe takes from a task, see `recipe.TaskDefaults`."""

    name: str
    columns: Mapping[str, str | None]
    defaults: Mapping[str, Any] = dataclasses.field(default_factory=dict)


_LABELLED = {"text": "text", "text_pair": None, "label": "label"}
_AS_WRITTEN = {"lowercase": False, "strip_accents": False}
TASKS = {
    task.name: task
    for task in (
        TaskOptions(name="classification", columns=_LABELLED),
        TaskOptions(name="regression", columns=_LABELLED),
        TaskOptions(
            name="translation", columns={"source": "", "target": ""},
            defaults={"tokenizer": "sentencepiece", "label_smoothing": 0.1, **_AS_WRITTEN},
        ),
        TaskOptions(
            name="language-modeling", columns={},
            defaults={"tokenizer": "characters", **_AS_WRITTEN},
        ),
    )
}  # fmt: skip
