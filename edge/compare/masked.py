"""Comparison of masked language models, whose outputs are too large to be held all at once."""

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np

from keras_transformer.edge.compare.parity import Parity, outputs_difference
from keras_transformer.edge.compare.probes import padded_outputs
from keras_transformer.edge.runtime.runner import Runner
from keras_transformer.zoo.checkpoint import Checkpoint
from keras_transformer.zoo.data.batches import NO_TARGET
from keras_transformer.zoo.data.rows import Rows
from keras_transformer.zoo.modalities.modality import Modality

# Blocks whose outputs are in memory at once, as in `by_position`.
_ROWS = 32


def compare_masked(
    checkpoint: Checkpoint, runner: Runner, text: Rows, modality: Modality
) -> tuple[dict[str, Any], dict[str, Any], Parity]:
    """Measures a file and its checkpoint on the same masks, or replacements, of a text.

    Args:
        checkpoint: checkpoint of masked, or of replaced pieces.
        runner: the file.
        text: plain text.
        modality: modality of the blocks, of the file's length.

    Returns:
        The metrics of the file and of the checkpoint, and the difference of their outputs at the
        pieces that are measured, see `joined`. Of replaced pieces the agreement is the share of
        which both say the same.
    """
    task: Any = checkpoint.task
    drawn = task.fixed(text, modality)
    scores, parities = (task.scores(), task.scores()), []
    for first in range(0, len(drawn.ids), _ROWS):
        targets = drawn.targets[first : first + _ROWS]
        inputs = {
            spec.name: spec.pad(drawn.ids[first : first + _ROWS], modality.max_length)
            for spec in checkpoint.inputs
        }
        both = runner.run(inputs), padded_outputs(checkpoint, inputs, modality.max_length)
        for score, outputs in zip(scores, both, strict=True):
            for values, expected in zip(outputs, targets, strict=True):
                score.add(values[: len(expected)], expected)
        found, reference = (_measured(outputs, targets) for outputs in both)
        parity = outputs_difference(reference, found, runner)
        if not task.restores:
            same = float(np.mean((found > 0) == (reference > 0)))
            parity = dataclasses.replace(parity, agreement=same)
        parities.append(parity)
    ours, theirs = (score.metrics() for score in scores)
    return ours, theirs, joined(parities)


def joined(parts: Sequence[Parity]) -> Parity:
    """Returns the parity of all rows of parts: shares of their rows, and the largest differences.

    What is relative to the outputs of a part is the largest of any part, too.
    """
    rows = [one.rows for one in parts]

    def share(name: str) -> float | None:
        values = [getattr(one, name) for one in parts]
        return None if None in values else float(np.average(values, weights=rows))

    largest = {
        name: max(getattr(one, name) for one in parts)
        for name in ("largest", "relative", "steps", "most_steps")
    }
    return Parity(
        rows=sum(rows), agreement=share("agreement"), departing=share("departing") or 0.0, **largest
    )


def _measured(outputs: np.ndarray, targets: Sequence[np.ndarray]) -> np.ndarray:
    """The outputs (pieces, outputs) that have a target, of all (rows, T, outputs)."""
    return np.concatenate(
        [
            values[: len(expected)][expected != NO_TARGET]
            for values, expected in zip(outputs, targets, strict=True)
        ]
    )
