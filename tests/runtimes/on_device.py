"""Runs files where the device's package, NumPy and LiteRT are all there is, see tests/arm64.py.

python on_device.py JOBS.json OUT.npz
"""

import json
import sys

import numpy as np

from keras_transformer.edge.runtime import Runner


def answered(runner, rows):
    """The outputs as numbers in a row, and what they mean as texts."""
    if runner.generates:
        found = runner.generations(rows)
        return np.array([one.log_probability for one in found]), [one.text for one in found]
    outputs = np.concatenate([np.ravel(one) for one in runner.scores(rows)])
    said = [
        one.label if hasattr(one, "label")
        else " ".join(f"{span.label}:{span.text}" for span in one.spans)
        for one in runner.predict(rows)
    ]  # fmt: skip
    return outputs, said


def main():
    with open(sys.argv[1]) as file:
        jobs = json.load(file)
    found = {}
    for number, (path, given) in enumerate(jobs):
        with np.load(given) as arrays:
            rows = [arrays[name] for name in arrays]
        rows = [row.item() if row.dtype.kind == "U" else row for row in rows]
        outputs, said = answered(Runner(path), rows)
        found |= {f"outputs_{number}": outputs, f"answers_{number}": np.array(said)}
    foreign = {"tensorflow", "keras", "tf_keras", "jax", "torch", "safetensors", "click", "scipy"}
    assert not foreign & set(sys.modules), foreign & set(sys.modules)
    np.savez(sys.argv[2], **found)


if __name__ == "__main__":
    main()
