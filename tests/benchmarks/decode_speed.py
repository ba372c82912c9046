"""Tokens a second of a language model's files and of llama.cpp's, one token after another.

    python tests/benchmarks/decode_speed.py llama_128/*.tflite --gguf llama-Q8_0.gguf

All have one thread and the same core and take turns, each from a prompt of 8 tokens to the length
of the first file's caches, which is llama.cpp's context too. `llama_shape.py` writes files of the
same random weights. Times are those of the processor, so that a shared machine's other work counts
little: of the steps, of our files also of `Runner`'s whole loop, and of llama.cpp of a request less
one for a single token. Needs `xllamacpp`, llama.cpp's server in wheels.
"""

import os
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import click
import numpy as np

PROMPT = 8
# A side: its steps from a prompt, and its whole loop, if it has one; seconds and tokens of each.
Run = Callable[[], tuple[float, list[int]]]
Side = tuple[Run, Run | None]


def ours(path: Path, prompt: np.ndarray, count: int) -> tuple[Side, int]:
    """A file of ours and the length of its caches."""
    from keras_transformer.edge.runtime.runner import Runner
    from keras_transformer.zoo.generation.decoding import Decoding
    from keras_transformer.zoo.generation.loop import generate

    steps = Runner(path, threads=1).steps
    count = count or steps.cache_length - PROMPT

    def alone():
        cache, token, made = steps.prefill(prompt[None, :-1]), prompt[-1], []
        start = time.process_time()
        for _ in range(count):
            logits, cache = steps.step(np.array([token]), cache)
            token = logits[0].argmax()
            made.append(int(token))
        return time.process_time() - start, made

    def loop():
        cache = steps.prefill(prompt[None, :-1])
        decoding = Decoding(max_tokens=count)
        start = time.process_time()
        made = generate(steps, cache, prompt[-1:], decoding, stop_ids=())
        return time.process_time() - start, list(made[0].ids)

    return (alone, loop), count


def theirs(path: Path, prompt: np.ndarray, count: int) -> Side:
    """A file of llama.cpp, by its own clock of the steps."""
    import xllamacpp

    params = xllamacpp.CommonParams()
    params.model.path, params.n_ctx, params.n_parallel = str(path), PROMPT + count, 1
    params.cpuparams.n_threads = params.cpuparams_batch.n_threads = 1
    params.warmup = False
    server = xllamacpp.Server(params)
    request = {
        "prompt": prompt.tolist(), "temperature": 0, "top_k": 1, "ignore_eos": True,
        "cache_prompt": False, "return_tokens": True,
    }  # fmt: skip

    def taken(tokens):
        start = time.process_time()
        made = server.handle_completions({**request, "n_predict": tokens})
        if made["timings"]["predicted_n"] != tokens:
            raise click.ClickException(f"Expected {tokens} tokens of {path}, got {made!r}.")
        return time.process_time() - start, list(made.get("tokens", ()))

    def alone():
        seconds, made = taken(count)
        # The first token is the prompt's.
        return (seconds - taken(1)[0]) * count / (count - 1), made

    return alone, None


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
                if run is None:
                    continue
                taken, made = run()
                if measured < 0 and kind == 0:
                    click.echo(f"{name}: {made[:8]}")
                if measured >= 0:
                    seconds[name, kind].append(taken)
    first = next(iter(sides))
    for kind, said in enumerate(("steps alone", "whole loop")):
        for name in sides:
            taken = seconds[name, kind]
            if not taken:
                continue
            ratio = statistics.median(
                one / other for one, other in zip(seconds[first, kind], taken, strict=True)
            )
            rate, best = count / statistics.median(taken), count / min(taken)
            click.echo(f"{said:12} {name:32} {rate:7.1f} tokens a second of the processor, "
                       f"best {best:7.1f}, {ratio:5.2f} times {first}")  # fmt: skip


if __name__ == "__main__":
    main()
