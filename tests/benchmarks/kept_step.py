"""Times a training step on JAX that keeps its state on the devices, beside Keras' `train_on_batch`.

Both take turns in one process. XLA's own count of the compiled step's operations and bytes stands
beside them, and with `--peak` the share of a device's peak that the step reaches.

    python tests/benchmarks/kept_step.py --help
"""

import os
import statistics
import time

os.environ["KERAS_BACKEND"] = "jax"

import click
import keras
import numpy as np
from rich.console import Console
from rich.table import Table

from keras_transformer.zoo.distributed.step import KeptStep, PlainStep
from keras_transformer.zoo.models.build import build
from keras_transformer.zoo.models.catalog import get_config
from keras_transformer.zoo.tasks.registry import task_named
from keras_transformer.zoo.training.memory.chunked_learner import ChunkedLearner
from keras_transformer.zoo.training.memory.remat import rematerialize

WARM_UP, STEPS = 3, 10


def made(config, task, dtype, loss_chunk=0, remat=False):
    """A compiled model, or its learner, whose optimizer is built."""
    keras.utils.set_random_seed(0)
    model = build(config, task, dtype=dtype)
    rematerialize(model, remat)
    if loss_chunk:
        model = ChunkedLearner(model, loss_chunk)
    optimizer = keras.optimizers.AdamW(1e-4, weight_decay=0.01, global_clipnorm=1.0)
    model.compile(optimizer=optimizer, loss=task.loss(0.0), jit_compile=True)
    model.optimizer.build(model.trainable_variables)
    return model


def batch_of(model, task, vocab_size, rows, length):
    rng = np.random.default_rng(0)
    ids = rng.integers(5, vocab_size, (rows, length + 1)).astype("int32")
    inputs = {
        tensor.name: ids[:, :-1] if tensor.name == "ids" else np.zeros((rows, length), "int32")
        for tensor in getattr(model, "model", model).inputs
    }
    return inputs, ids[:, 1:] if task.generates else np.arange(rows, dtype="int32") % 2


def timed(step, batch):
    start = time.perf_counter()
    for _ in range(STEPS):
        loss = step(*batch)
    float(loss)
    return (time.perf_counter() - start) / STEPS


@click.command()
@click.option("--model", default="bert_base", show_default=True, help="Model of the catalogue.")
@click.option("--task", "name", default="classification", show_default=True)
@click.option("--rows", default=8, show_default=True)
@click.option("--length", default=128, show_default=True)
@click.option("--dtype", default="mixed_bfloat16", show_default=True)
@click.option("--rounds", default=5, show_default=True, help="0 for the count of operations alone.")
@click.option("--peak", type=float, help="Operations a second that the device can do.")
@click.option("--loss-chunk", default=0, show_default=True)
@click.option("--remat", is_flag=True)
@click.option("--set", "settings", multiple=True, type=(str, int), help="Setting of the model.")
def main(
    model, name, rows, length, dtype, rounds, peak, loss_chunk, remat, settings
):  # fmt: skip
    """Time a training step, and count its operations."""
    config = get_config(model)
    config = config.replace(
        **{"vocab_size": config.vocab_size or 30522, "max_length": max(length, 128)}
        | dict(settings)
    )
    kind = task_named(name)
    task = kind(labels=["a", "b"]) if name == "classification" else kind()
    kept = KeptStep(made(config, task, dtype, loss_chunk, remat))
    batch = batch_of(kept._learner, task, config.vocab_size, rows, length)
    compiled = kept.compiled(*batch)
    cost, memory = compiled.cost_analysis(), compiled.memory_analysis()
    table = Table(title=f"{model}, {rows} rows of {length}, {dtype}")
    for column in ("step", "ms", "rows a second", "share of the peak"):
        table.add_column(column, justify="left" if column == "step" else "right")
    if rounds:
        steps = {"kept": kept, "train_on_batch": PlainStep(made(config, task, dtype))}
        for step in steps.values():
            for _ in range(WARM_UP):
                step(*batch)
        times = {key: [] for key in steps}
        for _ in range(rounds):
            for key, step in steps.items():
                times[key].append(timed(step, batch))
        for key, found in times.items():
            seconds = statistics.median(found)
            share = f"{cost['flops'] / seconds / peak:.1%}" if peak else "-"
            table.add_row(key, f"{1e3 * seconds:.2f}", f"{rows / seconds:.0f}", share)
        ratio = statistics.median(
            one / other for one, other in zip(*times.values(), strict=True)
        )
        table.caption = f"kept over train_on_batch: {ratio:.2f}"
    console = Console()
    console.print(table)
    console.print(f"{cost['flops'] / 1e9:.1f} GFLOP, {cost['bytes accessed'] / 1e9:.2f} GB a step")
    console.print(f"{memory.temp_size_in_bytes / 1e6:.1f} MB beside weights and optimizer")


if __name__ == "__main__":
    main()
