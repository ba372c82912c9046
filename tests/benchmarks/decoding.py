"""Tokens a second of greedy decoding, batch 1: the file, our Keras loop and keras-hub's generate.

All take turns in one process; a ratio is the median over the rounds of two times of one round.
The weights are random, which no time depends on. A decoder of 4 layers, d=256, F=1024, 8,000
words, 8 tokens of prompt and generation to the length. Needs keras-hub for its column:
`pip install keras-hub`.

    python tests/benchmarks/decoding.py --length 64
"""

import os
import statistics
import tempfile
import time
from pathlib import Path

os.environ["KERAS_BACKEND"] = "tensorflow"
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import click
import keras
import numpy as np
from rich.console import Console
from rich.table import Table

from keras_transformer.edge.precision import PRECISIONS
from keras_transformer.edge.runtime.runner import Runner
from keras_transformer.edge.targets.convert import convert
from keras_transformer.zoo.checkpoint import Checkpoint
from keras_transformer.zoo.data.batches import Batches
from keras_transformer.zoo.generation.decoding import Decoding
from keras_transformer.zoo.generation.loop import generate
from keras_transformer.zoo.modalities.text import Text
from keras_transformer.zoo.models.build import build
from keras_transformer.zoo.models.config import TransformerConfig
from keras_transformer.zoo.models.running.compiled_steps import CompiledSteps
from keras_transformer.zoo.models.running.decoding_steps import KerasSteps
from keras_transformer.zoo.recipe import Recipe
from keras_transformer.zoo.tasks.language_modeling import LanguageModeling
from keras_transformer.zoo.tasks.registry import TASKS
from keras_transformer.zoo.tokenizers.piece_list import SPECIAL_TOKENS
from keras_transformer.zoo.tokenizers.tokenizer import Tokenizer
from keras_transformer.zoo.tokenizers.tokenizer_config import TokenizerConfig

VOCAB_SIZE, NUM_LAYERS, NUM_HEADS, HIDDEN_DIM, PROMPT = 8000, 4, 4, 256, 8


def untrained(length: int) -> Checkpoint:
    """A language model with random weights."""
    keras.utils.set_random_seed(0)
    config = TransformerConfig(
        architecture="decoder", vocab_size=VOCAB_SIZE, max_length=length, hidden_dim=HIDDEN_DIM,
        intermediate_dim=4 * HIDDEN_DIM, num_layers=NUM_LAYERS, num_heads=NUM_HEADS,
        activation="gelu_tanh", pre_norm=True,
    )  # fmt: skip
    task = LanguageModeling()
    pieces = [*SPECIAL_TOKENS, *(f"p{i}" for i in range(VOCAB_SIZE - len(SPECIAL_TOKENS)))]
    rows = np.random.default_rng(0).integers(5, VOCAB_SIZE, (8, length), dtype=np.int32)
    return Checkpoint(
        config=config, task=task, model=build(config, task), metrics={}, probes={"ids": rows},
        modality=Text(tokenizer=Tokenizer(TokenizerConfig(), pieces), max_length=length),
        recipe=Recipe.of_task(TASKS[task.name], model="-", train="-", validation="-"),
    )  # fmt: skip


def loop(steps, prompt: np.ndarray, length: int):
    """Our generation loop over a model's side."""
    count = length - len(prompt)

    def run():
        cache = steps.prefill(prompt[None, :-1])
        made = generate(
            steps, cache, prompt[-1:], Decoding(max_tokens=count), stop_ids=(), forbidden_ids=(0,)
        )
        return made[0].ids

    return run


