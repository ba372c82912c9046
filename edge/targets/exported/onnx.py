"""Export to ONNX files, one for each graph, through TensorFlow and tf2onnx."""

from collections.abc import Mapping

import numpy as np
import tensorflow as tf
from onnx import GraphProto, TensorProto
from onnx.helper import make_node
from onnx.numpy_helper import to_array
from tf2onnx.graph import Graph, Node
from tf2onnx.optimizer import (
    ConstFoldOptimizer,
    IdentityOptimizer,
    MergeDuplicatedNodesOptimizer,
    ReshapeOptimizer,
    TransposeOptimizer,
    optimize_graph,
)
from tf2onnx.tf_loader import from_function
from tf2onnx.tfonnx import process_tf_graph
from tf2onnx.utils import make_name

from keras_transformer.edge.graphs.free import EntryPoint
from keras_transformer.edge.targets.exported.folder import FolderWriter
from keras_transformer.edge.targets.exported.saved_model import traceable
from keras_transformer.zoo.checkpoint import Checkpoint

# Version of the operator set; runtimes since 2022 support it.
OPSET = 17
# Not all of tf2onnx's: its BackToBackOptimizer removes the first of two reshapes although the
# second one may copy lengths from its input, as ReshapeOptimizer writes it.
OPTIMIZERS = {
    "optimize_transpose": TransposeOptimizer,
    "fold_constants": ConstFoldOptimizer,
    "merge_duplication": MergeDuplicatedNodesOptimizer,
    "reshape_optimizer": ReshapeOptimizer,
    "remove_identity": IdentityOptimizer,
}


class Onnx(FolderWriter):
    """Writer of the target `onnx`."""

    def place(self, graph: str) -> str:
        """Returns the file of a graph."""
        return f"{graph}.onnx"

    def graph_files(
        self, checkpoint: Checkpoint, graphs: Mapping[str, EntryPoint]
    ) -> dict[str, bytes]:
        """Returns a file for each graph."""
        return {self.place(name): _converted(graph) for name, graph in graphs.items()}

    def loading(self, checkpoint: Checkpoint) -> str:
        """Returns the lines on how to open a graph."""
        return f"""\
```python
import onnxruntime

session = onnxruntime.InferenceSession("{{file}}/{self.place(self.first_graph(checkpoint))}")
print([(tensor.name, tensor.shape) for tensor in session.get_inputs()])
```"""


def _converted(graph: EntryPoint) -> bytes:
    function = traceable(graph).get_concrete_function()
    reads = {f"{name}:0": name for name in graph.inputs}
    gives = {tensor.name: name for name, tensor in function.structured_outputs.items()}
    frozen = from_function(function, list(reads), list(gives))
    with tf.Graph().as_default() as imported:
        tf.import_graph_def(frozen, name="")
        converted = process_tf_graph(
            imported, opset=OPSET, input_names=list(reads), output_names=list(gives),
            tensors_to_rename=reads | gives,
            custom_op_handlers={"XlaDynamicUpdateSlice": (_write_positions, [])},
        )  # fmt: skip
        model = optimize_graph(converted, optimizers=OPTIMIZERS).make_model("model")
    for tensors, specs in ((model.graph.input, graph.inputs), (model.graph.output, graph.outputs)):
        for tensor in tensors:
            dimensions = tensor.type.tensor_type.shape.dim
            for dimension, length in zip(dimensions, specs[tensor.name][0], strict=True):
                if isinstance(length, str):
                    dimension.dim_param = length
    _store_once(model.graph)
    return model.SerializeToString()


def _store_once(graph: GraphProto) -> None:
    """Transposes the token table for the logits, of which TensorFlow stored another copy.

    Runtimes transpose a constant once, when they load the file.
    """
    kept = []
    for one in [tensor for tensor in graph.initializer if len(tensor.dims) == 2]:
        values = to_array(one)
        original = next((name for name, other in kept if np.array_equal(other.T, values)), None)
        if original is None:
            kept.append((one.name, values))
        else:
            graph.initializer.remove(one)
            graph.node.insert(0, make_node("Transpose", [original], [one.name], perm=[1, 0]))


def _write_positions(graph: Graph, node: Node, name: str, _arguments: list) -> None:
    """Converts the update of a cache (B, L, KV, K), for which ONNX has no operator."""
    cache, update, start = node.input

    def constant(value):
        return graph.make_const(make_name(name), np.array([value], np.int64)).output[0]

    def made(operator, *inputs, **attributes):
        return graph.make_node(operator, list(inputs), attr=attributes).output[0]

    zero, one, two = map(constant, range(3))
    first = made("Cast", made("Slice", start, one, two), to=TensorProto.INT64)
    last = made("Add", first, made("Slice", made("Shape", update), one, two))
    end = constant(np.iinfo(np.int64).max)
    parts = made("Slice", cache, zero, first, one), update, made("Slice", cache, last, end, one)
    shapes, types = node.output_shapes, node.output_dtypes
    graph.remove_node(name)
    graph.make_node(
        "Concat", list(parts), attr={"axis": 1}, name=name, outputs=node.output, shapes=shapes,
        dtypes=types,
    )  # fmt: skip
