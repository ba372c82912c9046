"""Marks: constants that stand for large weights while a graph is converted.

The converter copies constants many times over. It is given marks in place of kernels and tables,
and the weights are written into the file that it returns, one by one. A mark is 1 in the first
place of an axis and its own ratio in all others, so that it is recognized after the converter has
transposed it or multiplied it by a factor of each channel, which is then read from it. The only
mark of a shape, such as a table, is 1 everywhere: the converter stores that as one number. A large
table has fewer rows meanwhile, as the converter makes all numbers of it in some passes.

Blocks run one after another, and their kernels of one name share a mark: the first op that reads it
is block 0's. Weights of which this is not known have a mark each.
"""

import dataclasses
from collections.abc import Callable, Sequence

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from keras_transformer.edge.tflite.schema import op_name
from keras_transformer.zoo.errors import RunError

# The ratio of a mark is 1 + number / _PARTS: up to so many marks differ in every factor of float32.
_PARTS = 1 << 16
_NEAR = 0.25 / _PARTS


@dataclasses.dataclass(frozen=True, kw_only=True)
class Mark:
    """A constant that stands for weights of one shape.

    Attributes:
        number: its number, from 1.
        paths: paths of the weights, in the order in which a graph reads them.
        shape: shape of each weight, a matrix, or a vector beside a table with fewer `rows`.
        axis: axis of the weights that a matmul sums over, of at least 2.
        is_alone: whether no other mark has its shape or the transposed one, which is another.
        rows: number of rows that stand for all in the graph, where it is no other size; None for
            all.
    """

    number: int
    paths: tuple[str, ...]
    shape: tuple[int, ...]
    axis: int
    is_alone: bool
    rows: int | None = None

    @property
    def traced_shape(self) -> tuple[int, ...]:
        """The shape of the constant."""
        return (self.rows or self.shape[0], *self.shape[1:])

    @property
    def ratio(self) -> float:
        """The number in all places of the axis but the first."""
        return 1.0 if self.is_alone else 1.0 + self.number / _PARTS

    def values(self) -> np.ndarray:
        """Returns the constant, float32."""
        values = np.full(self.traced_shape, self.ratio, np.float32)
        np.moveaxis(values, self.axis, 0)[0] = 1.0
        return values


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class _Origin:
    """What a constant of the file is: a weight, maybe transposed, times a factor per channel."""

    path: str
    is_transposed: bool
    factors: np.ndarray


