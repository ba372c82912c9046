"""The graphs of a `.tflite` file, read without LiteRT from bytes that nobody vouches for.

What is returned is whole in itself: every index points at something, every constant has the bytes
that its shape and its type ask for, every op reads what was made before it. Imports only the
standard library and NumPy.
"""

import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from keras_transformer.edge.runtime.checks.scales import read_blocks, read_scales
from keras_transformer.edge.runtime.checks.tables import Damaged, Table, root

# The schema's numbers of the types, with their bits. Others are no tensor's that `convert` writes.
TYPES = {
    0: ("FLOAT32", 32), 1: ("FLOAT16", 16), 2: ("INT32", 32), 3: ("UINT8", 8), 4: ("INT64", 64),
    5: ("STRING", 0), 6: ("BOOL", 8), 7: ("INT16", 16), 9: ("INT8", 8), 10: ("FLOAT64", 64),
    12: ("UINT64", 64), 15: ("UINT32", 32), 16: ("UINT16", 16), 17: ("INT4", 4), 19: ("INT2", 2),
}  # fmt: skip
CUSTOM = 32
_VERSION = 3
ABSENT = -1  # stands for an optional input that is not given
_MOST = {"subgraphs": 256, "tensors": 100_000, "ops": 100_000, "buffers": 400_000}
_MOST_ELEMENTS, _MOST_RANK = 1 << 31, 8


class Tensor(NamedTuple):
    """A tensor of a graph.

    Attributes:
        name: in the file.
        type: such as `INT8`.
        shape: with 1 where it is not fixed.
        signature: the shape with -1 where it is not fixed.
        constant: its bytes; None of what is given or computed.
        buffer: where they stand.
        scales, zero_points: of integers: one, or one for each place of an axis.
        blocks: of an integer constant with a scale for each stretch of its last axis: the tensor
            of the scales, that of the zero points, and the elements of a stretch.
    """

    name: str
    type: str
    shape: tuple[int, ...]
    signature: tuple[int, ...]
    constant: np.ndarray | None
    buffer: int
    scales: np.ndarray | None
    zero_points: np.ndarray | None
    blocks: tuple[int, int, int] | None = None

    @property
    def size(self) -> int:
        """How many elements it has."""
        return math.prod(self.shape)

    def integers(self) -> list[int] | None:
        """The values of a constant of int32 or int64."""
        if self.constant is None or self.type not in ("INT32", "INT64"):
            return None
        return self.constant.view("<i4" if self.type == "INT32" else "<i8").tolist()


class Op(NamedTuple):
    """An op: its number in the schema, its tensors, its options and, of a custom op, its name."""

    code: int
    custom: str
    inputs: list[int]
    outputs: list[int]
    options: Table | None

    def option(self, number: int, kind: str = "int32", default: int = 0) -> int:
        """Returns a number among the options, which are absent where all are their defaults."""
        return default if self.options is None else self.options.scalar(number, kind, default)


class Graph(NamedTuple):
    """A subgraph."""

    tensors: list[Tensor]
    inputs: list[int]
    outputs: list[int]
    ops: list[Op]


class Signature(NamedTuple):
    """A signature: its graph, and the places of its tensors there by name."""

    graph: int
    inputs: Mapping[str, int]
    outputs: Mapping[str, int]


class Model(NamedTuple):
    """A file's graphs, and its signatures by name."""

    graphs: list[Graph]
    signatures: dict[str, Signature]

    def tensor(self, signature: str, name: str) -> Tensor | None:
        """Returns an input or an output of a signature by its name there."""
        found = self.signatures[signature]
        place = found.inputs.get(name, found.outputs.get(name))
        return None if place is None else self.graphs[found.graph].tensors[place]


