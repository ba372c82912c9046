"""A model as a TensorFlow SavedModel, with a signature for each graph."""

import tempfile
from pathlib import Path

import tensorflow as tf

from keras_transformer.edge.graphs.free import EntryPoint
from keras_transformer.edge.targets.exported.export import Exported
from keras_transformer.edge.targets.exported.graph_parity import checked, float_graphs
from keras_transformer.zoo.checkpoint import Checkpoint

FOLDER = "saved_model"


def export(checkpoint: Checkpoint) -> Exported:
    """Exports; the signatures share the weights.

    Raises:
        InputError: the checkpoint is quantized.
        RunError: TensorFlow could not load the files, or computed something else than Keras.
    """
    graphs = float_graphs(checkpoint)
    functions = {name: traceable(graph) for name, graph in graphs.items()}
    concrete = {name: function.get_concrete_function() for name, function in functions.items()}
    module = tf.Module()
    # The variables that a function closes over are saved only if the module holds them.
    module.captured = [one.variables for one in concrete.values()]
    with tempfile.TemporaryDirectory() as folder:
        tf.saved_model.save(module, folder, signatures=concrete)
        files = {
            f"{FOLDER}/{path.relative_to(folder).as_posix()}": path.read_bytes()
            for path in sorted(Path(folder).rglob("*"))
            if path.is_file()
        }
    return checked("saved_model", checkpoint, files, graphs, dict.fromkeys(graphs, FOLDER))


def traceable(graph: EntryPoint) -> tf.types.experimental.GenericFunction:
    """Returns a graph as a function of a dictionary, in which lengths given by letters are free."""
    specs = {
        name: tf.TensorSpec([None if isinstance(n, str) else n for n in shape], dtype, name)
        for name, (shape, dtype) in graph.inputs.items()
    }
    return tf.function(graph.call, input_signature=[specs], autograph=False)
