"""The interface of a task: its data, head, loss, metrics and defaults."""

import abc
import dataclasses
import numbers
from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar, Self

import numpy as np

from keras_transformer.zoo.data.rows import Rows, check_share, split_rows
from keras_transformer.zoo.data.sources import Source
from keras_transformer.zoo.errors import InputError
from keras_transformer.zoo.evaluation.metric import Metric
from keras_transformer.zoo.evaluation.metrics import not_defined
from keras_transformer.zoo.evaluation.significance import Answers
from keras_transformer.zoo.modalities.modality import Features, Modality
from keras_transformer.zoo.models.heads import Head
from keras_transformer.zoo.tasks.run_data import RunData

# Rows of the task's own kind: `Examples`, `SentencePairs`, ...
Read = Any


class Task(abc.ABC):
    """A task: a frozen dataclass in its own file, and an entry in `registry.TASKS`.

    The abstract methods define the model, its data and the evaluation; the others have a default
    that suits most tasks. Examples are what `read` returns: `Rows` with a length and `take(rows)`.

    Attributes:
        name: name of the task in recipes, checkpoints and files.
        architectures: architectures that can be trained for it.
        columns: column names of the data by their use; None for an optional column, empty for one
            that must be named.
        defaults: values of recipe options whose default differs for this task.
        output: kind of the outputs, see `OUTPUTS`; or `text`.
        metric: metric that selects between models, among the results of `evaluate`.
        selection: metric that selects the best epoch, among the results of `RunData.validator`.
        fallback: metric that decides where the examples leave one of them undefined.
        fusion: what encoders of several kinds become, see `SeveralConfig`; None for any.
        generates: whether outputs are logits of the next token at each position.
        reads_sources: whether it generates targets for sources rather than continuing prompts.
        own_options: names of the recipe options that set fields of the task.
        trains_on_any, has_scope: whether rows may be other than texts, and out of its scope.
        tuned_fields: names of the fields that `tuned` sets.
        labels: class names in index order, or the target languages of a multilingual model.
        pair: whether an example is a pair of rows.
        modality: name of the inputs' modality.
    """

    name: ClassVar[str]
    architectures: ClassVar[tuple[str, ...]] = ("encoder",)
    columns: ClassVar[Mapping[str, str | None]]
    defaults: ClassVar[Mapping[str, Any]] = {}
    output: ClassVar[str]
    metric: ClassVar[Metric]
    selection: ClassVar[Metric]
    fallback: ClassVar[Metric | None] = None
    fusion: ClassVar[str | None] = None
    generates: ClassVar[bool] = False
    reads_sources: ClassVar[bool] = False
    own_options: ClassVar[tuple[str, ...]] = ()
    trains_on_any: ClassVar[bool] = False
    has_scope: ClassVar[bool] = False
    tuned_fields: ClassVar[tuple[str, ...]] = ()
    labels: tuple[str, ...] = ()
    pair: bool = False
    modality: str = "text"

    @abc.abstractmethod
    def head(self) -> Head:
        """Returns the head of the model."""

    @abc.abstractmethod
    def loss(self, label_smoothing: float = 0.0) -> Callable:
        """Returns the mean loss of targets and outputs, in which targets of -1 do not count.

        Raises:
            InputError: if `label_smoothing` is not 0 and the task does not support it.
        """

    @abc.abstractmethod
    def read(
        self, source: Source, columns: Mapping[str, str | None] | None = None, *,
        name: str = "data", labelled: bool = True,
    ) -> Read:  # fmt: skip
        """Reads examples from a file or from memory.

        Args:
            source: path; tuple of columns in the order of `columns`, such as (texts, labels);
                columns by name; or rows, each a tuple or a mapping. See `sources.Source`.
            columns: column names by their use, in place of the task's own.
            name: name of data in memory in messages.
            labelled: whether targets are required.

        Raises:
            FileNotFoundError, TypeError: if there is no such file, or data of another type.
            InputError: if a column, a row or a value is missing, or does not fit the task.
        """

    @abc.abstractmethod
    def vocabulary_texts(self, examples: Read) -> dict[str, Sequence[str]]:
        """Returns the texts from which each tokenizer is learned, by the tokenizer's name.

        The names are those of `Text`: `tokenizer` of the input, and `target_tokenizer` of the
        output, where it is another text.
        """

    @abc.abstractmethod
    def run_data(self, train: Read, validation: Read, modality: Modality) -> RunData:
        """Returns the data of a run.

        Args:
            modality: modality that encodes the examples; rows longer than its `max_length` are
                truncated and counted.
        """

    def inputs(self, examples: Read, modality: Modality) -> dict[str, list[np.ndarray]]:
        """Returns the encoded rows of the model's inputs by name."""
        return self.encode(examples, modality).of(modality.inputs(pair=self.pair))

    def encode(self, examples: Read, modality: Modality) -> Features:
        """Encodes examples for a model that does not generate."""
        raise NotImplementedError

    def measured(self, predictor: Any, examples: Read, modality: Modality, outputs: Any) -> dict:
        """Returns the metrics of a model's outputs, one for each row that `encode` returned."""
        raise NotImplementedError

    @abc.abstractmethod
    def evaluate(self, predictor: Any, examples: Read, **decoding: Any) -> dict[str, Any]:
        """Evaluates a checkpoint or a file.

        Args:
            predictor: `Checkpoint` or `Runner`.
            examples, **decoding: examples with targets, and where text is generated `Decoding`.

        Returns:
            The metrics by name, including `metric`; `rows`, the number of rows; and `truncated`,
            the number of rows that were truncated to the model's length.

        Raises:
            InputError: if the examples have no targets, or the decoding does not fit.
        """

    @abc.abstractmethod
    def output_difference(self, targets, expected, outputs, temperature: float):
        """The mean difference of a student's outputs from its teacher's, for distillation.

        Args:
            targets: targets of the examples.
            expected: outputs of the teacher.
            outputs: outputs of the student.
            temperature: divisor of the logits of both.
        """

    def reading(self, modality: str) -> Self:
        """Returns the task for rows of a modality.

        Raises:
            InputError: if the task reads only text and the modality is another.
        """
        if modality != self.modality:
            raise InputError(
                f"Expected a model that reads {self.modality} for {self.name}, got {modality!r}."
            )
        return self

    def learned_from(self, examples: Read) -> Self:
        """Returns the task with labels, if it has any, learned from the training examples."""
        return self

    def tuned(self, data: RunData, model: Any, metrics: dict) -> tuple[Self, dict[str, Any]]:
        """Returns the task with `tuned_fields` of validation examples, and the metrics with it."""
        return self, dict(metrics)

    def answers(self, predictor: Any, examples: Read) -> Answers:
        """Returns a model's answers, to be measured on any rows; InputError if it has none."""
        raise InputError(f"Expected a task of separate rows, got {self.name}; evaluate each.")

    def strata(self, examples: Read) -> np.ndarray | None:
        """Returns the groups (rows,) for a stratified split of the examples, if any."""
        return None

    def split(self, examples: Read, share: float, *, seed: int = 0) -> tuple[Read, Read]:
        """Splits examples in two at random, stratified by `strata`.

        Args:
            share: fraction of the rows in the second part, see `split_rows`.
            seed: seed of the split.

        Raises:
            InputError: if the share is not between 0 and 1, or leaves a part without rows.
        """
        groups = self.strata(examples)
        groups = np.zeros(len(examples), np.int32) if groups is None else groups
        first, second = split_rows(groups, share, seed=seed)
        return examples.take(first), examples.take(second)

    def read_parts(
        self, train: Source, validation: Source | float,
        columns: Mapping[str, str | None] | None = None, *, seed: int = 0,
    ) -> tuple[Self, Read, Read]:  # fmt: skip
        """Reads the data of a run.

        Args:
            train, validation: data, see `examples_of`; or a fraction of it to `split` off.
            columns, seed: column names by their use, and the seed of the split.

        Returns:
            The task with learned labels, the training examples, and the validation ones.

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
        """Returns examples that are already read, or reads a source, see `read`."""
        if isinstance(source, Rows):
            return source
        return self.read(source, columns, name=name, labelled=labelled)

    def undefined(self, examples: Read) -> dict[str, str]:
        """Returns the metrics that examples leave undefined, each with the reason."""
        return {}

    def defined(self, metric: Metric, examples: Read) -> Metric:
        """Returns a metric of the task's, or the fallback where examples leave it undefined."""
        return self.fallback if metric.name in self.undefined(examples) else metric

    def notes(self, metric: Metric, examples: Read) -> list[str]:
        """Returns what examples leave undefined in sentences, and what decides in its place."""
        undefined = self.undefined(examples)
        sentences = [f"{examples.path}: {one}" for one in not_defined(undefined)]
        if metric.name in undefined and self.fallback is not None:
            sentences[-1] = f"{sentences[-1][:-1]}; {self.fallback.name} decides."
        return sentences

    def suited(self, train: Read, settings: Mapping[str, Any]) -> dict[str, Any]:
        """Returns options of a run from scratch that suit the examples and the `settings` given."""
        return {}

    def baseline(self, train: Read, validation: Read) -> dict[str, float]:
        """Returns a simple method's validation metrics, fitted to training examples."""
        return {}

    @property
    def deciding_metric(self) -> str:
        """Name of the validation metric that selects the weights, where it is defined."""
        return self.selection.name

    def to_json(self) -> dict[str, Any]:
        """Returns the task as a JSON-serializable object; the labels are in a separate file."""
        value = {"name": self.name, "pair": self.pair}
        # The format from before other modalities existed.
        return value if self.modality == "text" else value | {"modality": self.modality}

    @classmethod
    def from_json(cls, value: Mapping[str, Any], labels: tuple[str, ...]) -> Self:
        """Creates the task from the result of `to_json` and the labels."""
        if set(value) - {"modality"} != {"name", "pair"}:
            raise InputError(f"Expected a task with name and pair, got {value!r}.")
        return cls().reading(value.get("modality", "text"))

    def untuned(self) -> tuple[dict[str, Any], tuple[str, ...]]:
        """Returns what makes it the same as another: JSON without `tuned_fields`, and labels."""
        value = {name: one for name, one in self.to_json().items() if name not in self.tuned_fields}
        return value, tuple(self.labels)

    def options(self) -> dict[str, Any]:
        """Returns the recipe options that recreate the task, see `of_columns`."""
        return {}

    @classmethod
    def of_columns(cls, columns: Mapping[str, str | None]) -> Self:
        """Creates the task of a recipe with column names by their use, without labels."""
        return cls()

    def with_labels(self, labels: Sequence[str]) -> Self:
        """Returns the task with given labels instead of learned ones.

        Raises:
            InputError: if the task has no labels to be given.
        """
        raise InputError(f"Expected no labels for {self.name}, got labels={list(labels)}.")

    def with_options(self, options: Mapping[str, Any]) -> Self:
        """Returns the task with the recipe options that set its fields, see `own_options`.

        Raises:
            InputError: if the task has no such field, or the value is impossible.
        """
        for name, value in options.items():
            if name not in self.own_options:
                raise InputError(f"Expected no {name} for {self.name}, got {name}={value!r}.")
        return dataclasses.replace(self, **options) if options else self

    def named_columns(self, columns: Mapping[str, str | None] | None) -> dict[str, str | None]:
        """Returns the names of all columns: the given ones, else the task's own, else their use.

        Raises:
            InputError: if a use is unknown.
        """
        for use in columns or {}:
            if use not in self.columns:
                known = ", ".join(self.columns) or "none"
                raise InputError(f"Expected columns of {self.name} among {known}, got {use!r}.")
        names = {**self.columns, **(columns or {})}
        return {use: use if column == "" else column for use, column in names.items()}