def read_model(flatbuffer: bytes) -> Model:
    """Reads the graphs of a flatbuffer.

    Raises:
        Damaged: something in it does not fit.
    """
    model = root(flatbuffer)
    version = model.scalar(0, "uint32")
    if version != _VERSION:
        raise Damaged(f"it is of TFLite's version {version}, not {_VERSION}")
    if model.has(8) or model.has(9):
        raise Damaged("it refers to buffers of other files")
    codes = [_code(one) for one in model.tables(1, _MOST["ops"])]
    buffers = [_bytes(one) for one in model.tables(4, _MOST["buffers"])]
    if not buffers or len(buffers[0]):
        raise Damaged("its buffer 0, of all that is computed, is not there or not empty")
    graphs = [_graph(one, codes, buffers) for one in model.tables(2, _MOST["subgraphs"])]
    if not graphs:
        raise Damaged("it has no graph")
    for one in model.tables(6, _MOST["buffers"]):
        one.text(0)
        _check_index("buffer of its metadata", one.scalar(1, "uint32"), len(buffers))
    signatures = {}
    for one in model.tables(7, _MOST["subgraphs"]):
        name = one.text(2)
        if name in signatures:
            raise Damaged(f"it has two signatures {name!r}")
        signatures[name] = _signature(name, one, graphs)
    return Model(graphs, signatures)


def _check_index(what: str, index: int, count: int) -> None:
    if not 0 <= index < count:
        raise Damaged(f"a {what} is number {index} of {count}")


def _code(table: Table) -> tuple[int, str]:
    # Old writers fill only the deprecated 8-bit field.
    return max(table.scalar(3, "int32"), table.scalar(0, "int8")), table.text(1)


def _bytes(table: Table) -> np.ndarray:
    if table.scalar(1, "uint64") > 1:
        raise Damaged("a buffer stands outside the flatbuffer")
    data = table.array(0, "uint8")
    return np.empty(0, np.uint8) if data is None else data


def _graph(table: Table, codes: Sequence[tuple[int, str]], buffers: Sequence[np.ndarray]) -> Graph:
    tensors = [_tensor(one, buffers) for one in table.tables(0, _MOST["tensors"])]
    for one in tensors:
        if one.blocks is not None:
            _check_blocks(one, tensors)
    inputs, outputs = table.numbers(1), table.numbers(2)
    ops = [_op(one, codes) for one in table.tables(3, _MOST["ops"])]
    count = len(tensors)
    made = [one.constant is not None for one in tensors]
    for place in inputs:
        _check_index("graph's input", place, count)
        if made[place]:
            raise Damaged(f"an input of a graph, tensor {place}, is a constant or given twice")
        made[place] = True
    for number, op in enumerate(ops):
        for place in op.inputs:
            if place == ABSENT:
                continue
            _check_index(f"tensor that op {number} reads", place, count)
            if not made[place]:
                raise Damaged(f"op {number} reads tensor {place} before it is made")
        for place in op.outputs:
            _check_index(f"tensor that op {number} makes", place, count)
            if made[place]:
                raise Damaged(f"op {number} makes tensor {place}, which is there before it")
            made[place] = True
    for place in outputs:
        _check_index("graph's output", place, count)
        if not made[place]:
            raise Damaged(f"an output of a graph, tensor {place}, is made by no op")
    return Graph(tensors, inputs, outputs, ops)


