"""One trial of a search: a candidate's file is made and measured."""

import gzip
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from keras_transformer.edge.choose.candidates import Candidate, Workshop
from keras_transformer.edge.choose.search_result import Measured
from keras_transformer.edge.runtime.runner import Runner
from keras_transformer.zoo.checkpoint import Checkpoint
from keras_transformer.zoo.data.columns import columns_of
from keras_transformer.zoo.data.rows import Rows
from keras_transformer.zoo.data.sources import Source
from keras_transformer.zoo.errors import InputError, RunError
from keras_transformer.zoo.pretrained.checkpoints import as_checkpoint
from keras_transformer.zoo.storage.files import write_file

CHECKPOINTS = "checkpoints"


class Bench:
    """Makes candidates of a search and measures them, in the process of the search or in others.

    Args:
        checkpoint, data, out, columns: see `search.search`.
        decoding: decoding options of a translator.
        **options: options of `Workshop`.

    Attributes:
        metric: what candidates are measured by.
    """

    def __init__(
        self, checkpoint: Checkpoint | str | Path, data: Source | Rows, out: str | Path, *,
        columns: Mapping[str, str | None] | None = None, decoding: Mapping[str, Any],
        **options: Any,
    ):  # fmt: skip
        self.out, self.decoding = Path(out), decoding
        self.checkpoint = as_checkpoint(checkpoint)
        self.columns = columns_of(self.checkpoint) if columns is None else columns
        self.workshop = Workshop(self.checkpoint, self.out / CHECKPOINTS, **options)
        task = self.checkpoint.task
        self.examples = task.examples_of(data, self.columns)
        self.metric = task.defined(task.metric, self.examples)

    def train(self, candidate: Candidate) -> str | None:
        """Trains the checkpoint that a candidate is made from; returns the reason if that fails."""
        try:
            self.workshop.train(candidate)
        except (InputError, RunError) as error:
            return _in_one_line(error)
        return None

    def measure(self, candidate: Candidate) -> Measured:
        """Makes and measures a candidate's file; records the reason if that fails."""
        try:
            converted = self.workshop.make(candidate)
            metrics = self.checkpoint.task.evaluate(
                Runner(converted), self.examples, **self.decoding
            )
            value = self.metric.value(metrics)
        except (InputError, RunError) as error:
            return Measured(candidate=candidate, error=_in_one_line(error))
        write_file(self.out / f"{candidate.name}.tflite", bytes(converted), overwrite=True)
        return Measured(
            candidate=candidate, value=value,
            metric_signature=metrics.get(f"{self.metric.name}_signature"),
            agreement=converted.parity.agreement, size=converted.size,
            gzip_size=len(gzip.compress(bytes(converted), mtime=0)),
        )  # fmt: skip


def _in_one_line(error: Exception) -> str:
    return " ".join(str(error).split())
