"""Reads intermediate tensors of a TFLite signature while it runs."""

import dataclasses
from collections.abc import Collection, Iterator, Mapping
from itertools import chain

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from keras_transformer.edge.tflite.pieces import Pieces
from keras_transformer.edge.tflite.schema import op_name

_TYPES = schema.TensorType
_FLOAT, _INTEGERS = _TYPES.FLOAT32, (_TYPES.INT8, _TYPES.INT16)
# Ops of one computed input that keep its values, but for a constant or what a grid rounds.
_SAME = ("RESHAPE", "TRANSPOSE", "ADD", "QUANTIZE")
# Bytes of tensors that are computed at a time at least.
_LEAST = 64 << 20
# Pieces whose tensors are held.
_HELD = 3
_NARROW = {_TYPES.INT4, _TYPES.INT8, _TYPES.INT16, _TYPES.FLOAT16}


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Tensor:
    """The value of a tensor in one run.

    Attributes:
        values: dequantized values, float32.
        step: step of its grid; None where it is float.
    """

    values: np.ndarray
    step: float | None


class Computed(Mapping[int, Tensor]):
    """The tensors of one run by index, of which a large graph holds a few blocks' at a time.

    It runs piece by piece: those of three pieces are here, and where `reached` is told of one of
    the last, the next piece follows. The Keras model computes in about the same order.

    Args:
        pieces: pieces of the graph.
        outputs: names of the signature's own outputs by index.
        values: values of its inputs by index.
    """

    def __init__(
        self, pieces: Pieces, outputs: Mapping[int, str], values: dict[int, np.ndarray]
    ):
        self._pieces, self._names, self._values = pieces, outputs, values
        self._outputs: dict[str, np.ndarray] = {}
        self._recent: list[dict[int, Tensor]] = []
        # The same by size: a point's tensor is one of a few among thousands.
        self._sizes: list[dict[int, list[int]]] = []
        self._done = 0
        for _ in range(min(2, len(pieces))):
            self._advance()

    def __getitem__(self, place: int) -> Tensor:
        return next(part[place] for part in self._recent if place in part)

    def __iter__(self) -> Iterator[int]:
        return chain.from_iterable(self._recent)

    def __len__(self) -> int:
        return sum(map(len, self._recent))

    def of_size(self, size: int) -> Iterator[tuple[int, Tensor]]:
        """Those of so many values that are here, by index."""
        for part, sizes in zip(self._recent, self._sizes, strict=True):
            for place in sizes.get(size, ()):
                yield place, part[place]

    def reached(self, places: Collection[int]) -> None:
        """Says that a point has the values of these tensors, and all before them were compared."""
        if self._done < len(self._pieces) and self._recent[-1].keys() >= set(places):
            self._advance()

    def outputs(self) -> dict[str, np.ndarray]:
        """Runs what is left, and returns the signature's own outputs by name."""
        while self._done < len(self._pieces):
            self._advance()
        return {name: self._outputs[name] for name in self._names.values()}

    def _advance(self):
        del self._recent[: 1 - _HELD], self._sizes[: 1 - _HELD]
        found = self._pieces.run(self._done, self._values)
        self._done += 1
        self._outputs |= {
            name: found[place] for place, name in self._names.items() if place in found
        }
        self._recent.append({place: self._tensor(place, found.pop(place)) for place in list(found)})
        sizes: dict[int, list[int]] = {}
        for place, tensor in self._recent[-1].items():
            sizes.setdefault(tensor.values.size, []).append(place)
        self._sizes.append(sizes)

    def _tensor(self, place, values):
        if values.dtype == np.float32:
            return Tensor(values=values, step=None)
        step, zero_point = self._pieces.quantization[place]
        values = (values.astype(np.int32) - zero_point) * np.float32(step)
        return Tensor(values=values, step=float(step))


def unpacked(flatbuffer: bytes) -> schema.ModelT:
    """Returns a model in memory, for the `Inside` of each of its signatures."""
    return schema.ModelT.InitFromObj(schema.Model.GetRootAs(flatbuffer, 0))