def _tensor(table: Table, buffers: Sequence[np.ndarray]) -> Tensor:
    kind = table.scalar(1, "int8")
    if kind not in TYPES:
        raise Damaged(f"a tensor is of type {kind}")
    type_name, bits = TYPES[kind]
    shape = tuple(table.numbers(0))
    size = math.prod(shape)
    if len(shape) > _MOST_RANK or min(shape, default=0) < 0 or size > _MOST_ELEMENTS:
        raise Damaged(f"a tensor has the shape {list(shape)[: _MOST_RANK + 1]}")
    signature = tuple(table.numbers(7)) if table.has(7) else shape
    if len(signature) != len(shape) or any(
        many not in (-1, one) for many, one in zip(signature, shape, strict=True)
    ):
        raise Damaged(f"a tensor has the shape {list(shape)} and another one for callers")
    if table.scalar(5, "bool") or table.has(6) or table.has(9) or table.scalar(10, "uint32"):
        raise Damaged("a tensor is a variable, sparse, of many types or outside the file")
    buffer = table.scalar(2, "uint32")
    _check_index("buffer of a tensor", buffer, len(buffers))
    data = buffers[buffer]
    constant = data if len(data) else None
    if constant is not None:
        if type_name == "STRING":
            _check_strings(data, size)
        elif len(data) != -(-size * bits // 8):
            raise Damaged(
                f"a constant of {type_name} and the shape {list(shape)} has {len(data)} bytes"
            )
    elif buffer and 0 in shape:
        constant = data
    quantization = table.table(4)
    blocks = None if quantization is None else read_blocks(quantization)
    scales = zero_points = None
    if quantization is not None and blocks is None:
        scales, zero_points = read_scales(quantization, type_name, shape)
    return Tensor(
        table.text(3), type_name, shape, signature, constant, buffer, scales, zero_points, blocks
    )  # fmt: skip


def _check_strings(data: np.ndarray, size: int) -> None:
    """Raises Damaged unless these are `size` strings as TFLite keeps them."""
    raw = data.tobytes()
    count = int.from_bytes(raw[:4], "little")
    head = 4 * (count + 2)
    if count != size or head > len(raw):
        raise Damaged(f"a constant of {size} strings has {len(raw)} bytes")
    bounds = np.frombuffer(raw, "<i4", count + 1, 4)
    if bounds[0] != head or bounds[-1] != len(raw) or (np.diff(bounds) < 0).any():
        raise Damaged("a constant's strings lie outside it")


def _check_blocks(tensor: Tensor, tensors: Sequence[Tensor]) -> None:
    """Raises Damaged unless the scales of a tensor's blocks are constants that fit it."""
    scales, _, size = tensor.blocks
    _check_index("tensor of scales", scales, len(tensors))
    found = tensors[scales]
    if (
        size < 1 or not tensor.shape or tensor.shape[-1] % size or tensor.constant is None
        or found.constant is None or found.type not in ("FLOAT16", "FLOAT32")
        or found.size != tensor.size // size
    ):  # fmt: skip
        raise Damaged(
            f"a tensor of the shape {list(tensor.shape)} has {found.size} scales of blocks of "
            f"{size}"
        )
    values = found.constant.view("<f2" if found.type == "FLOAT16" else "<f4")
    if not np.isfinite(values).all():
        raise Damaged("a tensor has scales of blocks that are not finite")


def _op(table: Table, codes: Sequence[tuple[int, str]]) -> Op:
    index = table.scalar(0, "uint32")
    _check_index("kind of an op", index, len(codes))
    if table.has(9) and table.scalar(9, "uint64"):
        raise Damaged("an op has options outside the flatbuffer")
    code, custom = codes[index]
    for number in (7, 8):
        if table.has(number) and (found := table.array(number, "uint8")) is not None and len(found):
            raise Damaged("an op changes what it reads, or has tensors of its own")
    table.array(5, "uint8")
    table.table(12)
    return Op(code, custom, table.numbers(1), table.numbers(2), table.table(4))


def _signature(name: str, table: Table, graphs: Sequence[Graph]) -> Signature:
    index = table.scalar(4, "uint32")
    _check_index(f"graph of the signature {name!r}", index, len(graphs))
    graph = graphs[index]
    ends = []
    for number, places, what in ((0, graph.inputs, "input"), (1, graph.outputs, "output")):
        named = {}
        for one in table.tables(number, _MOST["tensors"]):
            end, place = one.text(0), one.scalar(1, "uint32")
            if place not in places or end in named:
                raise Damaged(
                    f"the signature {name!r} has an {what} {end!r} that its graph has not"
                )
            named[end] = place
        if set(named.values()) != set(places):
            raise Damaged(f"the signature {name!r} does not name each {what} of its graph")
        ends.append(named)
    return Signature(index, *ends)
