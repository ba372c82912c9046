"""One runner in several threads, several workers in one runner: the answers of one alone."""

import itertools
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from keras_transformer.edge.runtime import decode_graph
from keras_transformer.edge.runtime.engines import Engines
from keras_transformer.edge.runtime.runner import Runner
from keras_transformer.edge.targets.convert import convert
from keras_transformer.zoo.errors import InputError
from tests.edge.models import random_model
from tests.slow import mostly_slow

THREADS = 8
PROMPTS = ["abc", "a longer prompt", "x", "what the", "0123456789"]
OPTIONS = [
    {"max_tokens": 12}, {"max_tokens": 9, "beams": 3},
    {"max_tokens": 10, "temperature": 0.8, "seed": 3},
]  # fmt: skip


def wrong_of(function, cases, count, threads=THREADS):
    """Calls a function in threads at once, and returns how many of the results are not alone's."""
    expected = [function(case) for case in cases]
    start = threading.Barrier(threads)

    def work(number):
        start.wait()
        # Each thread in an order of its own.
        places = np.random.default_rng(number).integers(len(cases), size=count // threads)
        return sum(function(cases[place]) != expected[place] for place in places)

    with ThreadPoolExecutor(threads) as pool:
        return sum(pool.map(work, range(threads)))


def streamed(runner, prompt):
    """What is generated, put together from the pieces that were told."""
    pieces = []
    (one,) = runner.generator().generate(
        [prompt], max_tokens=8, on_text=lambda row, piece: pieces.append((row, piece))
    )
    assert all(row == 0 for row, _ in pieces)
    return "".join(piece for _, piece in pieces), one


@pytest.fixture(scope="module")
def regression():
    return bytes(convert(random_model("regression"), "float32", lengths=[4, 8, 12]))


@pytest.mark.parametrize(
    ("kind", "workers"),
    mostly_slow(
        itertools.product(["float32", "int8", "regression"], [1, 2]),
        [("int8", 1), ("int8", 2), ("regression", 1)],
    ),
)
def test_predictions_of_eight_threads_are_those_of_one(kind, workers, files, runs, regression):
    source = regression if kind == "regression" else files[kind]
    texts = [" ".join(f"w{i}" for i in range(n)) for n in range(1, 15)] + runs.examples.texts[:50]
    runner = Runner(source, workers=workers)
    assert wrong_of(lambda text: runner.scores([text]).tolist(), texts, 2_000) == 0


@pytest.mark.slow
@pytest.mark.parametrize(
    ("kind", "workers"), list(itertools.product(["gpt", "transformer"], [1, 2]))
)
def test_texts_of_eight_threads_are_those_of_one(kind, workers, written):
    runner = Runner(written(kind), workers=workers)
    cases = [(prompt, options) for prompt in PROMPTS for options in OPTIONS]
    assert wrong_of(lambda case: runner.generations([case[0]], **case[1]), cases, 120) == 0
    assert wrong_of(lambda prompt: streamed(runner, prompt), PROMPTS, 64) == 0


@pytest.mark.slow
def test_predictions_and_perplexities_at_once(written, tmp_path):
    path = tmp_path / "plain.txt"
    path.write_text("some words to go by, more than the cache holds\n" * 2)
    runner = Runner(written("gpt"))
    cases = [lambda: runner.perplexity(path), lambda: runner.generate(["abc"], max_tokens=8)]
    assert wrong_of(lambda case: case(), cases, 40) == 0


@pytest.mark.slow
@pytest.mark.parametrize("workers", [1, 2])
def test_64_000_predictions_and_1_000_texts_of_eight_threads(workers, files, runs, written):
    runner = Runner(files["int8"], workers=workers)
    texts = runs.examples.texts
    wrong = {"predictions": wrong_of(lambda text: runner.predict([text]), texts, 64_000)}
    for kind in ("gpt", "transformer"):
        writer = Runner(written(kind), workers=workers)
        cases = [(prompt, options) for prompt in PROMPTS for options in OPTIONS]

        def texts_of(case, writer=writer):
            return writer.generations([case[0]], **case[1])

        wrong[kind] = wrong_of(texts_of, cases, 1_000)
    assert wrong == {"predictions": 0, "gpt": 0, "transformer": 0}


@pytest.mark.slow
def test_a_pool_gives_its_results_in_order(files, runs, written):
    one, three = Runner(files["int8"]), Runner(files["int8"], workers=3)
    texts = [*runs.examples.texts, "rain " * 50]
    np.testing.assert_array_equal(three.scores(texts), one.scores(texts))
    assert three.predict(texts) == one.predict(texts)
    assert three.outputs(texts).truncated == [False] * (len(texts) - 1) + [True]
    assert three.predict([]) == []
    one, three = Runner(written("gpt")), Runner(written("gpt"), workers=3)
    for options in OPTIONS:
        assert three.generations(PROMPTS, **options) == one.generations(PROMPTS, **options)
    pieces = {}
    told = three.generator().generate(
        PROMPTS, max_tokens=8, on_text=lambda row, piece: pieces.setdefault(row, []).append(piece)
    )
    assert ["".join(pieces[row]) for row in range(len(PROMPTS))] == [one.text for one in told]
    with pytest.raises(InputError, match="prompt 2 to have at most the 32 tokens"):
        three.generate(["abc", "x" * 33, "x" * 34])


def test_a_pool_tells_of_the_first_row_that_fails():
    def function(item):
        time.sleep(0.01 * (5 - item))
        if item in (2, 3):
            raise InputError(f"Expected another item, got {item}.")
        started.append(item)
        return item

    started = []
    engines = Engines(object, 4)
    assert engines.each(lambda item: item * item, range(9)) == [n * n for n in range(9)]
    with pytest.raises(InputError, match="got 2"):
        engines.each(function, range(1_000))
    assert len(started) < 10


def test_all_engines_compute_at_once():
    together = threading.Barrier(3)
    # Breaks where one of the three waits for another to end.
    assert Engines(object, 3).each(lambda item: together.wait(10) >= 0, range(3)) == [True] * 3


def test_texts_are_spread_over_the_engines():
    engines = Engines(object, 2)
    first, second = engines.claim(), engines.claim()
    assert first.engine is not second.engine
    free = second.engine
    del second
    assert engines.claim().engine is free


@pytest.mark.parametrize("name, value", [("threads", 0), ("workers", 0), ("workers", "two")])
def test_numbers_of_threads_and_workers(name, value, files):
    with pytest.raises(InputError, match=f"{name}={value!r}"):
        Runner(files["int8"], **{name: value})


def test_a_step_that_is_interrupted_harms_no_other_text(written, monkeypatch):
    def fresh():
        return steps.prefill(np.full((1, 4), 7, np.int32))

    def interrupted(*arguments):
        copies.append(len(copies))
        if len(copies) == 2:
            raise KeyboardInterrupt
        return copy(*arguments)

    steps = Runner(written("gpt")).steps
    token, copy, copies = np.array([9], np.int32), np.copyto, []
    first, second = fresh(), steps.prefill(np.full((1, 4), 8, np.int32))
    expected, _ = steps.step(token, fresh())
    _, longer = steps.step(token, first)
    with monkeypatch.context() as patched:
        patched.setattr(decode_graph.np, "copyto", interrupted)
        with pytest.raises(KeyboardInterrupt):
            steps.step(token, second)
    assert longer[0].position == 5
    np.testing.assert_array_equal(steps.step(token, first)[0], expected)


@pytest.mark.parametrize("kind", ["gpt", "transformer"])
def test_no_step_goes_past_the_cache(kind, written):
    steps = Runner(written(kind)).steps
    cache = steps.encode([np.full(3, 7)]) if steps.has_memory else steps.prefill(np.zeros((1, 0)))
    for _ in range(steps.cache_length):
        _, cache = steps.step(np.array([9]), cache)
    with pytest.raises(InputError, match="below the cache's 32, got T=1 from position=32"):
        steps.step(np.array([9]), cache)
    with pytest.raises(InputError, match="at most the file's 32 tokens, got 33"):
        (steps.encode if steps.has_memory else steps.prefill)(np.full((1, 33), 7))
