"""Export to a TensorFlow SavedModel, with a signature for each graph."""

from collections.abc import Mapping

import tensorflow as tf

from keras_transformer.edge.graphs.free import EntryPoint
from keras_transformer.edge.targets.exported.folder import FolderWriter
from keras_transformer.zoo.checkpoint import Checkpoint
from keras_transformer.zoo.storage.temporary import temporary_folder

FOLDER = "saved_model"


class SavedModel(FolderWriter):
    """Writer of the target `saved_model`, whose signatures share the weights."""

    def place(self, graph: str) -> str:
        """Returns the folder, which all graphs share."""
        return FOLDER

    def graph_files(
        self, checkpoint: Checkpoint, graphs: Mapping[str, EntryPoint]
    ) -> dict[str, bytes]:
        """Returns the files of one SavedModel."""
        functions = {name: traceable(graph) for name, graph in graphs.items()}
        concrete = {name: function.get_concrete_function() for name, function in functions.items()}
        module = tf.Module()
        # Variables that a function closes over are saved only if the module refers to them.
        module.captured = [one.variables for one in concrete.values()]
        with temporary_folder() as folder:
            tf.saved_model.save(module, str(folder), signatures=concrete)
            return {
                f"{FOLDER}/{path.relative_to(folder).as_posix()}": path.read_bytes()
                for path in sorted(folder.rglob("*"))
                if path.is_file()
            }

    def loading(self, checkpoint: Checkpoint) -> str:
        """Returns the lines on how to open a graph."""
        graph = self.first_graph(checkpoint)
        return f"""\
```python
import tensorflow as tf

{graph} = tf.saved_model.load("{{file}}/{FOLDER}").signatures["{graph}"]
print({graph}.structured_input_signature)
```"""


def traceable(graph: EntryPoint) -> tf.types.experimental.GenericFunction:
    """Returns a graph as a function of a dictionary; dimensions given by letters are free."""
    specs = {
        name: tf.TensorSpec([None if isinstance(n, str) else n for n in shape], dtype, name)
        for name, (shape, dtype) in graph.inputs.items()
    }
    return tf.function(graph.call, input_signature=[specs], autograph=False)
