"""Rows of several tasks, encoded for one model with a head for each, and their batches."""

import dataclasses
import hashlib
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from keras_transformer.zoo.data.batches import Batch, Batches, SampledBatches
from keras_transformer.zoo.data.rows import Rows
from keras_transformer.zoo.modalities.modality import Modality
from keras_transformer.zoo.progress import Report
from keras_transformer.zoo.tasks.run_data import RunData

if TYPE_CHECKING:
    import keras

    from keras_transformer.zoo.tasks.multi_task.multi_task import MultiTask

# Name of the probes' column that says by its place whose rows they are.
HEAD = "head"


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class MultiRows(Rows):
    """Rows of several tasks.

    Attributes:
        task: the tasks that read them, with their labels.
        parts: rows of each task, by its name.
        path: of the table of tasks, or its name.
        weights: factor of each task's loss.
        teachers: entries of the table that name a teacher, by the task's name.
    """

    task: "MultiTask"
    parts: Mapping[str, Any]
    path: Path | str
    weights: Mapping[str, float] = dataclasses.field(default_factory=dict)
    teachers: Mapping[str, Any] = dataclasses.field(default_factory=dict)

    def __len__(self) -> int:
        return sum(map(len, self.parts.values()))

    def rows(self) -> Iterator[Sequence[Any]]:
        for name, part in self.parts.items():
            yield (name,)
            yield from part.rows()


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class TaskBatch(Batch):
    """A batch of one task, whose targets stand by its name.

    Attributes:
        own: the task's own batch.
    """

    own: Batch

    @property
    def num_targets(self) -> int:
        return self.own.num_targets


