"""Latency of encoders' files against what else a user would pick, one thread, in turns.

    python tests/benchmarks/encoders.py ours --shape minilm --out files
    pip install litert-torch ai-edge-quantizer transformers onnxruntime openvino nncf  # elsewhere
    python tests/benchmarks/encoders.py theirs --shape minilm --out files
    python tests/benchmarks/encoders.py compare files --over ours_float32

`ours` writes a classifier with random weights in every precision, and its ONNX graph. `theirs`
runs in an environment of its own: litert-torch's file of Hugging Face's BERT of that shape and
what ai-edge-quantizer makes of it, and of our ONNX graph what ONNX Runtime's quantizers and NNCF
make of it. `compare` needs that environment too. Every round runs each file once; ratios are of
medians, and of the thread's CPU time, which other programs change less than the time that passes.
"""

import contextlib
import time
from pathlib import Path

import click
import numpy as np

# Layers, width, heads, width of a head, feed-forward width; of bert_small also what `prune` leaves
# with half of its multiply-adds, by `--heads 4 --neurons 1024` and by `--layers 2`.
SHAPES = {
    "bert_small": (4, 512, 8, 64, 2048),
    "bert_small_narrow": (4, 512, 4, 64, 1024),
    "bert_small_shallow": (2, 512, 8, 64, 2048),
    "minilm": (6, 384, 12, 32, 1536),
}
PRECISIONS = ("float32", "dynamic_int8", "int8", "static_int8", "integer", "int4")
WARM_UP, LABELS, SEED_ROWS = 5, 2, 32


@click.group(help=__doc__)
def main() -> None:
    pass


def writes(function):
    """Makes a command of a function of a shape, a vocabulary, a length and a folder."""
    options = [
        click.option("--out", required=True, type=click.Path(path_type=Path)),
        click.option("--length", default=128, show_default=True),
        click.option("--vocabulary", default=30522, show_default=True),
        click.option("--shape", type=click.Choice(list(SHAPES)), default="bert_small"),
    ]
    for option in options:
        function = option(function)
    return main.command()(function)


def random_ids(count: int, length: int, vocabulary: int) -> np.ndarray:
    """Ids of texts that fill the length."""
    return np.random.default_rng(0).integers(5, vocabulary, (count, length), dtype=np.int32)


@writes
@click.option("--precision", "precisions", multiple=True, default=PRECISIONS, show_default=True)
@click.option("--onnx/--no-onnx", default=True, help="Whether the ONNX graph is written too.")
@click.option("--name", "prefix", default="ours", show_default=True, help="First part of names.")
def ours(
    shape: str, vocabulary: int, length: int, out: Path, precisions: tuple[str, ...], onnx: bool,
    prefix: str,
) -> None:  # fmt: skip
    """Write our files."""
    import latency
    import tensorflow as tf

    layers, width, heads, of_head, wide = SHAPES[shape]
    sizes = {
        "num_layers": layers, "hidden_dim": width, "num_heads": heads, "head_dim": of_head,
        "num_key_value_heads": heads, "intermediate_dim": wide, "vocab_size": vocabulary,
        "max_length": length,
    }  # fmt: skip
    catalog = latency.get_config
    latency.get_config = lambda name: catalog(name).replace(**sizes)
    trained, rows = latency.untrained("bert_small", length)
    rng = np.random.default_rng(1)
    for weight in trained.model.weights:
        # Zero biases and gammas of 1 would be folded away, as no trained model's are.
        if weight.name in ("gamma", "beta", "bias"):
            weight.assign(weight + rng.normal(0, 0.05, weight.shape).astype("float32"))
    out.mkdir(exist_ok=True, parents=True)
    for name, path in latency.write_files(trained, rows, precisions, out).items():
        path.rename(out / f"{prefix}_{name}.tflite")
    if onnx:
        import tf2onnx

        spec = [tf.TensorSpec((1, length), tf.int32, "ids")]
        function = tf.function(lambda ids: trained.model({"ids": ids}), input_signature=spec)
        tf2onnx.convert.from_function(
            function, spec, opset=17, output_path=str(out / "onnx_float32.onnx")
        )


@writes
@click.option("--torch/--no-torch", default=True, help="Whether litert-torch's file is written.")
def theirs(shape: str, vocabulary: int, length: int, out: Path, torch: bool) -> None:
    """Write the files of others, of which ONNX Runtime's and OpenVINO's have our weights."""
    ids = random_ids(SEED_ROWS, length, vocabulary)
    if torch:
        _litert_torch(shape, vocabulary, ids, out)
    exact = out / "onnx_float32.onnx"
    if exact.exists():
        _onnx_runtime(exact, ids, out)
        _openvino(exact, ids, out)


