"""Latency of a catalogue encoder's files against ONNX Runtime with the same weights, in turns.

    pip install tf2onnx==1.17.0 onnxruntime
    python tests/benchmarks/onnx_runtime.py --model bert_small --length 128

One thread. ONNX Runtime runs the float model, and what its own `quantize_dynamic` makes of it. The
weights are random: the time of an op does not depend on them.
"""

import tempfile
import time
from pathlib import Path

import click
import numpy as np
import onnxruntime
import tensorflow as tf
import tf2onnx
from ai_edge_litert.interpreter import Interpreter
from latency import untrained, write_files
from onnxruntime.quantization import QuantType, quantize_dynamic
from rich.console import Console
from rich.table import Table

from keras_transformer.edge.runtime.packed import unpack

WARM_UP = 5
PRECISIONS = ("float32", "dynamic_int8", "int8")


def litert(path: Path, ids: np.ndarray):
    interpreter = Interpreter(model_content=unpack(path)[0], num_threads=1)
    runner = interpreter.get_signature_runner("predict")
    return lambda: runner(ids=ids)["output"]


def onnx(path: Path, ids: np.ndarray):
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    return lambda: session.run(None, {"ids": ids})[0]


@click.command(help=__doc__)
@click.option("--model", default="bert_small", show_default=True)
@click.option("--length", default=128, show_default=True)
@click.option("--runs", default=50, show_default=True)
def main(model: str, length: int, runs: int) -> None:
    trained, rows = untrained(model, length)
    ids, calls = rows[:1], {}
    with tempfile.TemporaryDirectory() as folder:
        for name, path in write_files(trained, rows, PRECISIONS, Path(folder)).items():
            calls[f"LiteRT {name}"] = litert(path, ids)
        spec = [tf.TensorSpec((1, length), tf.int32, "ids")]
        function = tf.function(lambda ids: trained.model({"ids": ids}), input_signature=spec)
        exact, dynamic = Path(folder) / "model.onnx", Path(folder) / "dynamic.onnx"
        tf2onnx.convert.from_function(function, spec, opset=17, output_path=str(exact))
        quantize_dynamic(exact, dynamic, per_channel=True, weight_type=QuantType.QInt8)
        calls["ONNX Runtime float32"] = onnx(exact, ids)
        calls["ONNX Runtime dynamic int8"] = onnx(dynamic, ids)
        reference = np.asarray(trained.model({"ids": ids}))
        milliseconds = np.empty((len(calls), runs))
        for call in calls.values():
            for _ in range(WARM_UP):
                call()
        for run in range(runs):
            for place, call in enumerate(calls.values()):
                start = time.perf_counter_ns()
                call()
                milliseconds[place, run] = (time.perf_counter_ns() - start) / 1e6
        medians = np.median(milliseconds, axis=1)
        table = Table(
            "runtime", "median ms", "over LiteRT float32", "over ONNX Runtime dynamic int8",
            "largest difference", title=f"{model}, length {length}, 1 thread",
        )  # fmt: skip
        for (name, call), median in zip(calls.items(), medians, strict=True):
            table.add_row(
                name, f"{median:.1f}", f"{median / medians[0]:.3f}", f"{median / medians[-1]:.3f}",
                f"{np.abs(call() - reference).max():.2g}",
            )  # fmt: skip
    Console(width=120).print(table)


if __name__ == "__main__":
    main()
