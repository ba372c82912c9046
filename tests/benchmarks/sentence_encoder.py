r"""A published sentence encoder as our files and as litert-torch's: latency, size and accuracy.

litert-torch needs an environment of its own:

    python -m venv theirs
    theirs/bin/pip install litert-torch==0.10.0 transformers click
    python tests/benchmarks/sentence_encoder.py ours MODEL --calibration texts.tsv --out files
    theirs/bin/python tests/benchmarks/sentence_encoder.py theirs MODEL --calibration texts.tsv \
        --out files
    python tests/benchmarks/sentence_encoder.py compare MODEL files --pairs stsb/test.tsv

MODEL is a folder that sentence-transformers wrote, with mean pooling and vectors of length 1, and
texts.tsv has the column `text`. `ours` writes what our parity check would refuse too. Both sides
read the same ids, 128 tokens with padding, and return the pooled vector; the files of both run in
one LiteRT with one thread, in turns. Ratios are of the thread's CPU time, which other programs
change less than the time that passes. The vectors of PyTorch's float model are the reference.
"""

import csv
import time
from pathlib import Path

import click
import numpy as np

LENGTH = 128
WARM_UP = 10
PRECISIONS = ("float32", "dynamic_int8", "int8", "static_int8", "int4", "integer")
PEERS = {"their float32": "float32", "their dynamic": "dynamic_wi8_afp32"}


def read_column(path: str, *names: str) -> list[list[str]]:
    """The columns of a file with tabs, without quoting."""
    with open(path, encoding="utf-8") as file:
        rows = list(csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE))
    return [[row[name] for row in rows] for name in names]


def encode(folder: str, texts: list[str]) -> tuple[np.ndarray, np.ndarray]:
    """Ids and mask (N, LENGTH)."""
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(folder)
    made = tokenizer(texts, padding="max_length", truncation=True, max_length=LENGTH)
    return np.array(made["input_ids"], np.int32), np.array(made["attention_mask"], np.int32)