class MultiBatches:
    """Batches of one task each, drawn by the tasks' sizes to a power.

    An epoch has as many batches as all tasks' together. Each task has a share of them that is its
    number of batches to the power (Stickland and Murray 2019, arXiv:1902.02671, section 3.3): 1 for
    every row once, 0 for as many batches of each task. A task that is larger than its share has
    other rows in each epoch.

    Args:
        parts: batches of the tasks by name.
        power: the exponent.
        seed: seed, with the epoch's number, of the order.
        inputs: names of the model's inputs, see `completed`.
    """

    def __init__(
        self, parts: Mapping[str, Batches | SampledBatches], power: float, seed: int, *,
        inputs: Sequence[str],
    ):  # fmt: skip
        self._parts, self._power, self._seed, self._inputs = parts, power, seed, inputs
        self.in_multiples_of(1)

    def in_multiples_of(self, rows: int, whole: bool = False) -> None:
        """See `Batches.in_multiples_of`."""
        for part in self._parts.values():
            part.in_multiples_of(rows, whole)
        sizes = np.array([len(part) for part in self._parts.values()], "float64")
        shares = sizes**self._power / np.sum(sizes**self._power)
        counts = np.maximum(1, np.rint(shares * sizes.sum())).astype(int)
        self.counts = dict(zip(self._parts, counts.tolist(), strict=True))

    def __len__(self) -> int:
        return sum(self.counts.values())

    def epoch(self, number: int, *, start: int = 0) -> Iterator[Batch]:
        """Yields the shuffled batches of an epoch, starting at batch `start`."""
        rng = np.random.default_rng((self._seed, number))
        order = rng.permutation(np.repeat(np.arange(len(self.counts)), list(self.counts.values())))
        names = [list(self.counts)[place] for place in order]
        streams = {
            name: self._stream(name, number, names[:start].count(name)) for name in self._parts
        }
        return (self._of(name, next(streams[name])) for name in names[start:])

    def _stream(self, name: str, number: int, start: int) -> Iterator[Batch]:
        """A task's batches in an epoch: its own epochs one after another."""
        part = self._parts[name]
        own = number * math.ceil(self.counts[name] / len(part))
        while True:
            for batch in part.epoch(own):
                if start:
                    start -= 1
                else:
                    yield batch
            own += 1

    def one_of_each_shape(self) -> Iterator[Batch]:
        """Yields a batch of each shape of each task."""
        for name, part in self._parts.items():
            for batch in part.one_of_each_shape():
                yield self._of(name, batch)

    def largest(self) -> tuple[int, int]:
        """Returns the number of rows and the padded length of the batch of the most tokens."""
        return max((part.largest() for part in self._parts.values()), key=math.prod)

    def fingerprint(self) -> str:
        """Returns a hash of everything that determines the batches of every epoch."""
        digest = hashlib.sha256(f"{self._seed} {self.counts}".encode())
        for part in self._parts.values():
            digest.update(part.fingerprint().encode())
        return digest.hexdigest()

    def _of(self, name: str, batch: Batch) -> TaskBatch:
        targets = None if batch.targets is None else {name: batch.targets}
        inputs = completed(batch.inputs, self._inputs)
        return TaskBatch(inputs=inputs, targets=targets, index=batch.index, own=batch)


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class MultiData:
    """Training and validation rows of several tasks, see `RunData`.

    Attributes:
        parts: data of each task, by its name.
    """

    task: "MultiTask"
    train: MultiRows
    validation: MultiRows
    modality: Modality
    parts: Mapping[str, RunData]

    @property
    def vocab_sizes(self) -> dict[str, int]:
        return self.modality.model_settings()

    def batches(
        self, *, batch_tokens: int, bucket: int, seed: int, piece_dropout: float = 0.0
    ) -> MultiBatches:
        made = {
            name: part.batches(
                batch_tokens=batch_tokens, bucket=bucket, seed=seed, piece_dropout=piece_dropout
            )
            for name, part in self.parts.items()
        }
        names = [spec.name for spec in self.modality.inputs(pair=self.task.pair)]
        return MultiBatches(made, self.task.sampling_power, seed, inputs=names)

    def validator(self) -> "Callable[[keras.Model], dict[str, Any]]":
        from keras_transformer.zoo.tasks.multi_task.learner import head_models

        validators = {name: part.validator() for name, part in self.parts.items()}
        # Each has a compiled function, which the next epoch's validation runs again.
        made: list[tuple[keras.Model, dict[str, keras.Model]]] = []

        def validate(model: "keras.Model") -> dict[str, Any]:
            if not made or made[0][0] is not model:
                made[:] = [(model, head_models(model, self.task, self.modality))]
            found = {name: of(made[0][1][name]) for name, of in validators.items()}
            return self.task.joined(found, self.validation)

        return validate

    def written_metrics(self, model: Any) -> dict[str, Any]:
        return {}

    def probes(self, seed: int) -> dict[str, np.ndarray]:
        """Returns the probes of each task one after another, and the places of their heads."""
        specs = {spec.name: spec for spec in self.modality.inputs(pair=self.task.pair)}
        rows: dict[str, list[np.ndarray]] = {name: [] for name in (*specs, HEAD)}
        for place, part in enumerate(self.parts.values()):
            probes = completed(part.probes(seed), list(specs))
            count = len(next(iter(probes.values())))
            rows[HEAD].append(np.full(count, place, "int32"))
            for name in specs:
                rows[name] += list(probes[name])
        heads = np.concatenate(rows.pop(HEAD))
        return {name: specs[name].pad(found) for name, found in rows.items()} | {HEAD: heads}

    def report_cuts(self, report: Report) -> None:
        for part in self.parts.values():
            part.report_cuts(report)


def probes_of_head(
    probes: Mapping[str, np.ndarray], place: int, names: Sequence[str]
) -> dict[str, np.ndarray]:
    """Returns a head's own of all probes.

    Args:
        probes: probes of a model of several heads.
        place: place of the head.
        names: names of the inputs that it reads.
    """
    # Of encoders that are apart each reads all rows.
    own = probes[HEAD] == place if HEAD in probes else slice(None)
    return {name: probes[name][own] for name in names}


def completed(inputs: Mapping[str, np.ndarray], names: Sequence[str]) -> dict[str, np.ndarray]:
    """Returns all inputs of a model: those of pairs alone are 0 for single rows.

    Args:
        inputs: arrays of a batch or of a row.
        names: names of the inputs.
    """
    first = next(iter(inputs.values()))
    return {name: inputs[name] if name in inputs else np.zeros_like(first) for name in names}
