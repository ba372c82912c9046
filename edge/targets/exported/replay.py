"""Runs an exported folder's graphs on real rows, in a process without our layers.

Run as `python -m keras_transformer.edge.targets.exported.replay FOLDER`. It loads the graphs as
described by the folder's `model.json`, like an app; reads the rows from `PROBES` beside it, and
writes `OUTPUTS`. Batches differ in their number of rows and in their length, and the outputs of
`decode` are inputs of the next `decode`.
"""

import json
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import load_file, save_file

from keras_transformer.edge.runtime.names import DECODE, ENCODE, NEW, PREDICT

DESCRIPTION = "model.json"
PROBES, OUTPUTS = "probes.safetensors", "outputs.safetensors"
# Name among the probes: number of positions of each row that are not padding.
NUM_REAL = "num_real"
# Number of rows of the first batch, and of the later ones.
BATCH_SIZES = 1, 7
# Number of tokens read one by one, after half of the batch's shortest row was read at once.
STEPS = 16

Graph = Callable[[Mapping[str, np.ndarray]], dict[str, np.ndarray]]


def replay(
    graphs: Mapping[str, Graph], description: Mapping[str, Any], probes: Mapping[str, np.ndarray]
) -> dict[str, np.ndarray]:
    """Returns `outputs` (N, outputs), and the `rows` and `places` (N,) that they belong to.

    Args:
        graphs: the functions of `model.json` by name.
        description: contents of `model.json`.
        probes: the checkpoint's probes (rows, ...).
    """
    walk = _whole if PREDICT in graphs else _tokens
    found = [
        (values, part[rows], places)
        for part in _batches(len(next(iter(probes.values()))))
        for values, rows, places in walk(graphs, description, probes, part)
    ]
    outputs, rows, places = (np.concatenate(parts) for parts in zip(*found, strict=True))
    return {"outputs": outputs, "rows": rows, "places": places}


def load(folder: Path, description: Mapping[str, Any]) -> dict[str, Graph]:
    """Returns the graphs of a folder by name, each loaded by the runtime of its target."""
    opened = {"onnx": _onnx, "torchscript": _torchscript, "saved_model": _saved_model}
    return {
        name: opened[description["target"]](folder / graph["file"], name, graph)
        for name, graph in description["graphs"].items()
    }


def _batches(count: int) -> Iterator[np.ndarray]:
    first, size = BATCH_SIZES
    for start in [0, *range(first, count, size)]:
        yield np.arange(start, min(start + (size if start else first), count))


def _whole(graphs, description, probes, part):
    """The outputs of whole rows, without the padding that all rows share."""
    longest, inputs = int(probes[NUM_REAL][part].max()), {}
    for tensor in description["graphs"][PREDICT]["inputs"]:
        rows = probes[tensor["name"]][part].astype(tensor["type"])
        inputs[tensor["name"]] = rows[:, :longest] if "T" in tensor["shape"] else rows
    outputs = graphs[PREDICT](inputs)["output"]
    if outputs.ndim == 3:
        is_real = np.arange(outputs.shape[1]) < probes[NUM_REAL][part][:, None]
        rows, places = np.nonzero(is_real)
        yield outputs[rows, places], rows, places
        return
    rows = np.arange(len(outputs))
    yield outputs, rows, np.zeros_like(rows)


def _tokens(graphs, description, probes, part):
    """The logits after a first part of the rows, and after each of the following tokens."""
    taken = {name: ids[part].astype(np.int32) for name, ids in probes.items()}
    probes = {
        name: ids[:, : int((ids != 0).sum(axis=1).max(initial=1))] for name, ids in taken.items()
    }
    ids, memory = probes["ids"], {}
    sizes = {"B": len(ids), "L": description["max_length"]}
    gives = {tensor["name"] for tensor in description["graphs"][DECODE]["outputs"]}
    if ENCODE in graphs:
        source = probes["source_ids"]
        memory = graphs[ENCODE]({"ids": source})
        memory["memory_mask"] = (source != 0).astype(np.int32)
    caches = {
        tensor["name"]: np.zeros([sizes.get(size, size) for size in tensor["shape"]], np.float32)
        for tensor in description["graphs"][DECODE]["inputs"]
        if f"{NEW}{tensor['name']}" in gives
    }
    first = max(1, int((ids != 0).sum(axis=1).min()) // 2)
    ends = range(first, min(ids.shape[1], first + STEPS) + 1)
    for start, end in zip([0, *ends], ends, strict=False):
        position = np.array([start], np.int32)
        inputs = {"ids": ids[:, start:end], "position": position, **caches, **memory}
        outputs = graphs[DECODE](inputs)
        caches = {name: outputs[f"{NEW}{name}"] for name in caches}
        # Logits after padding are meaningless.
        rows = np.flatnonzero(ids[:, end - 1])
        yield outputs["logits"][rows], rows, np.full_like(rows, end - 1)


def _onnx(path, name, graph):
    import onnxruntime

    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    names = [tensor["name"] for tensor in graph["outputs"]]
    return lambda inputs: dict(zip(names, session.run(names, inputs), strict=True))


def _torchscript(path, name, graph):
    import torch

    module = torch.jit.load(path)
    reads, gives = ([tensor["name"] for tensor in graph[side]] for side in ("inputs", "outputs"))

    def call(inputs):
        with torch.inference_mode():
            outputs = module(*(torch.from_numpy(inputs[name]) for name in reads))
        return {name: tensor.numpy() for name, tensor in zip(gives, outputs, strict=True)}

    return call


def _saved_model(path, name, graph):
    import tensorflow as tf

    loaded = tf.saved_model.load(path)

    def call(inputs):
        outputs = loaded.signatures[name](**{key: tf.constant(inputs[key]) for key in inputs})
        return {key: tensor.numpy() for key, tensor in outputs.items()}

    return call


def main() -> None:
    """Loads the folder, runs it and writes the outputs."""
    folder = Path(sys.argv[1])
    description = json.loads((folder / DESCRIPTION).read_bytes())
    outputs = replay(load(folder, description), description, load_file(folder / PROBES))
    save_file(outputs, folder / OUTPUTS)


if __name__ == "__main__":
    main()
