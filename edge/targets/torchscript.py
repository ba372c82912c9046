"""A model as TorchScript files, one for each graph, traced by Keras' PyTorch backend."""

import tempfile
from pathlib import Path

from keras_transformer.edge.targets.exported.export import Exported
from keras_transformer.edge.targets.exported.graph_parity import checked, float_graphs, run_apart
from keras_transformer.zoo.checkpoint import Checkpoint


def export(checkpoint: Checkpoint) -> Exported:
    """Exports, in a process of its own: Keras has one backend in a process.

    Raises:
        InputError: the checkpoint is quantized.
        RunError: PyTorch did not trace the model, or the files give something else than Keras on
            TensorFlow.
    """
    graphs = float_graphs(checkpoint)
    names = {name: f"{name}.pt" for name in graphs}
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        checkpoint.save(folder / "checkpoint")
        run_apart(
            "keras_transformer.edge.targets.exported.torch_trace", folder,
            doing="Tracing the model with PyTorch",
            KERAS_BACKEND="torch", KERAS_TORCH_DEVICE="cpu",
        )  # fmt: skip
        files = {file: (folder / file).read_bytes() for file in names.values()}
    return checked("torchscript", checkpoint, files, graphs, names)
