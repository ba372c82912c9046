"""Inspection of a `.tflite` file: a readable summary of its contents, and integrity checks."""

import dataclasses
from collections.abc import Mapping
from typing import Any

import numpy as np
from ai_edge_litert import schema_py_generated as schema
from ai_edge_litert.interpreter import Interpreter

from keras_transformer.edge.runtime.names import EMBEDDING, LOGITS, PREDICT
from keras_transformer.edge.runtime.packed import Source, name_of, unpack
from keras_transformer.edge.runtime.runner import make_interpreter
from keras_transformer.edge.tflite.delegation import find_delegation
from keras_transformer.edge.tflite.schema import TYPE_NAMES
from keras_transformer.zoo.errors import InputError
from keras_transformer.zoo.modalities.registry import modality_named
from keras_transformer.zoo.tabular import Grid, Tabular


@dataclasses.dataclass(frozen=True, kw_only=True)
class TensorSummary:
    """Summary of a tensor of a graph.

    Attributes:
        name: the signature's name of an input or output, else the tensor's own.
        role: `input`, `output`, `constant` or `inner`.
        shape: shape, with -1 for dimensions that are not fixed.
        type: TFLite type, such as `INT8`.
        scale: step of an integer tensor, or the smallest and largest of several; None for others.
        zero_point: integer that represents 0; None without a scale.
    """

    name: str
    role: str
    shape: tuple[int, ...]
    type: str
    scale: str | None
    zero_point: int | None


@dataclasses.dataclass(frozen=True, kw_only=True, repr=False)
class Inspection(Tabular):
    """The contents of a file that passed the checks.

    Attributes:
        path: path of the file.
        description: the file's description.
        signatures: tensors by signature: inputs, outputs, constants and inner ones.
        delegated, outside: counts by name of the main graph's ops that XNNPACK runs here, and of
            those that the built-in kernels run.
        files: size in bytes of each attached file by name.
    """

    path: str
    description: Mapping[str, Any]
    signatures: Mapping[str, tuple[TensorSummary, ...]]
    delegated: Mapping[str, int]
    outside: Mapping[str, int]
    files: Mapping[str, int]

    def to_json(self) -> dict[str, Any]:
        """Returns the values as a JSON-serializable object."""
        return dataclasses.asdict(self)

    def grids(self, *, tensors: bool = False) -> list[Grid]:
        """The inputs and outputs of each signature, ops by what runs them, and attached files.

        Args:
            tensors: whether to include constants and inner tensors.
        """
        heads = ("", "Tensor", "Shape", "Type", "Scale", "Zero point")
        grids = []
        for signature, summaries in self.signatures.items():
            rows = [
                (
                    one.role, one.name, " x ".join(map(str, one.shape)) or "scalar", one.type,
                    one.scale, one.zero_point,
                )
                for one in summaries
                if tensors or one.role in ("input", "output")
            ]  # fmt: skip
            grids.append(Grid(f"Signature {signature}", heads, rows))
        ops = [("XNNPACK", name, count) for name, count in self.delegated.items()]
        ops += [("built-in kernels", name, count) for name, count in self.outside.items()]
        grids.append(
            Grid("Ops of the main graph, by what runs them here", ("Runtime", "Op", "Times"), ops)
        )
        files = [(name, f"{size / 1e3:,.1f} kB") for name, size in self.files.items()]
        grids.append(Grid("Attached files", ("File", "Size"), files))
        return grids


def inspect(source: Source) -> Inspection:
    """Reads a file and checks it: its hash, its vocabulary and labels, and that its graphs run.

    Args:
        source: the file: its path, its bytes, a runner, or an artifact of `convert`.

    Raises:
        FileNotFoundError: if there is no such file.
        InputError: if it was not made by `convert`, is truncated or modified, or is inconsistent.
    """
    flatbuffer, description, files = unpack(source)
    interpreter = make_interpreter(flatbuffer, description)
    interpreter.allocate_tensors()
    name = name_of(source)
    _check(name, interpreter, description, files)
    found = find_delegation(interpreter)
    model = schema.ModelT.InitFromObj(schema.Model.GetRootAs(flatbuffer, 0))
    return Inspection(
        path=name, description=description,
        signatures={
            one.signatureKey.decode(): _tensors(model, one) for one in model.signatureDefs
        },
        delegated=dict(found.delegated.most_common()), outside=dict(found.outside.most_common()),
        files={name: len(data) for name, data in files.items()},
    )  # fmt: skip


def _check(
    path: str, interpreter: Interpreter, description: Mapping[str, Any], files: Mapping[str, bytes]
) -> None:
    """Raises InputError if the file's parts are inconsistent."""
    config = description["model"]
    modality = modality_named(description.get("modality", "text")).from_files(
        files, max_length=description["max_length"], settings=config.get("modality_settings", {})
    )
    reason = modality.misfit(config)
    if reason is not None:
        raise InputError(f"{path}: {reason[0].lower()}{reason[1:]}")
    for key, names in interpreter.get_signature_list().items():
        runner = interpreter.get_signature_runner(key)
        inputs = {name: _input(detail) for name, detail in runner.get_input_details().items()}
        outputs = runner(**inputs)
        bad = [name for name in names["outputs"] if not np.isfinite(outputs[name]).all()]
        if bad:
            raise InputError(f"{path}: {key} gives {bad[0]} that is not finite.")
        gives = description.get("output", LOGITS)
        labels = files["labels.txt"].count(b"\n")
        if key.startswith(PREDICT) and gives != EMBEDDING:
            width = outputs[gives].shape[-1]
            if width != max(1, labels):
                raise InputError(
                    f"{path}: expected as many labels as the {width} outputs, got {labels}."
                )


def _input(detail: Mapping[str, Any]) -> np.ndarray:
    """An input of the shortest text, or of ones, which are valid tokens."""
    value = np.ones(detail["shape"], detail["dtype"])
    return np.full(detail["shape"], b"a", object) if value.dtype.kind == "S" else value


def _tensors(model: schema.ModelT, signature: schema.SignatureDefT) -> tuple[TensorSummary, ...]:
    graph = model.subgraphs[signature.subgraphIndex]
    roles: dict[int, tuple[str, str]] = {}
    for role, tensors in (("input", signature.inputs), ("output", signature.outputs)):
        for one in tensors:
            roles[one.tensorIndex] = (role, one.name.decode())
    summaries = []
    for place, tensor in enumerate(graph.tensors):
        is_constant = model.buffers[tensor.buffer].data is not None
        role, name = roles.get(
            place, ("constant" if is_constant else "inner", tensor.name.decode())
        )
        summaries.append(_summary(tensor, role, name))
    order = ("input", "output", "constant", "inner")
    return tuple(sorted(summaries, key=lambda one: order.index(one.role)))


def _summary(tensor: schema.TensorT, role: str, name: str) -> TensorSummary:
    shape = tensor.shapeSignature if tensor.shapeSignature is not None else tensor.shape
    scale = zero_point = None
    if tensor.quantization is not None and tensor.quantization.scale is not None:
        scales = tensor.quantization.scale
        scale = f"{scales.min():.4g}"
        if len(scales) > 1:
            scale = f"{len(scales)} from {scale} to {scales.max():.4g}"
        zero_point = int(tensor.quantization.zeroPoint[0])
    return TensorSummary(
        name=name, role=role, shape=tuple(map(int, () if shape is None else shape)),
        type=TYPE_NAMES[tensor.type], scale=scale, zero_point=zero_point,
    )  # fmt: skip
