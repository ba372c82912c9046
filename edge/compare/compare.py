"""Comparison of `.tflite` files with the checkpoint that they were converted from."""

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from keras_transformer.edge.compare.layers import LayerDifference, explain
from keras_transformer.edge.compare.masked import compare_masked
from keras_transformer.edge.compare.parity import Parity, outputs_difference
from keras_transformer.edge.compare.probes import at_positions, padded_outputs
from keras_transformer.edge.compare.simulated import file_parity
from keras_transformer.edge.convert.window import with_window_of
from keras_transformer.edge.runtime.packed import Source, names_of
from keras_transformer.edge.runtime.runner import Runner
from keras_transformer.zoo.backends import needs_backend
from keras_transformer.zoo.checkpoint import Checkpoint
from keras_transformer.zoo.data import sources
from keras_transformer.zoo.data.pairs import SentencePairs
from keras_transformer.zoo.data.plain_text import PlainText
from keras_transformer.zoo.data.rows import Examples, Rows
from keras_transformer.zoo.errors import InputError
from keras_transformer.zoo.modalities.log_mel import LOG_MEL_FILE
from keras_transformer.zoo.outputs import MASKS, REPLACED
from keras_transformer.zoo.pretrained.checkpoints import as_checkpoint
from keras_transformer.zoo.storage.files import weights_digest
from keras_transformer.zoo.tabular import Grid, Tabular
from keras_transformer.zoo.tasks.measure import read_options
from keras_transformer.zoo.tasks.registry import task_of


@dataclasses.dataclass(frozen=True, kw_only=True)
class Comparison:
    """One file compared with the checkpoint's own forward pass, on the same padded rows.

    Attributes:
        path: path of the file.
        precision: precision of the file.
        size: bytes of the file.
        metric: name of the task's metric.
        value: metric of the file.
        checkpoint_value: metric of the checkpoint; a quantized one simulates int8.
        parity: difference of their outputs.
        num_truncated: number of rows that were cut to the file's length.
        metric_signature: settings of the metric, where it has some: sacrebleu's of BLEU.
        same_weights: whether the file was made from the checkpoint's weights, as it says itself;
            None where it does not say.
    """

    path: str
    precision: str
    size: int
    metric: str
    value: float | None
    checkpoint_value: float | None
    parity: Parity
    num_truncated: int
    metric_signature: str | None = None
    same_weights: bool | None = None

    def to_json(self) -> dict[str, Any]:
        """Returns the values as a JSON-serializable object."""
        return dataclasses.asdict(self)


class Comparisons(Tabular, list):
    """Comparisons of several files, in the order given; a list that prints as a table."""

    @property
    def conditions(self) -> str:
        """The number of rows, and the settings of the metric, in words."""
        one = self[0]
        settings = one.metric_signature
        return f"{one.parity.rows} rows{f'; {one.metric} {settings}' if settings else ''}"

    def grids(self) -> list[Grid]:
        """One row per file."""
        metric = self[0].metric
        agreement = "smallest cosine" if self[0].parity.cosine is not None else "agreement"
        columns = (
            "file", "precision", metric, f"checkpoint's {metric}", agreement,
            "largest difference", "in output steps", "MB",
        )  # fmt: skip
        rows = [
            (
                one.path,
                one.precision,
                one.value,
                one.checkpoint_value,
                one.parity.same,
                f"{one.parity.largest:.3g}",
                f"{one.parity.steps:.2f}",
                f"{one.size / 1e6:.2f}",
            )
            for one in self
        ]
        return [Grid(self.conditions, columns, rows)]


