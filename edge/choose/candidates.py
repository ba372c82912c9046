"""Candidates of a search: files made from a float checkpoint, and the checkpoints in between."""

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Self

from keras_transformer.edge.compress.prune import prune
from keras_transformer.edge.precision import PRECISIONS, get_precision
from keras_transformer.edge.quantize.qat import quantize
from keras_transformer.edge.quantize.ranges import calibration_batches
from keras_transformer.edge.targets.artifact import Artifact
from keras_transformer.edge.targets.convert import convert
from keras_transformer.zoo.checkpoint import Checkpoint
from keras_transformer.zoo.data.batches import Batches
from keras_transformer.zoo.data.sources import Source
from keras_transformer.zoo.errors import InputError, RunError
from keras_transformer.zoo.pretrained.checkpoints import as_checkpoint
from keras_transformer.zoo.progress import Report
from keras_transformer.zoo.recipe.training_data import is_missing, is_path, rows_given
from keras_transformer.zoo.training.run_data import training_rows

REFERENCE = "float32"


@dataclasses.dataclass(frozen=True, kw_only=True)
class Candidate:
    """Settings by which a float checkpoint becomes a file.

    Attributes:
        precision: precision of the file.
        qat: whether the checkpoint is fine-tuned for that precision, not only calibrated.
        sparsity: share of zeros after pruning, which comes first; 0 for no pruning.
        length: length of the file's inputs in tokens; 0 for the checkpoint's own.
    """

    precision: str
    qat: bool = False
    sparsity: float = 0.0
    length: int = 0

    @property
    def name(self) -> str:
        """Name of the file, also in tables: `sparse-0.8-int8-qat-16`."""
        precision = "" if self.qat else self.precision
        return "-".join(filter(None, [self.source, precision, str(self.length or "")]))

    @property
    def source(self) -> str:
        """Name of the checkpoint that is converted; empty for the original one."""
        pruned = f"sparse-{self.sparsity:g}" if self.sparsity else ""
        trained_on = f"{self.precision}-qat" if self.qat else ""
        return "-".join(filter(None, [pruned, trained_on]))

    @property
    def trainings(self) -> list[Self]:
        """The candidates whose `source` is trained for this one, each on that of the former."""
        pruned = dataclasses.replace(self, precision=REFERENCE, qat=False, length=0)
        steps = [(self.sparsity, pruned), (self.qat, dataclasses.replace(self, length=0))]
        return [step for is_needed, step in steps if is_needed]

    @property
    def needs_data(self) -> bool:
        """Whether calibration or training needs data."""
        return self.qat or bool(self.sparsity) or get_precision(self.precision).is_static


def ladder(
    *,
    precisions: Sequence[str] = tuple(PRECISIONS),
    qat: bool = False,
    sparsities: Sequence[float] = (),
    lengths: Sequence[int] = (),
) -> list[Candidate]:
    """Returns every combination of the settings, the reference first.

    Args:
        precisions: precisions of the files.
        qat: whether to try precisions that round kernels with quantization-aware training too.
        sparsities: shares of zeros to try besides no pruning.
        lengths: input lengths to try besides the checkpoint's own.

    Raises:
        InputError: if a precision is unknown or a sparsity is not between 0 and 1.
    """
    for sparsity in sparsities:
        if not 0.0 < sparsity < 1.0:
            raise InputError(f"Expected sparsity to be above 0 and below 1, got {sparsity}.")
    specs = [get_precision(name) for name in dict.fromkeys([REFERENCE, *precisions])]
    return [
        Candidate(precision=spec.name, qat=trained_on, sparsity=sparsity, length=length)
        for sparsity in (0.0, *dict.fromkeys(sparsities))
        for spec in specs
        for trained_on in ((False, True) if qat and spec.rounds_kernels else (False,))
        for length in (0, *dict.fromkeys(lengths))
    ]


class Workshop:
    """Builds candidates: prunes and fine-tunes each checkpoint they need once, and converts it.

    Args:
        checkpoint: the float checkpoint.
        folder: folder of the intermediate checkpoints; existing ones are reused if `resume` is set.
        train: data for calibration and training; None for the checkpoint's own, see `train.train`.
        validation: data that selects the best epoch of a training run; None for the checkpoint's
            own.
        resume, overwrite, report: options of the training runs, see `train.train`.
    """

    def __init__(
        self, checkpoint: Checkpoint, folder: Path, *, train: Source | None = None,
        validation: Source | float | None = None, resume: bool = False, overwrite: bool = False,
        report: Report | None = None,
    ):  # fmt: skip
        self.checkpoint = checkpoint
        self.folder = folder
        self.options = {"resume": resume, "overwrite": overwrite, "report": report}
        self.data: dict[str, Any] = {"train": train, "validation": validation}
        for name, source in rows_given(train=train, validation=validation).items():
            # Rows can be read repeatedly, even if they came from a generator.
            self.data[name] = checkpoint.task.examples_of(source, checkpoint.columns, name=name)
        self._sources: dict[str, Checkpoint | InputError | RunError] = {"": checkpoint}
        self._calibration: Batches | None = None

    def check_data(self) -> None:
        """Raises InputError if the training data is missing, or is not the checkpoint's own."""
        train = self.data["train"]
        path = self.checkpoint.recipe.data.train if train is None else train
        if is_path(path) and path and is_missing(path):
            raise InputError(
                f"There is no file {path}, which the checkpoint was trained on; give --train "
                "FILE, or only precisions of --precisions that need no calibration."
            )
        if train is None:
            training_rows(self.checkpoint)

    def train(self, candidate: Candidate) -> None:
        """Trains the checkpoint that a candidate is converted from, if it is not trained yet.

        Raises:
            InputError, RunError: if that fails; the message gives the reason.
        """
        self._source(candidate)

    def take(self, source: str) -> None:
        """Takes a checkpoint that another process has trained in the folder, by its name."""
        if source not in self._sources:
            self._sources[source] = as_checkpoint(self.folder / source)

    def make(self, candidate: Candidate) -> Artifact:
        """Builds the file of a candidate.

        Raises:
            InputError, RunError: if it cannot be built; the message gives the reason.
        """
        spec = get_precision(candidate.precision)
        source = self._source(candidate)
        batches = self._batches() if spec.is_static and not candidate.qat else None
        lengths = [candidate.length] if candidate.length else None
        return convert(source, candidate.precision, calibration=batches, lengths=lengths)

    def _batches(self) -> Batches:
        if self._calibration is None:
            train = self.data["train"]
            source = training_rows(self.checkpoint) if train is None else train
            self._calibration = calibration_batches(self.checkpoint, source)
        return self._calibration

    def _source(self, candidate: Candidate) -> Checkpoint:
        """The checkpoint that a candidate is converted from; failures are cached too."""
        name = candidate.source
        if name not in self._sources:
            try:
                self._sources[name] = self._train_on(candidate)
            except (InputError, RunError) as error:
                self._sources[name] = error
        found = self._sources[name]
        if isinstance(found, Exception):
            raise found
        return found

    def _train_on(self, candidate: Candidate) -> Checkpoint:
        out = self.folder / candidate.source
        given: dict[str, Any] = {**self.options, **self.data}
        if not candidate.qat:
            return prune(self.checkpoint, out, sparsity=candidate.sparsity, **given)
        dense = self._source(dataclasses.replace(candidate, qat=False))
        return quantize(dense, out=out, precision=candidate.precision, **given)
