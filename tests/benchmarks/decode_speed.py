"""Tokens a second of a language model's files and of llama.cpp's, one token after another.

    python tests/benchmarks/decode_speed.py llama_128/*.tflite --gguf llama-Q8_0.gguf

All have one thread and the same core and take turns, each from a prompt of 8 tokens to the length
of the first file's caches, which is llama.cpp's context too. `llama_shape.py` writes files of the
same random weights. Two times of each: the steps alone, and the whole loop that a program calls
(`Runner`'s greedy generation; `Llama.generate` at temperature 0). Needs `llama-cpp-python`.
"""

import os
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import click
import numpy as np

PROMPT = 8
# A side: its steps from a prompt, and its whole loop; both return the tokens.
Side = tuple[Callable[[], list[int]], Callable[[], list[int]]]


def ours(path: Path, prompt: np.ndarray, count: int) -> tuple[Side, int]:
    """A file of ours and the length of its caches."""
    from keras_transformer.edge.runtime.runner import Runner
    from keras_transformer.zoo.generation.decoding import Decoding
    from keras_transformer.zoo.generation.loop import generate

    steps = Runner(path, threads=1).steps
    count = count or steps.cache_length - PROMPT

    def alone():
        cache, token, made = steps.prefill(prompt[None, :-1]), prompt[-1], []
        start = time.perf_counter()
        for _ in range(count):
            logits, cache = steps.step(np.array([token]), cache)
            token = logits[0].argmax()
            made.append(int(token))
        return time.perf_counter() - start, made

    def loop():
        cache = steps.prefill(prompt[None, :-1])
        decoding = Decoding(max_tokens=count)
        start = time.perf_counter()
        made = generate(steps, cache, prompt[-1:], decoding, stop_ids=())
        return time.perf_counter() - start, list(made[0].ids)

    return (alone, loop), count


def theirs(path: Path, prompt: np.ndarray, count: int) -> Side:
    """A file of llama.cpp."""
    import llama_cpp

    model = llama_cpp.Llama(
        str(path), n_ctx=PROMPT + count, n_threads=1, n_threads_batch=1, verbose=False
    )

    def alone():
        model.reset()
        model.eval(prompt[:-1].tolist())
        token, made, context = int(prompt[-1]), [], model._ctx.ctx
        places = np.zeros(1, np.int32)
        start = time.perf_counter()
        for _ in range(count):
            places[0] = token
            batch = llama_cpp.llama_batch_get_one(places.ctypes.data_as(llama_cpp.llama_token_p
                    if hasattr(llama_cpp, "llama_token_p") else
                    __import__("ctypes").POINTER(llama_cpp.llama_token)), 1)
            if llama_cpp.llama_decode(context, batch):
                raise click.ClickException(f"{path}: llama.cpp could not decode.")
            logits = np.ctypeslib.as_array(
                llama_cpp.llama_get_logits_ith(context, -1), (model.n_vocab(),)
            )
            token = int(logits.argmax())
            made.append(token)
        return time.perf_counter() - start, made

    def loop():
        model.reset()
        made = []
        given = model.generate(prompt.tolist(), temp=0.0, top_k=1, repeat_penalty=1.0)
        made.append(next(given))
        start = time.perf_counter()
        while len(made) < count:
            made.append(next(given))
        return time.perf_counter() - start, made

    return alone, loop


@click.command(help=__doc__)
@click.argument("files", nargs=-1, type=click.Path(path_type=Path))
@click.option("--gguf", multiple=True, type=click.Path(path_type=Path), help="May be repeated.")
@click.option("--rounds", default=5, show_default=True)
@click.option("--core", default=0, show_default=True)
def main(files: tuple[Path, ...], gguf: tuple[Path, ...], rounds: int, core: int) -> None:
    os.sched_setaffinity(0, {core})
    prompt = np.random.default_rng(0).integers(1000, 40000, PROMPT).astype(np.int32)
    sides, count = {}, 0
    for path in files:
        sides[path.name], count = ours(path, prompt, count)
    for path in gguf:
        sides[path.name] = theirs(path, prompt, count)
    click.echo(f"{count} tokens after {PROMPT}")
    seconds = {(name, kind): [] for name in sides for kind in range(2)}
    for measured in range(-1, rounds):
        for name, side in sides.items():
            for kind, run in enumerate(side):
                taken, made = run()
                if measured < 0 and kind == 0:
                    click.echo(f"{name}: {made[:8]}")
                if measured >= 0:
                    seconds[name, kind].append(taken)
    first = next(iter(sides))
    for kind, said in enumerate(("steps alone", "whole loop")):
        for name in sides:
            taken = seconds[name, kind]
            ratio = statistics.median(
                one / other for one, other in zip(seconds[first, kind], taken, strict=True)
            )
            click.echo(f"{said:12} {name:32} {count / statistics.median(taken):7.1f} tokens a second, "
                       f"best {count / min(taken):7.1f}, {ratio:5.2f} times {first}")  # fmt: skip


if __name__ == "__main__":
    main()