@needs_backend("compare")
def compare(
    checkpoint: Checkpoint | str | Path,
    files: Source | Sequence[Source],
    data: sources.Source | Rows,
    *,
    threads: int = 1,
    **options: Any,
) -> Comparisons:
    """Runs every row through the checkpoint and each file, and compares their outputs.

    Args:
        checkpoint: the checkpoint, or its folder; its own forward pass is the reference, also for
            an int8 file that was only calibrated.
        files: one or more converted files: paths, bytes, runners, or artifacts of `convert`.
        data: labelled rows, or sources and targets: a path, data in memory (see `Task.read`), or
            rows that were already read.
        threads: number of interpreter threads.
        **options: options of `Checkpoint.evaluate`: columns, and decoding options of a translator.

    Returns:
        For each file, its metric, the checkpoint's, and the difference of their outputs. Of texts
        for sources, the share that is the same (the parity's agreement), and the difference of
        logits on the checkpoint's probes.

    Raises:
        FileNotFoundError: if there is no such file.
        InputError: if a file was not made by `convert` or is of another model, an option or the
            data does not fit the task, or the task has no rows to compare.
        TypeError: if an argument is not a checkpoint, file or data, or an option is unknown.
    """
    checkpoint = as_checkpoint(checkpoint)
    if checkpoint.matches_kinds:
        raise InputError(
            f"Expected a model of one output to compare, got encoders of "
            f"{', '.join(checkpoint.head_names)}; evaluate the checkpoint and each file instead."
        )
    if checkpoint.head_names:
        raise InputError(
            f"Expected one task to compare, got {', '.join(checkpoint.head_names)}; name one with "
            "--head (head() in Python)."
        )
    runners = _runners(files, threads)
    windows = _windows(checkpoint, runners)
    columns, decoding = read_options(checkpoint, options, data)
    data = _read(checkpoint, data, columns)
    if checkpoint.reads_sources:
        return _compare_texts(windows, runners, data, decoding)
    weights = weights_digest(checkpoint.model.weights)
    if checkpoint.output_kind in (MASKS, REPLACED):
        return Comparisons(_compare_masked(checkpoint, one, data, weights) for one in runners)
    if data.targets is None:
        raise InputError(f"{data.path}: expected a label column to compare on.")
    references: dict[int, np.ndarray] = {}
    return Comparisons(
        _compare(checkpoint, runner, data, references, weights) for runner in runners
    )


def _runners(files: Source | Sequence[Source], threads: int = 1) -> list[Runner]:
    several = files if isinstance(files, list | tuple) else [files]
    if not several:
        raise InputError("Expected at least one file to compare.")
    runners = [one if isinstance(one, Runner) else Runner(one, threads=threads) for one in several]
    for runner, name in zip(runners, names_of(several), strict=True):
        runner.name = name
    return runners


def _read(
    checkpoint: Checkpoint, source: sources.Source | Rows, columns: Mapping[str, str | None]
) -> Any:
    if checkpoint.generates and not checkpoint.reads_sources:
        raise InputError(
            "Expected a checkpoint that does not continue texts to compare, got one of "
            f"{checkpoint.task_name}; evaluate each instead."
        )
    return checkpoint.task.examples_of(source, columns)


def _compare_texts(
    checkpoints: Sequence[Checkpoint], runners: Sequence[Runner], pairs: SentencePairs,
    decoding: Mapping[str, Any],
) -> Comparisons:  # fmt: skip
    """Compares each file with the checkpoint of its window."""
    task: Any = checkpoints[0].task  # one that writes texts for sources
    name, known, compared = task.metric.name, {}, Comparisons()
    for checkpoint, runner in zip(checkpoints, runners, strict=True):
        window = str(checkpoint.config.modality_settings)
        if window not in known:
            texts = checkpoint.generate(pairs.sources, **decoding)
            known[window] = texts, weights_digest(checkpoint.model.weights)
        expected, weights = known[window]
        reference = task.text_metrics(expected, pairs.targets)
        written = runner.generations(pairs.sources, **decoding)
        texts = [one.text for one in written]
        same = sum(a == b for a, b in zip(texts, expected, strict=True)) / len(texts)
        parity = file_parity(checkpoint, runner)
        compared.append(
            Comparison(
                path=runner.name, precision=runner.precision, size=len(bytes(runner)),
                metric=name, value=task.text_metrics(texts, pairs.targets)[name],
                checkpoint_value=reference[name],
                metric_signature=reference.get(f"{name}_signature"),
                parity=dataclasses.replace(parity, rows=len(texts), agreement=same),
                num_truncated=sum(one.truncated for one in written),
                same_weights=_has_weights(runner, weights),
            )  # fmt: skip
        )
    return compared


