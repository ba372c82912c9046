"""The seam of tasks: what differs between one thing that models learn and another."""

import abc
import numbers
from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar, Self

import numpy as np

from keras_transformer.zoo.data.rows import Rows
from keras_transformer.zoo.data.sources import Source
from keras_transformer.zoo.errors import InputError
from keras_transformer.zoo.evaluation.metric import Metric
from keras_transformer.zoo.modalities.modality import Modality
from keras_transformer.zoo.models.heads import Head
from keras_transformer.zoo.tasks.run_data import RunData

# Rows of the task's own kind: `Examples`, `SentencePairs`, ...
Read = Any


class Task(abc.ABC):
    """A task: a frozen dataclass in a file of its own, and an entry in `registry.TASKS`.

    The first five methods make the model and its data, the next two measure; the others have a
    default that serves most tasks. Examples are of whatever type `read` returns: `Rows` with a
    length and `take(rows)`.

    Attributes:
        name: in recipes, checkpoints and files.
        architectures: of the models that can be trained for it.
        columns: names of the data's columns by their use; None for one that it can do without,
            empty for one that has to be named.
        defaults: options of a recipe whose default differs for this task.
        output: kind of the outputs, which decides how a device reads them: `classes`, `number` or
            `text`.
        metric: that decides between models, among the results of `evaluate`.
        selection: that decides between epochs, among the results of `RunData.validator`.
        generates: whether outputs are logits of the next token at each position.
        reads_sources: whether it generates targets for sources, rather than going on from a prompt.
        labels: names of the classes in index order; of a model of several target languages theirs.
        pair: whether an example is two rows that are read.
        modality: name of what is read.
    """

    name: ClassVar[str]
    architectures: ClassVar[tuple[str, ...]] = ("encoder",)
    columns: ClassVar[Mapping[str, str | None]]
    defaults: ClassVar[Mapping[str, Any]] = {}
    output: ClassVar[str]
    metric: ClassVar[Metric]
    selection: ClassVar[Metric]
    generates: ClassVar[bool] = False
    reads_sources: ClassVar[bool] = False
    labels: tuple[str, ...] = ()
    pair: bool = False
    modality: str = "text"

    @abc.abstractmethod
    def head(self) -> Head:
        """Returns the head of the model."""

    @abc.abstractmethod
    def loss(self, label_smoothing: float = 0.0) -> Callable:
        """Returns the loss of targets and outputs, a mean.

        Targets of -1 (`batches.NO_TARGET`) do not count.

        Raises:
            InputError: if labels are to be smoothed that the task does not have.
        """

    @abc.abstractmethod
    def read(
        self, source: Source, columns: Mapping[str, str | None] | None = None, *,
        name: str = "data", labelled: bool = True,
    ) -> Read:  # fmt: skip
        """Reads examples from a file or from memory.

        Args:
            source: a path; a tuple of columns in the order of `columns`, such as (texts, labels);
                columns by name; or rows, each a tuple or a mapping. See `sources.Source`.
            columns: names of the columns by their use, in place of the task's own.
            name: what messages call data that is in memory.
            labelled: whether the targets have to be there.

        Raises:
            FileNotFoundError: if there is no such file.
            InputError: if a column, a row or a value is missing, or does not fit the task.
            TypeError: if data in memory is of another type.
        """

    @abc.abstractmethod
    def vocabulary_texts(self, examples: Read) -> dict[str, Sequence[str]]:
        """Returns the texts that each tokenizer is learned from, by the tokenizer's name.

        The names are those of `Text`: `tokenizer` of what is read, and `target_tokenizer` of what
        is written, where that is another text.
        """

    @abc.abstractmethod
    def run_data(self, train: Read, validation: Read, modality: Modality) -> RunData:
        """Returns the data of a run.

        Args:
            train, validation: examples.
            modality: encodes them; longer rows than its `max_length` are cut and counted.
        """

    @abc.abstractmethod
    def inputs(self, examples: Read, modality: Modality) -> dict[str, list[np.ndarray]]:
        """Returns the rows of the model's inputs by name."""

    @abc.abstractmethod
    def evaluate(self, predictor: Any, examples: Read, **decoding: Any) -> dict[str, Any]:
        """Measures a checkpoint or a file.

        Args:
            predictor: a `Checkpoint` or a `Runner`.
            examples: with targets.
            **decoding: how tokens are chosen where text is generated, see `Decoding`.

        Returns:
            The metrics by name, `metric` among them; `rows`, and `truncated`, the number of rows
            that were cut to the model's length.

        Raises:
            InputError: if the examples have no targets, or the decoding does not fit.
        """

    @abc.abstractmethod
    def output_difference(self, targets, expected, outputs, temperature: float):
        """How far a student's outputs are from its teacher's, a mean.

        Args:
            targets: of the labels.
            expected: the teacher's outputs.
            outputs: the student's.
            temperature: by which both sides' logits are divided.
        """

    def reading(self, modality: str) -> Self:
        """Returns the task over rows of a modality.

        Raises:
            InputError: if it is a task of text.
        """
        if modality != self.modality:
            raise InputError(
                f"Expected a model that reads {self.modality} for {self.name}, got one of "
                f"modality={modality!r}."
            )
        return self

    def learned_from(self, examples: Read) -> Self:
        """Returns the task with what it learns from its training examples, such as labels."""
        return self

    def strata(self, examples: Read) -> np.ndarray | None:
        """Returns the groups (rows,) whose shares a split of examples preserves, if any."""
        return None

    def split(self, examples: Read, share: float, *, seed: int = 0) -> tuple[Read, Read]:
        """Splits examples in two at random, in every group of `strata` alike.

        Args:
            examples: with `take`.
            share: of the rows in the second part; a group keeps at least one row in the first.
            seed: the same seed gives the same split.

        Raises:
            InputError: if the share is not between 0 and 1, or leaves a part without rows.
        """
        check_share(share)
        groups = self.strata(examples)
        groups = np.zeros(len(examples), np.int32) if groups is None else groups
        order = np.random.default_rng(seed).permutation(len(examples))
        chosen, due = [], 0.0
        for group in np.unique(groups):
            rows = order[groups[order] == group]
            due += share * len(rows)
            count = int(np.clip(round(due) - len(chosen), 0, len(rows) - 1))
            chosen += rows[:count].tolist()
        if not chosen:
            raise InputError(
                f"Expected validation to be a share of the training data that holds a row, "
                f"got validation={share} of {len(examples)} rows."
            )
        first = np.setdiff1d(np.arange(len(examples)), chosen)
        return examples.take(first.tolist()), examples.take(sorted(chosen))

    def read_parts(
        self, train: Source, validation: Source | float,
        columns: Mapping[str, str | None] | None = None, *, seed: int = 0,
    ) -> tuple[Self, Read, Read]:  # fmt: skip
        """Reads the data of a run.

        Args:
            train: see `examples_of`.
            validation: likewise, or a share of the training data, see `split`.
            columns: names of the columns by their use.
            seed: of the split.

        Returns:
            The task with what it learned from the training examples, those, and the validation's.

        Raises:
            FileNotFoundError, InputError, TypeError: as `read` and `split`.
        """
        if isinstance(validation, numbers.Real):
            check_share(validation)
        examples = self.examples_of(train, columns, name="train")
        task = self.learned_from(examples)
        if isinstance(validation, numbers.Real):
            return (task, *task.split(examples, float(validation), seed=seed))
        return task, examples, task.examples_of(validation, columns, name="validation")

    def examples_of(
        self, source: Source | Rows, columns: Mapping[str, str | None] | None = None, *,
        name: str = "data", labelled: bool = True,
    ) -> Read:  # fmt: skip
        """Returns examples that were read before, or reads a source, see `read`."""
        if isinstance(source, Rows):
            return source
        return self.read(source, columns, name=name, labelled=labelled)

    @property
    def deciding_metric(self) -> str:
        """Name of the validation metric that chooses the weights."""
        return self.selection.name

    def score(self, metrics: Mapping[str, Any]) -> float:
        """Returns the deciding metric, negated where lower is better."""
        return self.selection.score(metrics)

    def to_json(self) -> dict[str, Any]:
        """Returns the task as an object that JSON can hold; the labels have a file of their own."""
        value = {"name": self.name, "pair": self.pair}
        # As it was when there was nothing but text.
        return value if self.modality == "text" else value | {"modality": self.modality}

    @classmethod
    def from_json(cls, value: Mapping[str, Any], labels: tuple[str, ...]) -> Self:
        """Makes the task from what `to_json` returned and the labels."""
        if set(value) - {"modality"} != {"name", "pair"}:
            raise InputError(f"Expected a task with name and pair, got {value!r}.")
        return cls().reading(value.get("modality", "text"))

    def options(self) -> dict[str, Any]:
        """Returns the options of a recipe that make the same task again, see `of_columns`."""
        return {}

    @classmethod
    def of_columns(cls, columns: Mapping[str, str | None]) -> Self:
        """Makes the task of a recipe, before it has learned from data.

        Args:
            columns: names of the columns by their use.
        """
        return cls()

    def with_labels(self, labels: Sequence[str]) -> Self:
        """Returns the task with labels that are given, not learned.

        Raises:
            InputError: if the task has none that could be given.
        """
        raise InputError(f"Expected no labels for {self.name}, got labels={list(labels)}.")

    def named_columns(self, columns: Mapping[str, str | None] | None) -> dict[str, str | None]:
        """Returns the names of all columns: those given, else the task's own, else their use.

        Raises:
            InputError: if a use is unknown.
        """
        for use in columns or {}:
            if use not in self.columns:
                known = ", ".join(self.columns) or "none"
                raise InputError(f"Expected columns of {self.name} among {known}, got {use!r}.")
        names = {**self.columns, **(columns or {})}
        return {use: use if column == "" else column for use, column in names.items()}


def check_share(share: float) -> None:
    """Raises InputError for a validation share that is not between 0 and 1."""
    if not 0 < share < 1:
        raise InputError(
            f"Expected validation to be data or a share between 0 and 1, got validation={share}."
        )
