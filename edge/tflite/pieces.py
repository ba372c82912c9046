"""Pieces of a signature's graph that run one after another, each in an interpreter of its own."""

import copy
import math
from collections.abc import Collection

import numpy as np
from ai_edge_litert import schema_py_generated as schema
from ai_edge_litert.interpreter import Interpreter

from keras_transformer.edge.tflite.compact import to_bytes

_RUN = b"run"
_CELL = 4


class Pieces:
    """A signature's graph in pieces, of which some tensors are outputs.

    All tensors that are outputs are in memory at once, so that those of a large graph are not asked
    for in one run.

    Args:
        model: model of the file.
        entry: definition of the signature.
        exposed: indices of the tensors that are outputs.
        most: most pieces.
        least_bytes: bytes of the tensors that each but the last computes, at least.

    Attributes:
        quantization: scale and zero point of each exposed tensor that was computed, by index.
    """

    def __init__(
        self, model: schema.ModelT, entry: schema.SignatureDefT, exposed: Collection[int], *,
        most: int, least_bytes: int,
    ):  # fmt: skip
        self._model = model
        self._graph = model.subgraphs[entry.subgraphIndex]
        self._operators = list(self._graph.operators)
        self._exposed = set(exposed)
        sizes = [sum(map(self._bytes, op.outputs.tolist())) for op in self._operators]
        enough = max(least_bytes, -(-sum(sizes) // most))
        self._ends, held = [0], 0
        for number, size in enumerate(sizes):
            if held >= enough:
                self._ends.append(number)
                held = 0
            held += size
        self._ends.append(len(self._operators))
        self._opened: tuple | None = None
        self.quantization: dict[int, tuple[float, int]] = {}

    def __len__(self) -> int:
        return len(self._ends) - 1

    def run(self, number: int, values: dict[int, np.ndarray]) -> dict[int, np.ndarray]:
        """Runs a piece.

        Args:
            number: its number.
            values: values of the signature's inputs and of what earlier pieces computed for this
                one, by index. What later pieces read is added.

        Returns:
            Values of its exposed tensors by index.
        """
        runner, reads, ahead, details = self._opened or self._open(number)
        if len(self) == 1:
            self._opened = runner, reads, ahead, details
        results = runner(**{_name(place): values[place] for place in reads})
        found = {int(name[1:]): value for name, value in results.items()}
        values |= {place: found[place] for place in ahead}
        self.quantization |= details
        return {place: value for place, value in found.items() if place in self._exposed}

    def _bytes(self, place):
        return _CELL * math.prod(self._graph.tensors[place].shape.tolist())

    def _places(self, operators, part):
        found = set()
        for op in operators:
            places = getattr(op, part)
            found |= set() if places is None else set(places.tolist())
        return found - {-1}

    def _open(self, number):
        """The runner of a piece, what it reads, what later pieces read of it, and its scales."""
        first, end = self._ends[number : number + 2]
        operators = self._operators[first:end]
        made, read = self._places(operators, "outputs"), self._places(operators, "inputs")
        constants = {
            place for place in read
            if (data := self._model.buffers[self._graph.tensors[place].buffer].data) is not None
            and len(data)
        }  # fmt: skip
        reads = sorted(read - made - constants)
        ahead = made & self._places(self._operators[end:], "inputs")
        outputs = sorted(ahead | (made & self._exposed))
        data = self._bytes_of(operators, reads, outputs, read | made)
        interpreter = Interpreter(model_content=data)
        runner = interpreter.get_signature_runner(_RUN.decode())
        details = {
            int(name[1:]): detail["quantization"]
            for name, detail in runner.get_output_details().items()
        }
        return runner, reads, ahead, details

    def _bytes_of(self, operators, reads, outputs, used):
        """The flatbuffer of a piece; the model stays as it is."""
        model, graph = schema.ModelT(), schema.SubGraphT()
        vars(model).update(vars(self._model))
        vars(graph).update(vars(self._graph))
        # Scales of blocks are tensors, too.
        used |= {
            self._graph.tensors[place].quantization.details.scales for place in used
            if self._graph.tensors[place].quantization is not None
            and self._graph.tensors[place].quantization.details is not None
        }  # fmt: skip
        # Those of other pieces are left out: they are many times as many.
        numbers = np.full(len(self._graph.tensors) + 1, -1, np.int32)  # the last is that of -1
        numbers[sorted(used)] = np.arange(len(used))
        graph.tensors = [_tensor(self._graph.tensors[place], numbers) for place in sorted(used)]
        graph.operators = [_operator(op, numbers) for op in operators]
        graph.inputs, graph.outputs = numbers[reads], numbers[outputs]
        entry = schema.SignatureDefT()
        entry.signatureKey, entry.subgraphIndex = _RUN, 0
        entry.inputs = [_named(place, numbers) for place in reads]
        entry.outputs = [_named(place, numbers) for place in outputs]
        model.subgraphs, model.signatureDefs = [graph], [entry]
        # `to_bytes` drops the data of constants that no tensor uses.
        model.buffers = [schema.BufferT(buffer.data) for buffer in self._model.buffers]
        return to_bytes(model, 1 << 20)


def _tensor(tensor: schema.TensorT, numbers: np.ndarray) -> schema.TensorT:
    """A tensor, whose scales of blocks have another number."""
    details = tensor.quantization.details if tensor.quantization is not None else None
    if details is None:
        return tensor
    tensor = copy.copy(tensor)
    tensor.quantization = copy.copy(tensor.quantization)
    tensor.quantization.details = copy.copy(details)
    tensor.quantization.details.scales = int(numbers[details.scales])
    return tensor


def _operator(op: schema.OperatorT, numbers: np.ndarray) -> schema.OperatorT:
    """An op on tensors with other numbers."""
    op = copy.copy(op)
    for part in ("inputs", "outputs", "intermediates"):
        if getattr(op, part) is not None:
            setattr(op, part, numbers[getattr(op, part)])
    return op


def _name(place: int) -> str:
    return f"t{place}"


def _named(place: int, numbers: np.ndarray) -> schema.TensorMapT:
    entry = schema.TensorMapT()
    entry.name, entry.tensorIndex = _name(place).encode(), int(numbers[place])
    return entry