class Constants:
    """The float32 constants of a file, with the values of the weights that marks stand for.

    Args:
        model: model of the file, whose marks become constants of their own.
        marks: marks that its graphs were converted with.
        weight: function that returns the array of a weight by its path.

    Raises:
        RunError: if a mark is in no graph, or is read more often than it stands for weights.
    """

    def __init__(
        self, model: schema.ModelT, marks: Sequence[Mark] = (),
        weight: Callable[[str], np.ndarray] | None = None,
    ):  # fmt: skip
        self._model, self._weight = model, weight
        self._origins: dict[int, _Origin] = {}
        self._buffers: dict[tuple, int] = {}
        found = set()
        by_shape: dict[tuple[int, ...], list[Mark]] = {}
        for mark in marks:
            for shape in {mark.traced_shape, mark.traced_shape[::-1]}:
                by_shape.setdefault(shape, []).append(mark)
        for graph in model.subgraphs if marks else ():
            places = {
                place: known
                for place, tensor in enumerate(graph.tensors)
                if (known := self._recognized(tensor, by_shape)) is not None
            }
            found |= {mark.number for mark, _, _ in places.values()}
            self._separate(graph, places)
            for rows, size in {one.rows: one.shape[0] for one in marks if one.rows}.items():
                self._restore(graph, rows, size)
        for mark in marks:
            if mark.number not in found:
                raise RunError(
                    f"Expected a constant for {mark.paths[0]} in the converted graph, found none."
                )

    def values(self, tensor: schema.TensorT) -> np.ndarray | None:
        """Returns the values of a float32 constant, or None if the tensor is not one."""
        shape = () if tensor.shape is None else tuple(int(size) for size in tensor.shape)
        origin = self._origins.get(tensor.buffer)
        if origin is not None:
            values = self._weight(origin.path)
            return (values.T if origin.is_transposed else values) * origin.factors
        values = self._stored(tensor)
        return None if values is None else values.reshape(shape)

    def is_constant(self, tensor: schema.TensorT) -> bool:
        """Whether a tensor is a constant."""
        data = self._model.buffers[tensor.buffer].data
        return tensor.buffer in self._origins or (data is not None and len(data) > 0)

    def fill(self) -> None:
        """Writes the weights into the constants that stand for them."""
        for graph in self._model.subgraphs:
            for tensor in graph.tensors:
                if tensor.buffer in self._origins:
                    values = np.ascontiguousarray(self.values(tensor), np.float32)
                    self._model.buffers[tensor.buffer].data = values.reshape(-1).view(np.uint8)
                    del self._origins[tensor.buffer]

    def _stored(self, tensor):
        data = self._model.buffers[tensor.buffer].data
        if data is None or not len(data):
            return None
        return np.frombuffer(np.asarray(data, np.uint8).tobytes(), np.float32)

    def _recognized(self, tensor, by_shape):
        """The mark of a constant, whether it is transposed, and its factors; None of others."""
        shape = () if tensor.shape is None else tuple(int(size) for size in tensor.shape)
        marks = by_shape.get(shape)
        if marks is None or tensor.type != schema.TensorType.FLOAT32:
            return None
        values = self._stored(tensor)
        if values is None:
            return None
        values = values.reshape(shape)
        for mark in marks:
            if len(shape) == 1:
                if (values == mark.ratio).all():
                    return mark, False, np.ones(1, np.float32)
                continue
            # Of those that are alone the shape says which axis it is.
            for axis in (shape.index(mark.traced_shape[mark.axis]),) if mark.is_alone else range(2):
                rows = np.moveaxis(values, axis, 0)
                is_transposed = axis != mark.axis
                found = shape[::-1] if is_transposed else shape
                if found != mark.traced_shape or len(rows) < 2:
                    continue
                if not np.all(np.abs(rows[1] - mark.ratio * rows[0]) < _NEAR * np.abs(rows[0])):
                    continue
                factors = rows[0].copy()
                if not (rows[1:] == rows[1]).all():
                    continue
                if mark.rows is not None:
                    if np.ptp(factors):
                        continue
                    factors = np.full(mark.shape[1 - mark.axis], factors[0], np.float32)
                return mark, is_transposed, np.expand_dims(factors, axis)
        return None

    def _separate(self, graph, places):
        """Gives each weight that a graph reads a tensor of its own."""
        read: dict[int, int] = {}
        separate: dict[tuple[int, str], int] = {}
        used = set()
        for op in graph.operators:
            inputs = [] if op.inputs is None else op.inputs.tolist()
            for slot, place in enumerate(inputs):
                if place not in places:
                    continue
                mark, is_transposed, factors = places[place]
                number = read.get(mark.number, 0) if len(mark.paths) > 1 else 0
                if number == len(mark.paths):
                    raise RunError(
                        f"Expected {mark.paths[0]} and its like to be read {number} times in the "
                        "converted graph, got more."
                    )
                read[mark.number] = number + 1
                path = mark.paths[number]
                if (place, path) not in separate:
                    separate[place, path] = self._tensor(graph, place, is_first=place not in used)
                    used.add(place)
                    tensor = graph.tensors[separate[place, path]]
                    if len(mark.shape) > 1:
                        tensor.buffer = self._buffer(path, is_transposed, factors)
                    else:
                        self._origins[tensor.buffer] = _Origin(
                            path=path, is_transposed=False, factors=factors
                        )
                inputs[slot] = separate[place, path]
            if op.inputs is not None:
                op.inputs = np.array(inputs, np.int32)

    def _restore(self, graph, rows, size):
        """Gives the sizes that are a number of rows the number of all rows."""

        def restored(sizes):
            if sizes is None:
                return None
            return np.where(np.equal(sizes, rows), size, sizes).astype(np.int32)

        for tensor in graph.tensors:
            tensor.shape = restored(tensor.shape)
            tensor.shapeSignature = restored(tensor.shapeSignature)
        for op in graph.operators:
            for slot, place in enumerate([] if op.inputs is None else op.inputs.tolist()):
                tensor = graph.tensors[place]
                data = self._model.buffers[tensor.buffer].data
                if place < 0 or data is None or tensor.type != schema.TensorType.INT32:
                    continue
                values = np.asarray(data, np.uint8).view(np.int32)
                if rows not in values:
                    continue
                if op_name(self._model.operatorCodes[op.opcodeIndex]) != "RESHAPE" or slot != 1:
                    raise RunError(
                        f"Expected {rows} in the converted graph to be the size of a tensor alone, "
                        f"got it as a value of {tensor.name.decode()}."
                    )
                self._model.buffers[tensor.buffer].data = restored(values).view(np.uint8)
            if isinstance(op.builtinOptions, schema.ReshapeOptionsT):
                op.builtinOptions.newShape = restored(op.builtinOptions.newShape)

    def _tensor(self, graph, place, *, is_first):
        """The place of the constant itself for its first weight, of a copy for the others."""
        if is_first:
            return place
        old, tensor = graph.tensors[place], schema.TensorT()
        tensor.name, tensor.type = old.name, old.type
        tensor.shape, tensor.shapeSignature = old.shape, old.shapeSignature
        graph.tensors.append(tensor)
        return len(graph.tensors) - 1

    def _buffer(self, path, is_transposed, factors):
        """The buffer of a weight, which signatures share."""
        key = path, is_transposed, factors.tobytes()
        if key not in self._buffers:
            self._buffers[key] = len(self._model.buffers)
            self._model.buffers.append(schema.BufferT())
            self._origins[self._buffers[key]] = _Origin(
                path=path, is_transposed=is_transposed, factors=factors
            )
        return self._buffers[key]