class Inside:
    """Runs one signature of a file, and returns intermediate tensors with its outputs.

    They become outputs of the graph, so that the runtime computes them by its default kernels: an
    interpreter that preserves all tensors does not use XNNPACK, and the other kernels round twice.

    Args:
        model: the model, see `unpacked`; it stays as it is.
        signature: its name.
        tensors: indices of the tensors in the signature's graph; by default all computed ones that
            are float, or integers with one scale.
        most_pieces: most pieces that a large graph is run in, see `Computed`.

    Attributes:
        shapes: shapes of the signature's inputs by name.
        tensor_names: tensor names of the graph by index.
        projected: indices of the outputs of matmuls with a kernel, and of the same values in other
            shapes, with a constant added, or rounded to a grid.
        split: all of these indices.
    """

    def __init__(
        self, model: schema.ModelT, signature: str, tensors: Collection[int] | None = None, *,
        most_pieces: int = 1,
    ):  # fmt: skip
        [entry] = [one for one in model.signatureDefs if one.signatureKey.decode() == signature]
        graph = model.subgraphs[entry.subgraphIndex]
        self._names = {output.tensorIndex: output.name.decode() for output in entry.outputs}
        self.tensor_names = [tensor.name.decode() for tensor in graph.tensors]
        self.projected: dict[int, set[int]] = {}
        for op in graph.operators:
            name = op_name(model.operatorCodes[op.opcodeIndex])
            if name in ("FULLY_CONNECTED", "CONV_2D"):
                self.projected[int(op.outputs[0])] = {int(op.outputs[0])}
            # The converter may move a bias into a constant that is added after the matmul.
            given = [one for one in op.inputs.tolist() if not _is_constant(model, graph, one)]
            is_same = name in _SAME and len(given) == 1
            for same in self.projected.values() if is_same else ():
                if given[0] in same:
                    same.add(int(op.outputs[0]))
        self.split = set().union(*self.projected.values())
        self._sources = {
            output: [place for place in op.inputs.tolist() if place >= 0]
            for op in graph.operators
            for output in op.outputs.tolist()
        }
        self._types = [tensor.type for tensor in graph.tensors]
        exposed = set(_stored(graph, self._sources) if tensors is None else tensors)
        self._pieces = Pieces(
            model, entry, exposed | set(self._names), most=most_pieces, least_bytes=_LEAST
        )
        self._inputs = {one.name.decode(): one.tensorIndex for one in entry.inputs}
        self.shapes = {
            name: tuple(graph.tensors[place].shape.tolist())
            for name, place in self._inputs.items()
        }

    def run(self, inputs: Mapping[str, np.ndarray]) -> Computed:
        """Returns the tensors of a run on inputs by name."""
        values = {self._inputs[name]: value for name, value in inputs.items()}
        return Computed(self._pieces, self._names, values)

    def is_rounded(self, place: int, known: Collection[int]) -> bool:
        """Whether a float tensor is computed from known tensors with less than float32 precision.

        Args:
            place: index of the tensor.
            known: indices of the tensors whose values are known, at which the search stops.
        """
        ahead, seen = [place], set(known) - {place}
        while ahead:
            for source in self._sources.get(ahead.pop(), ()):
                if self._types[source] in _NARROW:
                    return True
                if source not in seen:
                    seen.add(source)
                    ahead.append(source)
        return False


def _is_constant(model, graph, place):
    """Whether a tensor's values are stored in the file; an index of -1 is an omitted input."""
    if place < 0:
        return True
    data = model.buffers[graph.tensors[place].buffer].data
    return data is not None and len(data) > 0


def _stored(graph, computed):
    """Indices of the computed tensors that are float, or integers with one scale."""
    for place in computed:
        tensor = graph.tensors[place]
        scale = tensor.quantization.scale if tensor.quantization is not None else None
        has_step = tensor.type in _INTEGERS and scale is not None and len(scale) == 1
        if tensor.type == _FLOAT or has_step:
            yield place
