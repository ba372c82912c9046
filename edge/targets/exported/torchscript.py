"""Export to TorchScript files, one for each graph, traced by Keras' PyTorch backend."""

from collections.abc import Mapping

from keras_transformer.edge.graphs.free import EntryPoint
from keras_transformer.edge.targets.exported.folder import FolderWriter
from keras_transformer.edge.targets.exported.graph_parity import run_apart
from keras_transformer.zoo.checkpoint import Checkpoint
from keras_transformer.zoo.storage.temporary import temporary_folder


class TorchScript(FolderWriter):
    """Writer of the target `torchscript`."""

    def place(self, graph: str) -> str:
        """Returns the file of a graph."""
        return f"{graph}.pt"

    def graph_files(
        self, checkpoint: Checkpoint, graphs: Mapping[str, EntryPoint]
    ) -> dict[str, bytes]:
        """Returns a file for each graph, traced in a separate process.

        Keras has one backend per process.

        Raises:
            RunError: if PyTorch cannot trace the model.
        """
        with temporary_folder() as folder:
            checkpoint.save(folder / "checkpoint")
            run_apart(
                "keras_transformer.edge.targets.exported.torch_trace", folder,
                doing="Tracing the model with PyTorch",
                KERAS_BACKEND="torch", KERAS_TORCH_DEVICE="cpu",
            )  # fmt: skip
            return {self.place(name): (folder / self.place(name)).read_bytes() for name in graphs}

    def loading(self, checkpoint: Checkpoint) -> str:
        """Returns the lines on how to open a graph."""
        graph = self.first_graph(checkpoint)
        return f"""\
```python
import torch

{graph} = torch.jit.load("{{file}}/{self.place(graph)}")
print({graph}.graph)
```"""
