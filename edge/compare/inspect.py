"""Inspection of a `.tflite` file: a readable summary of its contents, and integrity checks."""

import dataclasses
from collections.abc import Mapping
from typing import Any

from keras_transformer.edge.runtime.checks.graph import Graph, Signature, Tensor
from keras_transformer.edge.runtime.opening import open_file
from keras_transformer.edge.runtime.packed import Source, name_of
from keras_transformer.edge.tflite.delegation import delegation_of
from keras_transformer.zoo.errors import InputError
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
        InputError: if it was not made by `convert`, is truncated or modified, is inconsistent, or
            if LiteRT, in a process of its own, crashes or does not end.
    """
    opened = open_file(source, is_tried=True)
    name = name_of(source)
    for signature, outputs in opened.trial.not_finite.items():
        if outputs:
            raise InputError(f"{name}: {signature} gives {outputs[0]} that is not finite.")
    found = delegation_of(opened.trial.ops)
    return Inspection(
        path=name, description=opened.description,
        signatures={
            signature: _tensors(opened.model.graphs[one.graph], one)
            for signature, one in opened.model.signatures.items()
        },
        delegated=dict(found.delegated.most_common()), outside=dict(found.outside.most_common()),
        files={name: len(data) for name, data in opened.files.items()},
    )  # fmt: skip


def _tensors(graph: Graph, signature: Signature) -> tuple[TensorSummary, ...]:
    roles: dict[int, tuple[str, str]] = {}
    for role, places in (("input", signature.inputs), ("output", signature.outputs)):
        for name, place in places.items():
            roles[place] = (role, name)
    summaries = []
    for place, tensor in enumerate(graph.tensors):
        kind = "inner" if tensor.constant is None else "constant"
        summaries.append(_summary(tensor, *roles.get(place, (kind, tensor.name))))
    order = ("input", "output", "constant", "inner")
    return tuple(sorted(summaries, key=lambda one: order.index(one.role)))


def _summary(tensor: Tensor, role: str, name: str) -> TensorSummary:
    scale = zero_point = None
    if tensor.scales is not None and tensor.zero_points is not None:
        scale = f"{tensor.scales.min():.4g}"
        if len(tensor.scales) > 1:
            scale = f"{len(tensor.scales)} from {scale} to {tensor.scales.max():.4g}"
        zero_point = int(tensor.zero_points[0])
    return TensorSummary(
        name=name, role=role, shape=tensor.signature, type=tensor.type, scale=scale,
        zero_point=zero_point,
    )  # fmt: skip
