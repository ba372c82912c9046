"""Parity of exported graphs with Keras, each in its own runtime."""

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from keras_transformer.edge.compare.parity import Parity, cuts_of, difference, units_of
from keras_transformer.edge.targets.exported import replay
from keras_transformer.zoo.checkpoint import Checkpoint
from keras_transformer.zoo.errors import RunError
from keras_transformer.zoo.models.running.predict import model_inputs
from keras_transformer.zoo.storage.files import weights_from_bytes, weights_to_bytes
from keras_transformer.zoo.storage.temporary import temporary_folder

# Relative to the largest output. The same float32 operations in another order differ in their last
# bits, 6e-8 each, which add up through the layers to about 1e-6. In a trained classifier, GELU by
# tanh instead of erf, or an epsilon of 1e-6 instead of 1e-12, makes a difference of 9e-5.
TOLERANCE = 1e-5


def graphs_parity(
    name: str, checkpoint: Checkpoint, files: Mapping[str, bytes],
    graphs: Mapping[str, Mapping[str, Any]],
) -> Parity:  # fmt: skip
    """Runs the probes through the files, in a separate process, and through Keras.

    Args:
        name: name of the target.
        checkpoint: the exported checkpoint.
        files: contents by name.
        graphs: file or folder, inputs and outputs of each graph by name.

    Raises:
        RunError: if the runtime cannot load or run them, or its outputs differ.
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
    units = units_of(checkpoint.task.to_json())
    parity = difference(reference, found["outputs"], None, units, cuts=cuts_of(checkpoint))
    size = float(np.abs(reference - units[0]).max())
    if not parity.largest <= TOLERANCE * size:
        raise RunError(
            f"Expected the {name} files to give what Keras gives within {TOLERANCE:g} of the "
            f"largest output, {size:.4g}, got a difference of {parity.largest:.4g} on "
            f"{parity.rows} rows; nothing was written."
        )
    return parity


def run_apart(module: str, folder: Path, *, doing: str, **environment: str) -> None:
    """Runs one of our modules on a folder in a separate process.

    Raises:
        RunError: if it fails; the message ends with the last line of its output.
    """
    # The current folder is left out of the path, since a file in it may have a module's name.
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
    """Keras' outputs for the probes: (rows, positions, outputs)."""
    columns = checkpoint.probes
    if not checkpoint.task.generates:
        columns = model_inputs(checkpoint.model, columns)
    outputs = _in_float32(lambda: np.asarray(checkpoint.model.predict_on_batch(dict(columns))))
    return outputs[:, None] if outputs.ndim == 2 else outputs


def _in_float32(compute):
    """Calls a function with TensorFloat-32 off, which rounds factors to 10 bits on a GPU."""
    shortened = tf.config.experimental.tensor_float_32_execution_enabled()
    tf.config.experimental.enable_tensor_float_32_execution(False)
    try:
        return compute()
    finally:
        tf.config.experimental.enable_tensor_float_32_execution(shortened)