def _litert_torch(shape, vocabulary, ids, out):
    import litert_torch
    import torch
    from ai_edge_quantizer import recipe
    from ai_edge_quantizer.quantizer import Quantizer
    from transformers import BertConfig, BertForSequenceClassification

    layers, width, heads, of_head, wide = SHAPES[shape]
    if heads * of_head != width:
        raise click.UsageError(f"Expected a shape that BertConfig has, got shape={shape}.")
    config = BertConfig(
        num_hidden_layers=layers, hidden_size=width, num_attention_heads=heads,
        intermediate_size=wide, vocab_size=vocabulary, num_labels=LABELS,
    )  # fmt: skip

    class Classifier(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.bert = BertForSequenceClassification(config)

        def forward(self, ids, mask):
            return self.bert(ids, mask).logits

    example = torch.from_numpy(ids[:1]), torch.ones(1, ids.shape[1], dtype=torch.int32)
    path = out / "litert-torch_float32.tflite"
    litert_torch.convert(Classifier().eval(), example).export(str(path))
    quantizer = Quantizer(str(path), recipe.dynamic_wi8_afp32())
    data = quantizer.quantize().quantized_model
    (out / "litert-torch_dynamic_int8.tflite").write_bytes(data)


def _onnx_runtime(exact, ids, out):
    from onnxruntime.quantization import (
        CalibrationDataReader,
        QuantType,
        quantize_dynamic,
        quantize_static,
    )
    from onnxruntime.quantization.shape_inference import quant_pre_process

    class Rows(CalibrationDataReader):
        def __init__(self):
            self.rows = iter(ids)

        def get_next(self):
            row = next(self.rows, None)
            return None if row is None else {"ids": row[None]}

    prepared = out / "prepared.onnx"
    quant_pre_process(str(exact), str(prepared), skip_symbolic_shape=True)
    names = "onnxruntime_dynamic_int8.onnx", "onnxruntime_static_int8.onnx"
    quantize_dynamic(prepared, out / names[0], per_channel=True, weight_type=QuantType.QInt8)
    quantize_static(
        prepared, out / names[1], Rows(), per_channel=True, weight_type=QuantType.QInt8,
        activation_type=QuantType.QUInt8, op_types_to_quantize=["MatMul"],
    )  # fmt: skip
    prepared.unlink()


def _openvino(exact, ids, out):
    import nncf
    import openvino

    model = openvino.convert_model(str(exact))
    openvino.save_model(model, out / "openvino_float32.xml", compress_to_fp16=False)
    rows = nncf.Dataset([row[None] for row in ids])
    small = nncf.quantize(
        model, rows, subset_size=len(ids), model_type=nncf.ModelType.TRANSFORMER
    )
    openvino.save_model(small, out / "openvino_int8.xml")


def litert(path: Path, ids: np.ndarray):
    """A call of a LiteRT file on one thread, of the signature that reads as many tokens."""
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(model_path=str(path), num_threads=1)
    for name in interpreter.get_signature_list():
        runner = interpreter.get_signature_runner(name)
        inputs = {
            key: (ids if key in ("ids", "args_0") else np.ones(detail["shape"])).astype(
                detail["dtype"]
            )
            for key, detail in runner.get_input_details().items()
        }
        if all(tuple(d["shape"]) == ids.shape for d in runner.get_input_details().values()):
            return lambda runner=runner, inputs=inputs: runner(**inputs)
    raise SystemExit(f"Expected a signature of {ids.shape[1]} tokens in {path}, got none.")


def onnx_runtime(path: Path, ids: np.ndarray):
    """A call of an ONNX graph on one thread."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    return lambda: session.run(None, {"ids": ids})


def openvino_model(path: Path, ids: np.ndarray):
    """A call of an OpenVINO model on one thread, which is not this one: its time passed counts."""
    import openvino

    options = {"INFERENCE_NUM_THREADS": 1, "PERFORMANCE_HINT": "LATENCY"}
    request = openvino.Core().compile_model(path, "CPU", options).create_infer_request()
    return lambda: request.infer({0: ids})


OPENERS = {".tflite": litert, ".onnx": onnx_runtime, ".xml": openvino_model}


@main.command()
@click.argument("folder", type=click.Path(path_type=Path))
@click.option("--over", multiple=True, default=("ours_float32",), show_default=True)
@click.option("--runs", default=50, show_default=True)
@click.option("--length", default=128, show_default=True)
@click.option("--json", "as_json", is_flag=True)
def compare(folder: Path, over: tuple[str, ...], runs: int, length: int, as_json: bool) -> None:
    """Measure the files of a folder."""
    ids = random_ids(1, length, 1000)
    files = sorted(path for path in folder.iterdir() if path.suffix in OPENERS)
    calls = [OPENERS[path.suffix](path, ids) for path in files]
    # OpenVINO computes in a thread of its own: the CPU time of the whole process counts.
    clocks = time.perf_counter_ns, time.process_time_ns
    found = np.empty((2, len(files), runs))
    for run in range(-WARM_UP, runs):
        for place, call in enumerate(calls):
            starts = [clock() for clock in clocks]
            call()
            if run >= 0:
                found[:, place, run] = [
                    clock() - start for clock, start in zip(clocks, starts, strict=True)
                ]
    milliseconds = found / 1e6
    names = [f"{path.stem}{' (ONNX Runtime)' * (path.suffix == '.onnx')}" for path in files]
    stems = [path.stem for path in files]
    _show(names, stems, milliseconds, over, as_json)


def _show(names, stems, milliseconds, over, as_json):
    import json

    passed, cpu = (np.median(one, axis=1) for one in milliseconds)
    # What passes when nothing interrupts.
    least = milliseconds[0].min(axis=1)
    rows = [
        {
            "file": name, "ms": round(float(passed[i]), 2), "cpu_ms": round(float(cpu[i]), 2),
            "least_ms": round(float(least[i]), 2),
            **{f"cpu over {one}": round(float(cpu[i] / cpu[stems.index(one)]), 3) for one in over},
            **{
                f"least over {one}": round(float(least[i] / least[stems.index(one)]), 3)
                for one in over
            },
        }
        for i, name in enumerate(names)
    ]  # fmt: skip
    if as_json:
        click.echo(json.dumps(rows, indent=1))
        return
    with contextlib.suppress(OSError):
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
        click.echo(next(line for line in lines if line.startswith("model name")))
    widths = [max(len(str(row[key])) for row in [*rows, {key: key}]) for key in rows[0]]
    for row in [dict(zip(rows[0], rows[0], strict=True)), *rows]:
        click.echo("  ".join(str(v).rjust(w) for v, w in zip(row.values(), widths, strict=True)))


if __name__ == "__main__":
    main()
