"""Reads intermediate tensors of a TFLite signature while it runs."""

import dataclasses
from collections.abc import Collection, Mapping

import numpy as np
from ai_edge_litert import schema_py_generated as schema
from ai_edge_litert.interpreter import Interpreter

from keras_transformer.edge.tflite.compact import to_bytes
from keras_transformer.edge.tflite.schema import op_name

_TYPES = schema.TensorType
_FLOAT, _INTEGERS = _TYPES.FLOAT32, (_TYPES.INT8, _TYPES.INT16)
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


class Inside:
    """Runs one signature of a file, and returns intermediate tensors with its outputs.

    They become outputs of the graph, so that the runtime computes them by its default kernels: an
    interpreter that preserves all tensors does not use XNNPACK, and the other kernels round twice.

    Args:
        flatbuffer: the model.
        signature: its name.
        tensors: indices of the tensors in the signature's graph; by default all computed ones that
            are float, or integers with one scale.

    Attributes:
        outputs: names of the signature's own outputs.
        tensor_names: tensor names of the graph by index.
        projected: indices of the outputs of matmuls with a kernel, and of the same values in other
            shapes or with a constant added.
    """

    def __init__(
        self, flatbuffer: bytes, signature: str, tensors: Collection[int] | None = None
    ):
        model = schema.ModelT.InitFromObj(schema.Model.GetRootAs(flatbuffer, 0))
        [entry] = [one for one in model.signatureDefs if one.signatureKey.decode() == signature]
        graph = model.subgraphs[entry.subgraphIndex]
        names = {output.tensorIndex: output.name.decode() for output in entry.outputs}
        self.outputs = list(names.values())
        self.tensor_names = [tensor.name.decode() for tensor in graph.tensors]
        self.projected: dict[int, set[int]] = {}
        for op in graph.operators:
            name = op_name(model.operatorCodes[op.opcodeIndex])
            if name == "FULLY_CONNECTED":
                self.projected[int(op.outputs[0])] = {int(op.outputs[0])}
            # The converter may move a bias into a constant that is added after the matmul.
            given = [one for one in op.inputs.tolist() if not _is_constant(model, graph, one)]
            is_same = name in ("RESHAPE", "TRANSPOSE", "ADD") and len(given) == 1
            for same in self.projected.values() if is_same else ():
                if given[0] in same:
                    same.add(int(op.outputs[0]))
        self._sources = {
            output: [place for place in op.inputs.tolist() if place >= 0]
            for op in graph.operators
            for output in op.outputs.tolist()
        }
        self._types = [tensor.type for tensor in graph.tensors]
        for place in _stored(graph, self._sources) if tensors is None else tensors:
            if place not in names:
                names[place] = f"inside_{place}"
                added = schema.TensorMapT()
                added.name, added.tensorIndex = names[place].encode(), place
                entry.outputs.append(added)
        graph.outputs = np.array([output.tensorIndex for output in entry.outputs], np.int32)
        self._interpreter = Interpreter(model_content=to_bytes(model, len(flatbuffer)))
        self._runner = self._interpreter.get_signature_runner(signature)
        self._names = names
        self._details = self._runner.get_output_details()
        self.shapes = {
            name: tuple(detail["shape"])
            for name, detail in self._runner.get_input_details().items()
        }

    def run(
        self, inputs: Mapping[str, np.ndarray]
    ) -> tuple[dict[str, np.ndarray], dict[int, Tensor]]:
        """Returns the signature's own outputs by name, and the tensors by index."""
        results = self._runner(**inputs)
        tensors = {place: self._tensor(place, results[name]) for place, name in self._names.items()}
        return {name: results[name] for name in self.outputs}, tensors

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

    def _tensor(self, place, values):
        if values.dtype == np.float32:
            return Tensor(values=values, step=None)
        step, zero_point = self._details[self._names[place]]["quantization"]
        values = (values.astype(np.int32) - zero_point) * np.float32(step)
        return Tensor(values=values, step=float(step))


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
