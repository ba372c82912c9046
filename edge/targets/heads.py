"""Checks of a file of several tasks: each of its heads is checked as a file of its own."""

import dataclasses
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from keras_transformer.edge.compare.parity import Parity, runner_parity
from keras_transformer.edge.convert.convert import Graph, Request
from keras_transformer.edge.runtime.runner import Runner
from keras_transformer.edge.tflite.head_signatures import of_head
from keras_transformer.zoo.checkpoint import Checkpoint

# What a file's description says of each head.
DESCRIBED = (
    "task", "labels", "output_kind", "columns", "output_step", "layers", "simulated", "metrics",
)  # fmt: skip


def head_parts(
    request: Request, graph: Graph, lengths: Sequence[int], flatbuffer: bytes
) -> Iterator[tuple[str, Request, Graph, bytes]]:
    """Yields each head's name, and what a file of it alone would be made of.

    Args:
        request: of the file of several.
        graph: what it was converted from and to.
        lengths: of its inputs.
        flatbuffer: its graphs.
    """
    checkpoint, rounded = request.checkpoint, _rounded(request, graph)
    for name in checkpoint.head_names:
        own = rounded.head(name)
        yield (
            name, dataclasses.replace(request, checkpoint=checkpoint.head(name)),
            dataclasses.replace(graph, model=own.model, kept=own.keep),
            of_head(flatbuffer, name, lengths),
        )  # fmt: skip


def heads_parity(request: Request, graph: Graph, data: bytes, *, follows: bool) -> Parity:
    """Returns the largest differences of any head, see `runner_parity`.

    Args:
        request, graph: see `head_parts`.
        data: the file.
        follows: whether the checkpoint's own model is the reference, not that which rounds.
    """
    checkpoint = request.checkpoint if follows else _rounded(request, graph)
    runner, heads = Runner(data), map(checkpoint.head, checkpoint.head_names)
    return joined(
        [
            runner_parity(own.model, own, runner.head(name))
            for name, own in zip(checkpoint.head_names, heads, strict=True)
        ]
    )


def _rounded(request: Request, graph: Graph) -> Checkpoint:
    """The checkpoint with the model that the file must match."""
    checkpoint = request.checkpoint
    if graph.model is checkpoint.model:
        return checkpoint
    return dataclasses.replace(
        checkpoint, model=graph.model, bits=request.precision.bits, keep=graph.kept
    )


def joined(parities: Sequence[Parity]) -> Parity:
    """Returns one parity whose every difference is the largest of several."""

    def most(name: str) -> Any:
        return max(getattr(one, name) for one in parities)

    def least(name: str) -> Any:
        values = [getattr(one, name) for one in parities if getattr(one, name) is not None]
        return min(values, default=None)

    # A cosine stands in place of other differences where all outputs are vectors.
    are_vectors = all(one.cosine is not None for one in parities)
    return Parity(
        rows=int(np.sum([one.rows for one in parities])), agreement=least("agreement"),
        largest=most("largest"), relative=most("relative"), steps=most("steps"),
        most_steps=most("most_steps"), cosine=least("cosine") if are_vectors else None,
        departing=most("departing"),
    )  # fmt: skip
