"""How closely exported graphs follow Keras, each in its own runtime."""

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from keras_transformer.edge.compare.parity import Parity, difference
from keras_transformer.edge.targets.exported import replay
from keras_transformer.zoo.checkpoint import Checkpoint
from keras_transformer.zoo.errors import RunError
from keras_transformer.zoo.files import weights_from_bytes, weights_to_bytes
from keras_transformer.zoo.models.predict import model_inputs
from keras_transformer.zoo.temporary import temporary_folder

# Of the largest output. The same float32 operations in another order are off by their last bits,
# 6e-8 each, which add up through the layers to about 1e-6. In a trained classifier GELU by tanh in
# place of erf, or an epsilon of 1e-6 in place of 1e-12, is off by 9e-5.
TOLERANCE = 1e-5


def graphs_parity(
    name: str, checkpoint: Checkpoint, files: Mapping[str, bytes],
    graphs: Mapping[str, Mapping[str, Any]],
) -> Parity:  # fmt: skip
    """Runs the probes through files, by their runtime in a process of its own, and through Keras.

    Args:
        name: of the target.
        checkpoint: what was exported.
        files: contents by name.
        graphs: of each the file or folder that holds it, and its inputs and outputs.

    Raises:
        RunError: the runtime could not load or run them, or it computed something else.
    """
    description = {"target": name, "max_length": checkpoint.max_length, "graphs": graphs}
    with temporary_folder() as folder:
        contents = {
            **files,
            replay.DESCRIPTION: json.dumps(description).encode(),
            replay.PROBES: weights_to_bytes(_probes(checkpoint)),
        }
        for file, data in contents.items():
            (folder / file).parent.mkdir(parents=True, exist_ok=True)
            (folder / file).write_bytes(data)
        doing = f"Running the {name} files"
        run_apart(replay.__name__, folder, doing=doing, CUDA_VISIBLE_DEVICES="-1")
        found = weights_from_bytes((folder / replay.OUTPUTS).read_bytes())
    reference = _reference(checkpoint)[found["rows"], found["places"]]
    parity = difference(reference, found["outputs"], None)
    size = float(np.abs(reference).max())
    if not parity.largest <= TOLERANCE * size:
        raise RunError(
            f"Expected the {name} files to give what Keras gives within {TOLERANCE:g} of the "
            f"largest output, {size:.4g}, got a difference of {parity.largest:.4g} on "
            f"{parity.rows} rows; nothing was written."
        )
    return parity


def run_apart(module: str, folder: Path, *, doing: str, **environment: str) -> None:
    """Runs a module of ours in a process of its own, on a folder.

    Raises:
        RunError: it failed; the sentence ends with the last line of what it said.
    """
    # Not from the current folder, where any file may be called like a module.
    command = [sys.executable, "-P", "-m", module, str(folder)]
    child = subprocess.run(command, capture_output=True, text=True, env=os.environ | environment)
    if child.returncode:
        last = child.stderr.strip().splitlines()[-1:] or [f"exit code {child.returncode}."]
        raise RunError(f"{doing} failed: {last[0]}")


def _probes(checkpoint):
    """The inputs of rows, with the real positions of each where the model reads it whole."""
    if checkpoint.task.generates:
        return checkpoint.probes
    return {**checkpoint.probes, replay.NUM_REAL: checkpoint.modality.num_real(checkpoint.probes)}


def _reference(checkpoint):
    """What Keras gives for the probes: (rows, places, outputs)."""
    columns = checkpoint.probes
    if not checkpoint.task.generates:
        columns = model_inputs(checkpoint.model, columns)
    outputs = _in_float32(lambda: np.asarray(checkpoint.model.predict_on_batch(dict(columns))))
    return outputs if checkpoint.task.generates else outputs[:, None]


def _in_float32(compute):
    """Calls a function while no GPU shortens the factors of its products to 10 bits."""
    shortened = tf.config.experimental.tensor_float_32_execution_enabled()
    tf.config.experimental.enable_tensor_float_32_execution(False)
    try:
        return compute()
    finally:
        tf.config.experimental.enable_tensor_float_32_execution(shortened)