def _has_weights(runner: Runner, weights: str) -> bool | None:
    """Whether a file says that it was made from weights of a hash; None where it says nothing."""
    found = runner.description.get("provenance", {}).get("weights_sha256")
    return None if found is None else found == weights


@needs_backend("compare --layers")
def compare_layers(
    checkpoint: Checkpoint,
    files: Source | Sequence[Source],
    inputs: Mapping[str, Sequence[np.ndarray]],
) -> dict[str, list[LayerDifference]]:
    """Measures for each file how far every layer is from the checkpoint's, see `explain`.

    Args:
        checkpoint: the checkpoint.
        files: converted files, see `compare`.
        inputs: rows of the model's inputs by name.

    Returns:
        The layers in execution order, by the file's name.

    Raises:
        FileNotFoundError: if there is no such file.
        InputError: if a file was not made by `convert` or is of another model; see also `explain`.
    """
    runners = _runners(files)
    return {
        runner.name: explain(own, runner, inputs)
        for own, runner in zip(_windows(checkpoint, runners), runners, strict=True)
    }


def _windows(checkpoint: Checkpoint, runners: Sequence[Runner]) -> list[Checkpoint]:
    """The checkpoint with the window of each file, whose model is checked to be the same."""
    windows = [with_window_of(checkpoint, runner.modality) for runner in runners]
    for own, runner in zip(windows, runners, strict=True):
        _check_same_model(own, runner)
    return windows


def _check_same_model(checkpoint: Checkpoint, runner: Runner) -> None:
    """Raises InputError if a file has another task, other labels or another vocabulary."""
    # A model that was trained on has thresholds and a temperature of its own.
    ours, theirs = (
        {
            "task": task.untuned()[0], "labels": list(one.labels), "model": model,
            # A file of integers has its spectrogram beside the graph, where the model has its own.
            "tokenizer": {**one.modality.files(), LOG_MEL_FILE: b""},
        }
        for one, task, model in (
            (checkpoint, checkpoint.task, checkpoint.config.to_json()),
            (runner, task_of(runner), runner.description["model"]),
        )
    )  # fmt: skip
    for name, value in ours.items():
        if theirs[name] != value:
            raise InputError(
                f"{runner.name} was converted from another checkpoint: they differ in {name}."
            )


def _compare(
    checkpoint: Checkpoint, runner: Runner, examples: Examples,
    references: dict[int, np.ndarray], weights: str,
) -> Comparison:  # fmt: skip
    """Compares one file; `references` caches the checkpoint's outputs by length."""
    length = runner.max_length
    modality = dataclasses.replace(checkpoint.modality, max_length=length)
    encoded = checkpoint.task.encode(examples, modality)
    inputs = encoded.pad(checkpoint.inputs, length)
    if length not in references:
        references[length] = padded_outputs(checkpoint, inputs, length)
    reference = references[length]
    outputs = runner.run(inputs)
    metric = checkpoint.task.defined(checkpoint.task.metric, examples).name
    value, checkpoint_value = (
        task.measured(checkpoint, examples, modality, found)[metric]
        for task, found in ((task_of(runner), outputs), (checkpoint.task, reference))
    )
    reference, outputs = (
        at_positions(found, checkpoint, inputs) for found in (reference, outputs)
    )
    return Comparison(
        path=runner.name,
        precision=runner.precision,
        size=len(bytes(runner)),
        metric=metric,
        value=value,
        checkpoint_value=checkpoint_value,
        parity=outputs_difference(reference, outputs, runner),
        num_truncated=encoded.num_truncated, same_weights=_has_weights(runner, weights),
    )


def _compare_masked(
    checkpoint: Checkpoint, runner: Runner, text: PlainText, weights: str
) -> Comparison:
    modality = dataclasses.replace(checkpoint.modality, max_length=runner.max_length)
    found, expected, parity = compare_masked(checkpoint, runner, text, modality)
    name = checkpoint.task.metric.name
    return Comparison(
        path=runner.name, precision=runner.precision, size=len(bytes(runner)), metric=name,
        value=found[name], checkpoint_value=expected[name], parity=parity, num_truncated=0,
        same_weights=_has_weights(runner, weights),
    )  # fmt: skip