def without_cache(trained: Checkpoint, prompt: np.ndarray, length: int, folder: Path):
    """The same tokens from a file that reads the whole text anew for each of them."""
    import tensorflow as tf
    from ai_edge_litert.interpreter import Interpreter

    model = trained.model
    spec = [tf.TensorSpec((1, length), tf.int32, name="ids")]
    function = tf.function(lambda ids: model({"ids": ids}, training=False), input_signature=spec)
    converter = tf.lite.TFLiteConverter.from_concrete_functions([function.get_concrete_function()])
    interpreter = Interpreter(model_content=converter.convert(), num_threads=1)
    interpreter.allocate_tensors()
    place = interpreter.get_input_details()[0]["index"]
    result = interpreter.get_output_details()[0]["index"]

    def run():
        ids = np.zeros((1, length), np.int32)
        ids[0, : len(prompt)] = prompt
        for position in range(len(prompt), length):
            interpreter.set_tensor(place, ids)
            interpreter.invoke()
            logits = interpreter.get_tensor(result)[0, position - 1]
            logits[0] = -np.inf
            ids[0, position] = logits.argmax()
        return ids[0, len(prompt) :]

    return run


def keras_hub_generate(prompt: np.ndarray, length: int, jit_compile):
    """keras-hub's GPT-2 of the same size, greedy, without its text preprocessing."""
    import keras_hub

    backbone = keras_hub.models.GPT2Backbone(
        VOCAB_SIZE, NUM_LAYERS, NUM_HEADS, HIDDEN_DIM, 4 * HIDDEN_DIM, dropout=0.0,
        max_sequence_length=length,
    )  # fmt: skip
    model = keras_hub.models.GPT2CausalLM(backbone, preprocessor=None)
    model.compile(sampler="greedy", jit_compile=jit_compile)
    ids = np.zeros((1, length), np.int32)
    ids[0, : len(prompt)] = prompt
    inputs = {"token_ids": ids, "padding_mask": (np.arange(length) < len(prompt))[None]}
    return lambda: model.generate(inputs, stop_token_ids=None)["token_ids"][0, len(prompt) :]


@click.command(help=__doc__)
@click.option("--length", default=64, show_default=True, help="Positions, the prompt included.")
@click.option("--rounds", default=10, show_default=True)
def main(length: int, rounds: int) -> None:
    trained = untrained(length)
    prompt = trained.probes["ids"][0, :PROMPT]
    calibration = Batches({"ids": list(trained.probes["ids"])}, batch_tokens=4 * length)
    runs = {}
    with tempfile.TemporaryDirectory() as folder:
        for precision in ("float32", "dynamic_int8", "int8"):
            path = Path(folder) / f"{precision}.tflite"
            given = calibration if PRECISIONS[precision].is_static else None
            path.write_bytes(bytes(convert(trained, precision, calibration=given)))
            runs[f"{precision}.tflite, cache"] = loop(Runner(path).steps, prompt, length)
        runs["float32.tflite, no cache"] = without_cache(trained, prompt, length, Path(folder))
    for name, kind in (("Keras, our loop", KerasSteps), ("Keras, our loop, XLA", CompiledSteps)):
        steps = kind(trained.model, trained.config, length)
        runs[name] = loop(steps, prompt, length)
    runs["keras-hub generate"] = keras_hub_generate(prompt, length, False)
    runs["keras-hub generate, XLA"] = keras_hub_generate(prompt, length, True)
    ours = [run() for name, run in runs.items() if name in ("float32.tflite, cache",
            "float32.tflite, no cache", "Keras, our loop", "Keras, our loop, XLA")]  # fmt: skip
    for other in ours[1:]:
        np.testing.assert_array_equal(ours[0], other)
    seconds = {name: [] for name in runs}
    for measured in range(-1, rounds):
        for name, run in runs.items():
            start = time.perf_counter()
            run()
            if measured >= 0:
                seconds[name].append(time.perf_counter() - start)
    peers = ("float32.tflite, no cache", "keras-hub generate", "keras-hub generate, XLA")
    table = Table("", "tokens/s", *(f"over {peer}" for peer in peers))
    for name, times in seconds.items():
        ratios = [
            statistics.median(b / a for a, b in zip(times, seconds[peer], strict=True))
            for peer in peers
        ]
        rate = (length - PROMPT) / statistics.median(times)
        table.add_row(name, f"{rate:.0f}", *(f"{value:.2f}" for value in ratios))
    Console(width=110).print(table)


if __name__ == "__main__":
    main()
