"""Writes a checkpoint's graphs as TorchScript, in a process with Keras' PyTorch backend.

Run as `python -m keras_transformer.edge.targets.exported.torch_trace FOLDER` with
KERAS_BACKEND=torch and KERAS_TORCH_DEVICE=cpu, it reads `FOLDER/checkpoint` and writes a `.pt` file
for each graph beside it.
"""

import json
import sys
from pathlib import Path

import keras
import torch

from keras_transformer.activations import without_own_gradients
from keras_transformer.edge.graphs.free import EntryPoint, entry_points
from keras_transformer.zoo.data.labels import read_labels
from keras_transformer.zoo.models.build import build, set_weights
from keras_transformer.zoo.models.fused_config import config_from_json
from keras_transformer.zoo.storage.files import read_folder, weights_from_bytes
from keras_transformer.zoo.tasks.registry import task_from_json

# Lengths to trace with; none is 1, which a trace may specialize on.
LENGTHS = {"B": 2, "T": 3, "S": 4, "L": 5}


class _Positional(torch.nn.Module):
    """A graph with positional tensors, in the order of `EntryPoint`."""

    def __init__(self, model: keras.Model, graph: EntryPoint):
        super().__init__()
        self.model = model
        self.graph = graph

    def forward(self, *tensors):
        outputs = self.graph.call(dict(zip(self.graph.inputs, tensors, strict=True)))
        return tuple(outputs[name] for name in self.graph.outputs)


def trace(model: keras.Model, graph: EntryPoint) -> torch.jit.ScriptModule:
    """Returns a graph that does not need Keras, with only the weights that it uses."""
    examples = tuple(
        torch.ones([LENGTHS.get(n, n) for n in shape], dtype=getattr(torch, dtype))
        for shape, dtype in graph.inputs.values()
    )
    with torch.inference_mode(), without_own_gradients():
        traced = torch.jit.trace(_Positional(model, graph).eval(), examples, check_trace=False)
    return torch.jit.freeze(traced)


def main() -> None:
    """Reads the checkpoint, traces its graphs and writes them."""
    folder = Path(sys.argv[1])
    files = read_folder(folder / "checkpoint")
    described = json.loads(files["config.json"])
    labels = read_labels(files["labels.txt"], "labels.txt")
    config = config_from_json(described["model"])
    model = build(config, task_from_json(described["task"], labels))
    set_weights(model, weights_from_bytes(files["weights.safetensors"]))
    for name, graph in entry_points(model, config).items():
        torch.jit.save(trace(model, graph), folder / f"{name}.pt")


if __name__ == "__main__":
    main()