def torch_model(folder: str):
    """The encoder with mean pooling: ids and mask (B, T) to vectors (B, D) of length 1."""
    import torch
    from transformers import AutoModel

    class Sentence(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.encoder = AutoModel.from_pretrained(folder)

        def forward(self, ids, mask):
            states = self.encoder(ids, mask).last_hidden_state
            weights = mask.to(states.dtype).unsqueeze(-1)
            pooled = (states * weights).sum(1) / weights.sum(1)
            return torch.nn.functional.normalize(pooled, dim=-1)

    return Sentence().eval()


@click.group(help=__doc__)
def main() -> None:
    pass


def writes_files(function):
    """Makes a command of a function of a model, the rows to calibrate on, and a folder."""
    function = click.option("--out", required=True, type=click.Path(path_type=Path))(function)
    function = click.option("--calibration", required=True)(function)
    return main.command()(click.argument("model")(function))


@writes_files
def ours(model: str, calibration: str, out: Path) -> None:
    """Write our files, and say what the parity check thinks of each."""
    from refused import written_though_refused

    from keras_transformer.edge.precision import PRECISIONS as KNOWN
    from keras_transformer.edge.targets.convert import convert
    from keras_transformer.zoo.pretrained.checkpoints import as_checkpoint

    out.mkdir(exist_ok=True)
    checkpoint = as_checkpoint(model)
    for name in PRECISIONS:
        data = {"calibration": calibration} if KNOWN[name].is_static else {}
        with written_though_refused():
            artifact = convert(checkpoint, name, lengths=[LENGTH], **data)
        (out / f"ours_{name}.tflite").write_bytes(bytes(artifact))


@writes_files
def theirs(model: str, calibration: str, out: Path) -> None:
    """Write litert-torch's file, and what ai-edge-quantizer's recipes make of it."""
    import litert_torch
    import torch
    from ai_edge_quantizer import recipe
    from ai_edge_quantizer.quantizer import Quantizer

    out.mkdir(exist_ok=True)
    ids, mask = encode(model, read_column(calibration, "text")[0])
    exact = out / "theirs_float32.tflite"
    example = torch.from_numpy(ids[:1]), torch.from_numpy(mask[:1])
    litert_torch.convert(torch_model(model), example).export(str(exact))
    rows = [{"args_0": ids[i : i + 1], "args_1": mask[i : i + 1]} for i in range(len(ids))]
    everything = recipe.static_wi8_ai8()
    recipes = {
        "dynamic_wi8_afp32": recipe.dynamic_wi8_afp32(),
        "static_wi8_ai8": everything,
        "static_wi8_ai8_matmuls": [{**part, "operation": "FULLY_CONNECTED"} for part in everything],
    }
    for name, steps in recipes.items():
        quantizer = Quantizer(str(exact), steps)
        ranges = None
        if quantizer.need_calibration:
            ranges = quantizer.calibrate({"serving_default": rows}, num_threads=1)
        result = quantizer.quantize(ranges)
        (out / f"theirs_{name}.tflite").write_bytes(result.quantized_model)


def vectors_of(interpreter, ids: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """The file's vectors (N, D), of length 1."""
    places = sorted(interpreter.get_input_details(), key=lambda detail: detail["name"])
    output = interpreter.get_output_details()[0]
    scale, zero = output["quantization"]
    vectors = []
    for row in zip(ids, mask, strict=True):
        for place, value in zip(places, row, strict=False):
            interpreter.set_tensor(place["index"], value[None])
        interpreter.invoke()
        vector = interpreter.get_tensor(output["index"])[0].astype(np.float32)
        vectors.append((vector - zero) * scale if scale else vector)
    return unit(np.array(vectors))


def unit(vectors: np.ndarray) -> np.ndarray:
    return vectors / np.maximum(np.linalg.norm(vectors, axis=-1, keepdims=True), 1e-12)


def reference_vectors(folder: str, ids: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """The float model's vectors (N, D), each batch cut to its longest text."""
    import torch

    model, vectors = torch_model(folder), []
    with torch.no_grad():
        for start in range(0, len(ids), 32):
            rows = slice(start, start + 32)
            longest = mask[rows].sum(1).max()
            parts = (torch.from_numpy(array[rows, :longest]) for array in (ids, mask))
            vectors.append(model(*parts).numpy())
    return np.concatenate(vectors)


def milliseconds(interpreters: list, runs: int) -> np.ndarray:
    """Passed and CPU time of invocations (2, files, runs), of a text that fills the length."""
    clocks = (time.perf_counter_ns, time.thread_time_ns)
    found = np.empty((len(clocks), len(interpreters), runs))
    for interpreter in interpreters:
        for detail in interpreter.get_input_details():
            interpreter.set_tensor(detail["index"], np.ones(detail["shape"], detail["dtype"]))
    for run in range(-WARM_UP, runs):
        for place, interpreter in enumerate(interpreters):
            starts = [clock() for clock in clocks]
            interpreter.invoke()
            if run >= 0:
                found[:, place, run] = [
                    clock() - t for clock, t in zip(clocks, starts, strict=True)
                ]
    return found / 1e6


@main.command()
@click.argument("model")
@click.argument("folder", type=click.Path(path_type=Path))
@click.option("--pairs", help="File with sentence1, sentence2 and score; latency alone without.")
@click.option("--files", "pattern", default="*.tflite", show_default=True)
@click.option("--runs", default=100, show_default=True)
def compare(model: str, folder: Path, pairs: str | None, pattern: str, runs: int) -> None:
    """Measure the files of a folder."""
    from ai_edge_litert.interpreter import Interpreter
    from rich.console import Console
    from rich.table import Table
    from scipy.stats import spearmanr

    from keras_transformer.edge.compare.benchmark import device_name

    files = sorted(folder.glob(pattern))
    opened = [Interpreter(model_path=str(path), num_threads=1) for path in files]
    for interpreter in opened:
        interpreter.allocate_tensors()
    passed, times = milliseconds(opened, runs)
    names = [path.stem for path in files]
    peers = {key: f"theirs_{name}" for key, name in PEERS.items() if f"theirs_{name}" in names}
    columns = ["median ms", "CPU ms", *(f"over {key}" for key in peers), "MB"]
    if pairs:
        columns += ["Spearman", "cosine, mean", "cosine, worst"]
        *texts, scores = read_column(pairs, "sentence1", "sentence2", "score")
        ids, mask = encode(model, [text for side in texts for text in side])
        reference = reference_vectors(model, ids, mask)
    table = Table("file", *columns, title=f"{LENGTH} tokens, 1 thread, {device_name()}")

    def accuracy(vectors):
        left, right = np.split(vectors, 2)
        rank = spearmanr((left * right).sum(1), np.array(scores, np.float64)).statistic
        cosines = (vectors * reference).sum(1)
        return f"{rank:.4f}", f"{cosines.mean():.4f}", f"{cosines.min():.4f}"

    for i, (path, interpreter) in enumerate(zip(files, opened, strict=True)):
        middle = np.median(times[i])
        # A ratio of two medians: both files take part in every round.
        ratios = (middle / np.median(times[names.index(peer)]) for peer in peers.values())
        table.add_row(
            path.stem, f"{np.median(passed[i]):.1f}", f"{middle:.1f}",
            *(f"{ratio:.3f}" for ratio in ratios), f"{path.stat().st_size / 1e6:.1f}",
            *(accuracy(vectors_of(interpreter, ids, mask)) if pairs else ()),
        )  # fmt: skip
    if pairs:
        table.add_row("PyTorch float32", *("-" * (len(peers) + 3)), *accuracy(reference))
    Console(width=140).print(table)


if __name__ == "__main__":
    main()
