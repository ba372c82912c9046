"""Checks the graphs of a file before LiteRT sees them, which trusts what it reads."""

from collections.abc import Sequence
from typing import NamedTuple

from keras_transformer.edge.runtime.checks.graph import (
    ABSENT,
    TYPES,
    Graph,
    Model,
    Tensor,
    read_model,
)
from keras_transformer.edge.runtime.checks.op_rules import MULTIPLY, RULES, check_op, work
from keras_transformer.edge.runtime.checks.scales import is_rescaled
from keras_transformer.edge.runtime.checks.tables import Damaged
from keras_transformer.zoo.errors import InputError

_BITS = dict(TYPES.values())
# What a file of so many bytes may take: bytes of what is computed at one time, and multiplications.
_MEMORY, _MEMORY_PER_BYTE = 1 << 30, 8
_WORK, _WORK_PER_BYTE = 30_000_000_000, 4_000


class Verified(NamedTuple):
    """A file's graphs, and whether each op of them is one whose shapes and scales were checked."""

    model: Model
    is_ruled: bool


def verify(flatbuffer: bytes, name: str) -> Verified:
    """Reads and checks the graphs of a file.

    Args:
        flatbuffer: of `unpack`.
        name: of the file, for messages.

    Raises:
        InputError: in a sentence, what in it does not fit together or would take too much.
    """
    try:
        model = read_model(flatbuffer)
        ruled = [_check_graph(graph, len(flatbuffer)) for graph in model.graphs]
    except Damaged as error:
        raise InputError(f"{name} is damaged: {error}.") from None
    return Verified(model, all(ruled))


def _check_graph(graph: Graph, size: int) -> bool:
    """Whether each op is one whose shapes and scales were checked."""
    # What depends on how much a caller gives is worked out by LiteRT alone.
    is_fixed = all(one.signature == one.shape for one in graph.tensors)
    is_ruled = is_fixed
    done = 0
    for op in graph.ops:
        if op.code not in RULES:
            is_ruled = False
            continue
        if is_fixed:
            name, rule = RULES[op.code]
            check_op(name, rule, op, graph.tensors)
        given = [None if place == ABSENT else graph.tensors[place] for place in op.inputs]
        made = [graph.tensors[place] for place in op.outputs]
        is_ruled &= is_rescaled(given, made, multiplies=op.code in MULTIPLY)
        done += work(op, graph.tensors)
    memory = _peak_memory(graph)
    for what, found, most in (
        ("bytes of memory", memory, _MEMORY + _MEMORY_PER_BYTE * size),
        ("multiplications", done, _WORK + _WORK_PER_BYTE * size),
    ):
        if found > most:
            raise Damaged(f"a graph takes {found} {what}, more than {most} in a file of its size")
    return is_ruled


def _peak_memory(graph: Graph) -> int:
    """The most bytes of tensors that are held at one time."""
    last = {}
    for number, op in enumerate(graph.ops):
        for place in (*op.inputs, *op.outputs):
            last[place] = number
    ends = {*graph.inputs, *graph.outputs}
    held = peak = sum(_bytes(graph.tensors, place) for place in graph.inputs)
    for number, op in enumerate(graph.ops):
        held += sum(_bytes(graph.tensors, place) for place in op.outputs if place not in ends)
        held += sum(_bytes(graph.tensors, p) for p in op.outputs if p in graph.outputs)
        peak = max(peak, held)
        gone = {place for place in (*op.inputs, *op.outputs) if last[place] == number}
        held -= sum(_bytes(graph.tensors, place) for place in gone - ends)
    return peak


def _bytes(tensors: Sequence[Tensor], place: int) -> int:
    if place < 0 or tensors[place].constant is not None:
        return 0
    return tensors[place].size * _BITS[tensors[place].type] // 8
