"""Runs of quantize, prune and distill that do the same on each backend; a program on JAX."""

import sys
from pathlib import Path

import numpy as np

# Steps that differ in their last digits stay near each other, which Adam's do not where a gradient
# is zero but for rounding errors; and the norm of a table's gradient, by which it would be clipped,
# is on TensorFlow that of the rows that were read, where JAX adds those of a piece first.
STEPS = {
    "optimizer": "momentum", "learning_rate": 1e-3, "weight_decay": 0.0, "clip_norm": 0.0,
    "epochs": 2, "average": 2,
}  # fmt: skip


def run(name, checkpoint, out):
    """Returns the checkpoint of a run by its name."""
    from keras_transformer.edge.compress.prune import prune
    from keras_transformer.edge.distill.distill import distill
    from keras_transformer.edge.quantize.qat import quantize

    calibrated = {**STEPS, "range_method": "min-max", "out": out}
    match name:
        case "quantize":
            return quantize(checkpoint, **calibrated)
        case "labels":
            return quantize(checkpoint, share=0.0, **calibrated)
        case "learned":
            return quantize(checkpoint, ranges="learned", **calibrated)
        case "prune":
            return prune(checkpoint, sparsity=0.6, out=out, **STEPS)
        case "pairs":
            return prune(checkpoint, pattern="2:4", out=out, **STEPS)
        case "heads":
            return prune(checkpoint, heads=1, neurons=20, out=out, **STEPS)
        case "blocks":
            return prune(checkpoint, layers=1, out=out, **STEPS)
        case "clusters":
            return prune(checkpoint, clusters=8, out=out, **STEPS)
        case "distill":
            return distill(
                checkpoint, init="teacher", settings={"num_layers": 1}, hidden_weight=1.0,
                attention_weight=1.0, out=out, **STEPS,
            )  # fmt: skip


def main(checkpoint, out, names):
    for name in ("tensorflow", "tensorflow_text", "tensorflow_model_optimization", "tf_keras",
                 "ai_edge_litert"):  # fmt: skip
        sys.modules[name] = None
    for name in names.split(","):
        found = run(name, Path(checkpoint), Path(out) / name)
        np.save(Path(out) / f"{name}.npy", found.scores(["an old plum", "the iron"]))


if __name__ == "__main__":
    main(*sys.argv[1:])
