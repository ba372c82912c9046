"""Tokens a second of a language model's files and of llama.cpp's, one token after another.

    python tests/benchmarks/decode_speed.py llama_128/*.tflite --gguf llama-Q8_0.gguf

All have one thread and the same core and take turns, each with as many tokens after a prompt.
`llama_shape.py` writes files of the same random weights. A step of our files takes the same time
at each position of their caches, one of llama.cpp is in proportion to those that are filled. Times
are those of the processor, so that a shared machine's other work counts little: of the steps, with
`--loop` of our files also of `Runner`'s whole loop, and of llama.cpp of a request less one for a
single token. Needs `xllamacpp`, llama.cpp's server in wheels.
"""

import os
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import click
import numpy as np

# A side: its steps from a prompt, and its whole loop, if it has one; seconds and tokens of each.
Run = Callable[[], tuple[float, list[int]]]
Side = tuple[Run, Run | None]


def ours(path: Path, prompt: np.ndarray, count: int) -> Side:
    """A file of ours."""
    from keras_transformer.edge.runtime.runner import Runner
    from keras_transformer.zoo.generation.decoding import Decoding
    from keras_transformer.zoo.generation.loop import generate

    steps = Runner(path, threads=1).steps

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

    return alone, loop


def theirs(path: Path, prompt: np.ndarray, count: int) -> Side:
    """A file of llama.cpp."""
    import xllamacpp

    params = xllamacpp.CommonParams()
    params.model.path, params.n_ctx, params.n_parallel = str(path), len(prompt) + count, 1
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
@click.option("--prompt", default=8, show_default=True, help="Tokens of the prompt.")
@click.option("--tokens", "count", default=120, show_default=True, help="Tokens after it.")
@click.option("--loop", is_flag=True, help="Also the whole loop of our files.")
@click.option("--rounds", default=5, show_default=True)
@click.option("--core", default=0, show_default=True)
def main(
    files: tuple[Path, ...], gguf: tuple[Path, ...], prompt: int, count: int, loop: bool,
    rounds: int, core: int,
) -> None:  # fmt: skip
    os.sched_setaffinity(0, {core})
    ids = np.random.default_rng(0).integers(1000, 40000, prompt).astype(np.int32)
    sides: dict[str, Side] = {}
    for path in files:
        alone, whole = ours(path, ids, count)
        sides[path.name] = alone, whole if loop else None
    for path in gguf:
        sides[path.name] = theirs(path, ids, count)
    click.echo(f"{count} tokens after {prompt}")
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
