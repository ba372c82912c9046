"""A published language model as our model and files, beside transformers and llama.cpp.

    python tests/benchmarks/language_model.py write MODEL files --precision dynamic_int8
    python tests/benchmarks/language_model.py same MODEL files --keras
    python tests/benchmarks/language_model.py same MODEL files --beams 4 --prompts 2 --tokens 16
    python tests/benchmarks/language_model.py speed files --gguf model-Q8_0.gguf

MODEL is a folder that transformers wrote. `write` writes what our parity check would refuse too.
`same` compares texts, chosen greedily or by beam search, since our vocabularies number the pieces
otherwise: it counts the tokens that transformers' float32 model wrote up to the first difference.
`speed` times the reading of a short prompt and the decoding with one thread, of our files and of
llama.cpp (xllamacpp, which has wheels) in turns; the end of a text is no reason to stop.
"""

import statistics
import time
from pathlib import Path

import click
import numpy as np

LENGTH = 128
# A short prompt is not read at the full length.
LENGTHS = (16, LENGTH)
PROMPTS = (
    "The capital of France is",
    "Once upon a time, there was a little girl who",
    "def fibonacci(n):\n    ",
    "The three most important things to know about the ocean are",
    "In the year 1969, the first",
)


@click.group(help=__doc__)
def main() -> None:
    pass


@main.command()
@click.argument("model")
@click.argument("folder", type=click.Path(path_type=Path))
@click.option("--precision", default="float32", show_default=True)
def write(model: str, folder: Path, precision: str) -> None:
    """Write our file of a precision, and say what the parity check thinks of it."""
    from refused import written_though_refused

    from keras_transformer.edge.targets.convert import convert
    from keras_transformer.zoo.pretrained.checkpoints import as_checkpoint

    folder.mkdir(exist_ok=True)
    with written_though_refused():
        data = bytes(convert(as_checkpoint(model), precision, lengths=LENGTHS))
    (folder / f"{precision}.tflite").write_bytes(data)


def continuation(steps, prompt: np.ndarray, tokens: int) -> list[int]:
    """What a file of ours writes after the prompt's ids (T,), whatever they stand for."""
    from keras_transformer.zoo.generation.decoding import Decoding
    from keras_transformer.zoo.generation.loop import generate

    cache = steps.prefill(prompt[None, :-1])
    decoding = Decoding(max_tokens=tokens)
    return list(generate(steps, cache, prompt[-1:], decoding, stop_ids=())[0].ids)


def until_different(text: str, reference: list[int], decode) -> int:
    """Number of the reference's tokens that a text begins with."""
    counts = range(len(reference) + 1)
    return max(count for count in counts if text.startswith(decode(reference[:count])))


@main.command()
@click.argument("model")
@click.argument("folder", type=click.Path(path_type=Path))
@click.option("--keras", "with_keras", is_flag=True, help="Also the Keras model.")
@click.option("--beams", default=1, show_default=True)
@click.option("--prompts", default=len(PROMPTS), show_default=True)
@click.option("--tokens", default=64, show_default=True)
def same(
    model: str, folder: Path, with_keras: bool, beams: int, prompts: int, tokens: int
) -> None:  # fmt: skip
    """Compare the tokens with those of transformers."""
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    from keras_transformer.edge.runtime.runner import Runner
    from keras_transformer.zoo.pretrained.checkpoints import as_checkpoint

    tokenizer = AutoTokenizer.from_pretrained(model)
    reference = AutoModelForCausalLM.from_pretrained(model, dtype=torch.float32).eval()
    end = reference.config.eos_token_id
    ids = [np.array(tokenizer(text)["input_ids"], np.int32) for text in PROMPTS[:prompts]]
    expected = []
    for row in ids:
        given = torch.from_numpy(row[None].astype(np.int64))
        made = reference.generate(
            given, attention_mask=torch.ones_like(given), max_new_tokens=tokens, num_beams=beams,
            do_sample=False, pad_token_id=end,
        )  # fmt: skip
        expected.append(made[0, len(row) :].tolist())
    sides = {path.name: Runner(path) for path in sorted(folder.glob("*.tflite"))}
    if with_keras:
        sides["Keras"] = as_checkpoint(model)
    for name, side in sides.items():
        counts = []
        for text, want in zip(PROMPTS, expected, strict=False):
            own = side.generate([text], max_tokens=tokens, beams=beams)[0]
            want = [number for number in want if number != end]
            counts.append(f"{until_different(own, want, tokenizer.decode)} of {len(want)}")
        click.echo(f"{name}, {beams} beams: {'; '.join(counts)}")
    for want in expected:
        click.echo(repr(tokenizer.decode(want)))


def llama(path: str, prompt: np.ndarray, tokens: int):
    """A run of llama.cpp that takes the most probable token."""
    import xllamacpp

    params = xllamacpp.CommonParams()
    params.model.path, params.n_ctx, params.n_parallel = path, 2 * LENGTH, 1
    params.cpuparams.n_threads = params.cpuparams_batch.n_threads = 1
    server = xllamacpp.Server(params)
    request = {
        "prompt": prompt.tolist(), "max_tokens": tokens, "temperature": 0, "ignore_eos": True,
        "cache_prompt": False,
    }  # fmt: skip

    def run():
        made = server.handle_completions(request)["usage"]["completion_tokens"]
        if made != tokens:
            raise click.ClickException(f"Expected {tokens} tokens of {path}, got {made}.")

    return run


@main.command()
@click.argument("folder", type=click.Path(path_type=Path))
@click.option("--gguf", multiple=True, help="File of llama.cpp; may be repeated.")
@click.option("--tokens", default=64, show_default=True)
@click.option("--rounds", default=5, show_default=True)
def speed(folder: Path, gguf: tuple[str, ...], tokens: int, rounds: int) -> None:
    """Tokens a second, of wall time and of CPU time."""
    from keras_transformer.edge.runtime.runner import Runner

    prompt, runs = np.array([504, 3575, 282, 4649, 314, 253, 1230, 284], np.int32), {}
    for path in sorted(folder.glob("*.tflite")):
        steps = Runner(path, threads=1).steps
        runs[path.name] = lambda steps=steps: continuation(steps, prompt, tokens)
    for path in gguf:
        runs[Path(path).name] = llama(path, prompt, tokens)
    clocks = (time.perf_counter, time.process_time)
    seconds = {name: [] for name in runs}
    for measured in range(-1, rounds):
        for name, run in runs.items():
            starts = [clock() for clock in clocks]
            run()
            if measured >= 0:
                seconds[name].append(
                    [clock() - start for clock, start in zip(clocks, starts, strict=True)]
                )
    for name, times in seconds.items():
        wall, cpu = (tokens / statistics.median(part) for part in zip(*times, strict=True))
        click.echo(f"{name}: {wall:.1f} tokens a second, {cpu:.1f} of CPU time")


if __name__ == "__main__":
    main()
