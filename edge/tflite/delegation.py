"""Delegation: the ops of a loaded file that XNNPACK runs, and those of built-in kernels."""

import dataclasses
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

from ai_edge_litert.interpreter import Interpreter

from keras_transformer.zoo.errors import RunError

_DELEGATE = "DELEGATE"
_ABSENT = -1  # marks an optional input that is not given


@dataclasses.dataclass(frozen=True, kw_only=True)
class Delegation:
    """Partition of a graph between the delegate and the built-in kernels.

    Attributes:
        partitions: number of subgraphs that the delegate runs; values are passed between them.
        delegated: counts of the ops within them by name.
        outside: counts of the ops that the built-in kernels run, by name.
        outside_tensors: tensors produced by the ops outside.
        hidden_tensors: tensors that exist only within a partition.
    """

    partitions: int
    delegated: Counter
    outside: Counter
    outside_tensors: frozenset[int]
    hidden_tensors: frozenset[int]


def find_delegation(interpreter: Interpreter) -> Delegation:
    """Returns the delegation of an interpreter whose tensors are allocated."""
    return delegation_of(interpreter._get_ops_details())


def delegation_of(listed: Iterable[Mapping[str, Any]]) -> Delegation:
    """Returns the delegation of an interpreter's list of its ops, made once tensors are allocated.

    The interpreter lists the file's ops and, after them, one node for each partition with the
    tensors that enter and leave it. An op belongs to a partition exactly if a path leads back to it
    from the partition's outputs without passing its inputs.

    Raises:
        RunError: if an op belongs to neither side, so that the listing must have another meaning.
    """
    nodes, partitions = [], []
    for node in listed:
        inputs = [int(tensor) for tensor in node["inputs"] if tensor != _ABSENT]
        outputs = [int(tensor) for tensor in node["outputs"]]
        kind = partitions if node["op_name"] == _DELEGATE else nodes
        kind.append((node["op_name"], inputs, outputs))
    producer = {tensor: n for n, (_, _, outputs) in enumerate(nodes) for tensor in outputs}
    inside = set()
    for _, entering, leaving in partitions:
        waiting = [tensor for tensor in leaving if tensor in producer]
        while waiting:
            place = producer[waiting.pop()]
            if place not in inside:
                inside.add(place)
                before = set(nodes[place][1]) - set(entering)
                waiting.extend(tensor for tensor in before if tensor in producer)
    produced = {t for place in inside for t in nodes[place][2]}
    hidden = produced - {t for _, _, leaving in partitions for t in leaving}
    outside = [node for place, node in enumerate(nodes) if place not in inside]
    for name, inputs, _ in [*outside, *partitions]:
        if not hidden.isdisjoint(inputs):
            raise RunError(f"Cannot tell whether {name} runs in the delegate or outside of it.")
    return Delegation(
        partitions=len(partitions),
        delegated=Counter(nodes[place][0] for place in inside),
        outside=Counter(name for name, _, _ in outside),
        outside_tensors=frozenset(t for _, _, outputs in outside for t in outputs),
        hidden_tensors=frozenset(hidden),
    )
