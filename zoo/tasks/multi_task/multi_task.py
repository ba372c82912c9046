"""Several tasks that one model learns: an encoder with a head for each."""

import dataclasses
import numbers
import os
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np

from keras_transformer.zoo.data.sources import Source
from keras_transformer.zoo.errors import InputError
from keras_transformer.zoo.evaluation.metric import Metric
from keras_transformer.zoo.generation.decoding import check_no_decoding
from keras_transformer.zoo.modalities.modality import Modality
from keras_transformer.zoo.models.heads import Heads
from keras_transformer.zoo.outputs import BY_HEAD, CLASSES, TAGS
from keras_transformer.zoo.tasks.multi_task.multi_data import MultiData, MultiRows, completed
from keras_transformer.zoo.tasks.multi_task.task_table import Entry, is_table, read_table
from keras_transformer.zoo.tasks.registry import task_from_json
from keras_transformer.zoo.tasks.task import Task

if TYPE_CHECKING:
    import keras

# In the metrics of a model of several tasks, those of each by its name; and their mean.
BY_TASK, MEAN = "by_task", Metric(name="mean", points=100.0)
LOSS_WEIGHTS = ("fixed", "uncertainty")


@dataclasses.dataclass(frozen=True, kw_only=True)
class MultiTask(Task):
    """Several tasks of one encoder, which has a head for each.

    Its data are tables of tasks, see `task_table.read_table`. The best epoch is that of the largest
    mean of the tasks' deciding metrics, each as a fraction of 1, negated where lower is better.

    Attributes:
        tasks: the tasks by name, with their labels.
        columns_of: columns of the data of each by their use.
        sampling_power: power of the tasks' sizes by which batches are drawn, see `MultiBatches`.
        loss_weights: `fixed` for the weights of the table; `uncertainty` to learn more, see
            `MultiTaskLearner`.
    """

    tasks: Mapping[str, Task] = dataclasses.field(default_factory=dict)
    columns_of: Mapping[str, Mapping[str, str | None]] = dataclasses.field(
        default_factory=dict, compare=False
    )
    sampling_power: float = dataclasses.field(default=0.75, compare=False)
    loss_weights: str = dataclasses.field(default="fixed", compare=False)

    name: ClassVar[str] = "multi-task"
    columns: ClassVar[Mapping[str, str | None]] = {}
    defaults: ClassVar[Mapping[str, Any]] = {"model": "bert_mini"}
    output: ClassVar[str] = BY_HEAD
    metric: ClassVar[Metric] = MEAN
    selection: ClassVar[Metric] = MEAN
    own_options: ClassVar[tuple[str, ...]] = ("sampling_power", "loss_weights")

    def __post_init__(self):
        if not 0 <= self.sampling_power <= 1:
            raise InputError(
                "Expected sampling_power to be from 0 to 1, got "
                f"sampling_power={self.sampling_power!r}."
            )
        if self.loss_weights not in LOSS_WEIGHTS:
            raise InputError(
                f"Expected loss_weights to be one of {', '.join(LOSS_WEIGHTS)}, got "
                f"loss_weights={self.loss_weights!r}."
            )

    @property
    def pair(self) -> bool:
        """Whether an example of any task is a pair of rows."""
        return any(task.pair for task in self.tasks.values())

    def head(self) -> Heads:
        return Heads(heads={name: task.head() for name, task in self.tasks.items()})

    def loss(self, label_smoothing: float = 0.0) -> Callable:
        """Returns the loss of targets by the name of their one task, and all outputs by name."""
        from keras_transformer.zoo.tasks.multi_task.learner import idle

        losses = {
            # Numbers and sets of labels are not smoothed.
            name: task.loss(label_smoothing if task.output in (CLASSES, TAGS) else 0.0)
            for name, task in self.tasks.items()
        }

        def of_one(targets, outputs):
            [(name, own)] = targets.items()
            return losses[name](own, outputs[name]) + idle(outputs, name)

        return of_one

    def output_difference(self, targets, expected, outputs, temperature: float):
        """The difference of the one task that has targets."""
        from keras_transformer.zoo.tasks.multi_task.learner import idle

        [(name, own)] = targets.items()
        difference = self.tasks[name].output_difference(
            own, expected[name], outputs[name], temperature
        )
        return difference + idle(outputs, name)

    def read(
        self, source: Source, columns: Mapping[str, str | None] | None = None, *,
        name: str = "data", labelled: bool = True,
    ) -> MultiRows:  # fmt: skip
        """Reads a part of a table: `train` or `validation` by that name, else `test`.

        Data to calibrate on, whose labels do not matter, are those of `train`.
        """
        self.named_columns(columns)
        part = name if name in ("train", "validation") else "test" if labelled else "train"
        table, path = read_table(source, name)
        self._check_names(table, path)
        parts = {
            key: self._task(key, entry).examples_of(
                entry.source(part, key, path), entry.columns, name=f"{key} of {path}",
                labelled=labelled,
            )
            for key, entry in table.items()
        }  # fmt: skip
        return MultiRows(task=self, parts=parts, path=path)

    def read_parts(
        self, train: Source, validation: Source | float,
        columns: Mapping[str, str | None] | None = None, *, seed: int = 0,
    ) -> tuple[Self, MultiRows, MultiRows]:  # fmt: skip
        if isinstance(train, MultiRows) and isinstance(validation, MultiRows):
            return train.task, train, validation
        if not is_table(train):
            raise TypeError(f"Expected train to be a table of tasks, got {train!r}.")
        table, path = read_table(train, "the tasks")
        self._check_names(table, path)
        share = validation if isinstance(validation, numbers.Real) else None
        others = table
        if share is None and validation is not train and not _are_same(train, validation):
            others, _ = read_table(validation, "the tasks")
            self._check_names(others, path)
        tasks, first, second = {}, {}, {}
        for key, entry in table.items():
            source = share if share is not None else others[key].source("validation", key, path)
            tasks[key], first[key], second[key] = self._task(key, entry).read_parts(
                entry.source("train", key, path), source, entry.columns, seed=seed
            )
        columns_of = {key: entry.columns for key, entry in table.items()}
        task = dataclasses.replace(self, tasks=tasks, columns_of=columns_of)
        train = MultiRows(
            task=task, parts=first, path=path,
            weights={key: entry.weight for key, entry in table.items()},
            teachers={key: entry for key, entry in table.items() if entry.teacher},
        )  # fmt: skip
        return task, train, MultiRows(task=task, parts=second, path=path)

    def _task(self, name: str, entry: Entry) -> Task:
        """The task that reads an entry: the model's own, with its labels, where there is one."""
        if not self.tasks:
            return entry.task
        own = self.tasks[name]
        if (own.name, own.pair) != (entry.task.name, entry.task.pair):
            raise InputError(
                f"Expected {name} to be {own.name} as the model learned it, got {entry.task.name}."
            )
        return own

    def _check_names(self, table: Mapping[str, Entry], path: str) -> None:
        if self.tasks and set(table) != set(self.tasks):
            raise InputError(
                f"Expected the tasks {', '.join(self.tasks)} of the model in {path}, got "
                f"{', '.join(table)}."
            )

    def vocabulary_texts(self, examples: MultiRows) -> dict[str, Sequence[str]]:
        found = [
            texts for name, part in examples.parts.items()
            for texts in self._of(examples, name).vocabulary_texts(part).values()
        ]  # fmt: skip
        return {"tokenizer": [text for texts in found for text in texts]}

    def inputs(self, examples: MultiRows, modality: Modality) -> dict[str, list[np.ndarray]]:
        columns: dict[str, list[np.ndarray]] = {}
        names = [spec.name for spec in modality.inputs(pair=self.pair)]
        for key, part in examples.parts.items():
            found = self._of(examples, key).inputs(part, modality)
            for row in zip(*found.values(), strict=True):
                for name, value in completed(dict(zip(found, row, strict=True)), names).items():
                    columns.setdefault(name, []).append(value)
        return columns

    def run_data(
        self, train: MultiRows, validation: MultiRows, modality: Modality
    ) -> MultiData:
        return MultiData(
            task=self, train=train, validation=validation, modality=modality,
            parts={
                name: task.run_data(train.parts[name], validation.parts[name], modality)
                for name, task in self.tasks.items()
            },
        )  # fmt: skip

    def evaluate(self, predictor: Any, examples: MultiRows, **decoding: Any) -> dict[str, Any]:
        check_no_decoding(decoding)
        found = {
            name: task.evaluate(predictor.head(name), examples.parts[name])
            for name, task in self.tasks.items()
        }
        truncated = sum(one.get("truncated", 0) for one in found.values())
        return {
            "rows": len(examples), "truncated": truncated, **self.joined(found, examples)
        }  # fmt: skip

    def joined(self, found: Mapping[str, dict[str, Any]], examples: MultiRows) -> dict[str, Any]:
        """Returns the metrics of all tasks as one: the mean, the deciding ones, and all by task.

        Args:
            found: metrics of each task by its name.
            examples: rows that they were measured on.
        """
        scores, deciding = [], {}
        for name, task in self.tasks.items():
            metric = task.defined(task.metric, examples.parts[name])
            value = deciding[f"{name} {metric.name}"] = found[name][metric.name]
            if value is not None:
                scores.append(value * metric.points / 100)
        mean = float(np.mean(scores)) if len(scores) == len(self.tasks) else None
        return {MEAN.name: mean, **deciding, BY_TASK: dict(found)}

    def tuned(
        self, data: MultiData, model: "keras.Model", metrics: dict
    ) -> tuple[Self, dict[str, Any]]:
        from keras_transformer.zoo.tasks.multi_task.learner import head_models

        models, tasks, found = head_models(model, self, data.modality), {}, {}
        for name, task in self.tasks.items():
            tasks[name], found[name] = task.tuned(
                data.parts[name], models[name], metrics[BY_TASK][name]
            )
        task = dataclasses.replace(self, tasks=tasks)
        return task, {**metrics, **task.joined(found, data.validation)}

    def undefined(self, examples: MultiRows) -> dict[str, str]:
        reasons = {}
        for name, part in examples.parts.items():
            task = self._of(examples, name)
            missing = task.undefined(part)
            if task.metric.name in missing and task.fallback is None:
                reasons[MEAN.name] = f"{name}: {missing[task.metric.name]}"
        return reasons

    def to_json(self) -> dict[str, Any]:
        return {
            **super().to_json(), "sampling_power": self.sampling_power,
            "loss_weights": self.loss_weights,
            "tasks": {
                name: {
                    **task.to_json(), "labels": list(task.labels),
                    "columns": dict(self.columns_of.get(name, task.columns)),
                }
                for name, task in self.tasks.items()
            },
        }  # fmt: skip

    @classmethod
    def from_json(cls, value: Mapping[str, Any], labels: tuple[str, ...]) -> Self:
        entries = value.get("tasks")
        if not isinstance(entries, Mapping) or not all(
            isinstance(one, Mapping) and isinstance(one.get("columns"), Mapping)
            and isinstance(one.get("labels"), list) for one in entries.values()
        ):  # fmt: skip
            raise InputError(f"Expected tasks by name, with labels and columns, got {entries!r}.")
        tasks = {}
        for name, entry in entries.items():
            own = {key: one for key, one in entry.items() if key not in ("labels", "columns")}
            tasks[name] = task_from_json(own, tuple(entry["labels"]))
        Heads(heads={name: task.head() for name, task in tasks.items()})
        return cls(
            tasks=tasks, columns_of={name: entry["columns"] for name, entry in entries.items()},
            sampling_power=value.get("sampling_power", 1.0),
            loss_weights=value.get("loss_weights", "fixed"),
        )  # fmt: skip

    def untuned(self) -> tuple[dict[str, Any], tuple[str, ...]]:
        # How its batches were drawn and weighed is a run's, not the task's.
        tasks = {name: task.untuned() for name, task in self.tasks.items()}
        return {**super().to_json(), "tasks": tasks}, ()

    def _of(self, examples: MultiRows, name: str) -> Task:
        return (self.tasks or examples.task.tasks)[name]


def _are_same(one: Any, other: Any) -> bool:
    """Whether two sources are the same file."""
    are_paths = isinstance(one, str | os.PathLike) and isinstance(other, str | os.PathLike)
    return are_paths and os.path.abspath(one) == os.path.abspath(other)
