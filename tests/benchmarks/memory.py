"""Peak memory and seconds of loading a published model, or of a command, by stage.

    python tests/benchmarks/memory.py load FOLDER
    python tests/benchmarks/memory.py convert FOLDER --precision dynamic_int8 --out model.tflite
    python tests/benchmarks/memory.py train FOLDER --task language-modeling --train ... --out ...

Peaks are those of the process' resident memory (VmHWM of /proc/self/status, which is reset at each
change of stage: a thread that samples stands still while the converter holds Python's lock), above
its level after everything was imported and before a model was read. They are printed in MB and over
the size of the model's weights in float32. Seconds are those of the wall and of the processor. A
stage is counted without the stages that it calls. Only on Linux.
"""

import functools
import importlib
import json
import sys
import time
from pathlib import Path

import numpy as np

STATUS, RESET = Path("/proc/self/status"), Path("/proc/self/clear_refs")
MODULES = (
    "keras_transformer.edge.targets.convert",
    "keras_transformer.edge.targets.plain",
    "keras_transformer.zoo.pretrained.checkpoints",
    "keras_transformer.zoo.training.train",
    "tensorflow",
)
# Functions of ours by the stage that they are.
STAGES = {
    "as_checkpoint": "read the checkpoint",
    "quantized_model": "build the simulation",
    "_exported": "build the exported model",
    "_to_flatbuffer": "trace, save and convert",
    "with_weights": "write the weights",
    "rewrite": "rewrite",
    "narrow": "narrow",
    "in_units": "units",
    "check_kernels": "check kernels",
    "compact": "compact",
    "find_layers": "find layers",
    "provenance": "provenance",
    "pack": "pack",
    "measure_parity": "parity",
    "median_latency": "latency for the card",
}


def resident(name: str) -> int:
    """Returns a line of /proc/self/status in bytes."""
    with open(STATUS, encoding="ascii") as file:
        return 1024 * int(next(line.split()[1] for line in file if line.startswith(f"{name}:")))


class Gauge:
    """The peak of resident memory, and seconds of wall and processor, by stage."""

    def __init__(self):
        self.peaks: dict[str, int] = {}
        self.seconds: dict[str, np.ndarray] = {}
        self._running: list[str] = []
        self._last = _now()

    def enter(self, stage: str) -> None:
        """Measures for a stage from now on, until it or one within it ends or begins."""
        self._measure()
        self._running.append(stage)

    def leave(self) -> None:
        """Measures for the stage around the one that ends."""
        self._measure()
        self._running.pop()

    def _measure(self):
        now = _now()
        if self._running:
            stage = self._running[-1]
            self.peaks[stage] = max(self.peaks.get(stage, 0), resident("VmHWM"))
            self.seconds[stage] = self.seconds.get(stage, 0.0) + now - self._last
        RESET.write_text("5", encoding="ascii")
        self._last = _now()

    def of(self, stage: str, function):
        """Returns a function that is measured as a stage."""

        @functools.wraps(function)
        def measured(*args, **kwargs):
            self.enter(stage)
            try:
                return function(*args, **kwargs)
            finally:
                self.leave()

        return measured

    def wrap(self, owner, name: str, stage: str) -> None:
        """Measures an attribute of a module or class as a stage."""
        setattr(owner, name, self.of(stage, getattr(owner, name)))


def _now() -> np.ndarray:
    return np.array([time.perf_counter(), time.process_time()])


def main(words: list[str]) -> None:
    from keras_transformer.cli import main as command

    for name in MODULES:
        importlib.import_module(name)
    import tensorflow as tf

    from keras_transformer.edge.targets.artifact import Artifact
    from keras_transformer.zoo.models import memory
    from keras_transformer.zoo.pretrained.checkpoints import as_checkpoint
    from keras_transformer.zoo.pretrained.load import load_pretrained

    tf.zeros(1).numpy()  # TensorFlow's own threads and pools
    before, gauge = resident("VmRSS"), Gauge()
    measured = {}
    for module in [one for key, one in sys.modules.items() if key.startswith("keras_transformer")]:
        for name, stage in STAGES.items():
            function = vars(module).get(name)
            if callable(function) and not isinstance(function, type):
                setattr(module, name, measured.setdefault(id(function), gauge.of(stage, function)))
    gauge.wrap(Artifact, "save", "save")
    gauge.wrap(tf.saved_model, "save", "save for the converter")
    converter = tf.lite.TFLiteConverter.from_saved_model.__globals__["TFLiteSavedModelConverterV2"]
    gauge.wrap(converter, "convert", "the converter")
    weights = 4 * memory.parameters_of(load_pretrained(words[1]).config)
    gauge.enter("the rest")
    try:
        if words[0] == "load":
            gauge.of("read the checkpoint", as_checkpoint)(words[1])
        else:
            command.main(words, standalone_mode=False)
    finally:
        gauge.leave()
        show(gauge, before, weights)


def show(gauge: Gauge, before: int, weights: int) -> None:
    """Prints the peaks, above a level and over a size in bytes."""
    print(f"weights in float32: {weights / 1e6:.0f} MB; before the model: {before / 1e6:.0f} MB")
    rows = {**gauge.peaks, "largest": max(gauge.peaks.values())}
    seconds = {**gauge.seconds, "largest": sum(gauge.seconds.values())}
    for stage, peak in rows.items():
        above = peak - before
        wall, processor = seconds[stage]
        print(f"{stage:28} {above / 1e6:8.0f} MB {above / weights:7.2f} x {wall:7.1f} s "
              f"{processor:7.1f} s of the processor")  # fmt: skip
    print(json.dumps({"times": (rows["largest"] - before) / weights, "peaks": gauge.peaks}))


if __name__ == "__main__":
    if len(sys.argv) < 3 or sys.argv[1] in ("-h", "--help"):
        sys.exit(__doc__)
    main(sys.argv[1:])
