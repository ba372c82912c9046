"""How closely `.tflite` files follow the checkpoint that they were converted from."""

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from keras_transformer.edge.compare.layers import LayerDifference, explain
from keras_transformer.edge.compare.parity import Parity, outputs_difference, runner_parity
from keras_transformer.edge.runtime.runner import Runner
from keras_transformer.zoo.checkpoint import Checkpoint
from keras_transformer.zoo.data.pairs import SentencePairs
from keras_transformer.zoo.data.tables import Examples
from keras_transformer.zoo.errors import InputError
from keras_transformer.zoo.evaluation.text_metrics import text_metrics
from keras_transformer.zoo.models.predict import PREDICT_TOKENS, model_inputs
from keras_transformer.zoo.tokenizers.tokenizer_files import tokenizers_to_files


@dataclasses.dataclass(frozen=True, kw_only=True)
class Comparison:
    """One file beside the checkpoint's own forward pass, on the same rows and the same padding.

    Attributes:
        path: of the file.
        precision: of the file.
        size: bytes of the file.
        metric: name of the task's deciding metric.
        value: that metric of the file.
        checkpoint_value: that metric of the checkpoint; a quantized one simulates int8.
        parity: the difference of their outputs.
        num_truncated: rows that were cut to the file's length.
    """

    path: str
    precision: str
    size: int
    metric: str
    value: float
    checkpoint_value: float
    parity: Parity
    num_truncated: int

    def to_json(self) -> dict[str, Any]:
        """Returns the values as an object that JSON can hold."""
        return dataclasses.asdict(self)


def compare(
    checkpoint: Checkpoint,
    files: Sequence[str | Path],
    examples: Examples,
    *,
    threads: int = 1,
) -> list[Comparison]:
    """Runs every row through the checkpoint and through each file.

    Args:
        checkpoint: the checkpoint; its own forward pass is the reference, for an int8 file that
            calibration alone made too.
        files: paths of converted files.
        examples: labelled rows.
        threads: that the interpreter may use.

    Raises:
        FileNotFoundError: there is no such file.
        InputError: a file is not one of ours or of another model, or the rows have no labels.
    """
    if examples.targets is None:
        raise InputError(f"{examples.path}: expected a label column to compare on.")
    runners = [Runner(path, threads=threads) for path in files]
    for runner in runners:
        _check_same_model(checkpoint, runner)
    references: dict[int, np.ndarray] = {}
    return [_compare(checkpoint, runner, examples, references) for runner in runners]


def compare_texts(
    checkpoint: Checkpoint,
    files: Sequence[str | Path],
    pairs: SentencePairs,
    *,
    threads: int = 1,
    **decoding: Any,
) -> list[Comparison]:
    """Compares the texts that files write with those that the checkpoint writes.

    Args:
        checkpoint: a checkpoint of translation.
        files: paths of converted files.
        pairs: sources, and the targets that BLEU is measured on.
        threads: that the interpreter may use.
        **decoding: how tokens are chosen, see `Decoding`.

    Returns:
        For each file BLEU, the share of sources with the same text (the parity's agreement), and
        the difference of logits on the checkpoint's probes.

    Raises:
        FileNotFoundError, InputError: as `compare`.
    """
    runners = [Runner(path, threads=threads) for path in files]
    for runner in runners:
        _check_same_model(checkpoint, runner)
    expected = [one.text for one in checkpoint.generator().generate(pairs.sources, **decoding)]
    reference = text_metrics(expected, pairs.targets)["bleu"]
    compared = []
    for runner in runners:
        texts = runner.generate(pairs.sources, **decoding)
        same = sum(a == b for a, b in zip(texts, expected, strict=True)) / len(texts)
        parity = runner_parity(checkpoint.model, checkpoint, runner)
        compared.append(
            Comparison(
                path=str(runner.path), precision=runner.precision,
                size=runner.path.stat().st_size, metric="bleu",
                value=text_metrics(texts, pairs.targets)["bleu"], checkpoint_value=reference,
                parity=dataclasses.replace(parity, rows=len(texts), agreement=same),
                num_truncated=runner.num_truncated,
            )  # fmt: skip
        )
    return compared


def compare_layers(
    checkpoint: Checkpoint, files: Sequence[str | Path], inputs: Mapping[str, Sequence[np.ndarray]]
) -> dict[str, list[LayerDifference]]:
    """Says of each file how far every layer is from the checkpoint's, see `explain`.

    Args:
        checkpoint: the checkpoint.
        files: paths of converted files.
        inputs: rows of the model's inputs by name.

    Returns:
        The layers by the file's path, in the order in which they run.

    Raises:
        FileNotFoundError: there is no such file.
        InputError: a file is not one of ours or of another model, or see `explain`.
    """
    runners = [Runner(path) for path in files]
    for runner in runners:
        _check_same_model(checkpoint, runner)
    return {str(runner.path): explain(checkpoint, runner, inputs) for runner in runners}


def _check_same_model(checkpoint: Checkpoint, runner: Runner) -> None:
    """Raises InputError for a file of another task, other labels or another vocabulary."""
    ours = {
        "task": checkpoint.task.to_json(),
        "labels": list(checkpoint.labels),
        "model": checkpoint.config.to_json(),
        "tokenizer": checkpoint.tokenizer_files(),
    }
    theirs = {
        "task": runner.description["task"],
        "labels": list(runner.labels),
        "model": runner.description["model"],
        "tokenizer": tokenizers_to_files(runner.tokenizer, runner.target_tokenizer),
    }
    for name, value in ours.items():
        if theirs[name] != value:
            raise InputError(
                f"{runner.path} was converted from another checkpoint: they differ in {name}."
            )


def _compare(
    checkpoint: Checkpoint, runner: Runner, examples: Examples, references: dict[int, np.ndarray]
) -> Comparison:
    """Compares one file; references are the checkpoint's outputs by length, made when missing."""
    length = runner.max_length
    encoded = checkpoint.tokenizer.encode(examples.texts, examples.pairs, max_length=length)
    ids, segment_ids = encoded.pad(length)
    if length not in references:
        references[length] = _padded_outputs(checkpoint, ids, segment_ids)
    reference = references[length]
    outputs = runner.run_ids(ids, segment_ids)
    return Comparison(
        path=str(runner.path),
        precision=runner.precision,
        size=runner.path.stat().st_size,
        metric=checkpoint.task.deciding_metric,
        value=_value(checkpoint, examples, outputs),
        checkpoint_value=_value(checkpoint, examples, reference),
        parity=outputs_difference(reference, outputs, runner),
        num_truncated=encoded.num_truncated,
    )


def _padded_outputs(checkpoint: Checkpoint, ids: np.ndarray, segment_ids: np.ndarray) -> np.ndarray:
    """The checkpoint's outputs (rows, outputs) for ids (rows, T), padding and all.

    Nothing is cut to shorter batches: a quantized position is rounded, padding or not, and the
    file sees them all.
    """
    rows = max(1, PREDICT_TOKENS // ids.shape[1])
    parts = []
    for start in range(0, len(ids), rows):
        part = slice(start, start + rows)
        inputs: Mapping[str, np.ndarray] = model_inputs(
            checkpoint.task, {"ids": ids[part], "segment_ids": segment_ids[part]}
        )
        parts.append(np.asarray(checkpoint.model.predict_on_batch(inputs)))
    return np.concatenate(parts)


def _value(checkpoint: Checkpoint, examples: Examples, outputs: np.ndarray) -> float:
    found = checkpoint.task.metrics(examples.targets, outputs)
    return found[checkpoint.task.deciding_metric]
