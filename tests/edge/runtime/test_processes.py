"""Runners that are copied, pickled and forked."""

import copy
import gc
import itertools
import json
import multiprocessing
import os
import subprocess
import sys
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from keras_transformer.edge.runtime.runner import Runner
from keras_transformer.zoo import worker
from keras_transformer.zoo.errors import RunError
from keras_transformer.zoo.worker import Worker
from tests.slow import mostly_slow

TEXTS = ["some rain and more wind today", "a violin", "soup with cheese", "", "RAIN Clöud"]
needs_fork = pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")

# Forks while other threads of the parent compute: their locks and half of what they do are copied.
FORKED = """
import json, os, sys, threading
from keras_transformer.edge.runtime import Runner

workers, path, *texts = sys.argv[1:]
runner = Runner(path, threads=4, workers=2 if workers == "2" else 1)


def answers():
    if runner.generates:
        return [runner.generate([text], max_tokens=8) for text in texts]
    return runner.scores(texts).tolist()


alone, ended, wrong = answers(), threading.Event(), []


def work():
    while not ended.is_set():
        wrong.extend([1] * (answers() != alone))


others = [threading.Thread(target=work) for _ in range(3)]
for thread in others:
    thread.start()
statuses = []
for fork in range(6):
    if fork == 3:
        ended.set()
        for thread in others:
            thread.join()
    child = os.fork()
    if not child:
        # Ends as processes do, and frees what the fork copied.
        sys.exit(answers() != alone)
    statuses.append(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
print(json.dumps([statuses, len(wrong), answers() == alone]))
"""
# What a parent began to write is not its fork's to finish.
BEGUN = """
import os, sys
import numpy as np
from keras_transformer.edge.runtime import Runner

runner = Runner(sys.argv[1])
token = np.array([9])
logits, cache = runner.steps.step(token, runner.steps.prefill(np.zeros((1, 0))))
child = os.fork()
if not child:
    try:
        runner.steps.step(token, cache)
    except RuntimeError as error:
        print(error, flush=True)
    again, _ = runner.steps.step(token, runner.steps.prefill(np.zeros((1, 0))))
    sys.exit(not np.array_equal(again, logits))
print(os.getpid(), child, os.waitpid(child, 0)[1], flush=True)
"""


def run(program, *arguments, seconds=120):
    made = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", program, *map(str, arguments)],
        capture_output=True, text=True, timeout=seconds,
    )  # fmt: skip
    assert made.returncode == 0, made.stderr
    return made.stdout


@needs_fork
@pytest.mark.parametrize(
    ("kind", "workers"),
    mostly_slow(
        itertools.product(["int8", "gpt", "transformer"], [1, 2]), [("int8", 2)]
    ),
)
def test_a_forked_process_computes_the_same(kind, workers, files, written):
    path = files[kind] if kind in files else written(kind)
    texts = [text for text in TEXTS if text] * 2
    statuses, wrong, same = json.loads(run(FORKED, workers, path, *texts))
    assert (statuses, wrong, same) == ([0] * 6, 0, True)


@needs_fork
def test_a_text_is_finished_by_the_process_that_began_it(written):
    told, numbers = run(BEGUN, written("gpt")).splitlines()
    parent, child, status = numbers.split()
    assert status == "0"
    assert told == (
        f"Expected a text to be finished by the process that began it, got one of process {parent} "
        f"in its fork {child}; generate it there from the start."
    )


@pytest.mark.parametrize("copied", [copy.copy, copy.deepcopy])
def test_a_copy_has_interpreters_of_its_own(copied, files, written, tmp_path):
    path = tmp_path / "gone.tflite"
    path.write_bytes(files["int8"].read_bytes())
    runner = Runner(path, threads=2, workers=2)
    other = copied(runner)
    path.unlink()
    another = copied(other)
    assert other.interpreter is not runner.interpreter
    assert (another.path, another.name, bytes(another)) == (path, str(path), bytes(runner))
    np.testing.assert_array_equal(another.scores(TEXTS), runner.scores(TEXTS))
    writer = Runner(written("gpt").read_bytes())
    assert copied(writer).generate(["abc"]) == writer.generate(["abc"])
    assert (copied(writer).path, copied(writer).name) == (None, "the file")


def test_a_runner_goes_to_another_process(files, written):
    predictor, writer = Runner(files["int8"], workers=2), Runner(written("gpt"))
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
        scores = pool.submit(predictor.scores, TEXTS)
        texts = pool.submit(writer.generate, ["abc"], max_tokens=8)
        np.testing.assert_array_equal(scores.result(120), predictor.scores(TEXTS))
        assert texts.result(120) == writer.generate(["abc"], max_tokens=8)


def test_interpreters_alone_are_not_copied(written):
    with pytest.raises(TypeError, match="a Runner to be copied or pickled, got 1 of its"):
        copy.deepcopy(Runner(written("gpt"), workers=2).generator())


def test_a_runner_holds_the_file_that_it_read(files, tmp_path):
    path = Path(tmp_path / "model.tflite")
    path.write_bytes(files["int8"].read_bytes())
    runner = Runner(path)
    path.write_bytes(files["float32"].read_bytes())
    assert bytes(runner) == files["int8"].read_bytes()
    np.testing.assert_array_equal(copy.copy(runner).scores(TEXTS), runner.scores(TEXTS))


def test_workers_are_other_processes_that_end_with_the_runner(files):
    runner = Runner(files["int8"], workers=2)
    expected = Runner(files["int8"]).scores(TEXTS * 20)
    np.testing.assert_array_equal(runner.scores(TEXTS * 20), expected)
    processes = [worker._process for worker in runner._workers._engines]
    assert len({os.getpid(), *(process.pid for process in processes)}) == 3
    # One is killed by somebody: that is said, and the next call starts another.
    processes[0].kill()
    processes[0].wait()
    with pytest.raises(RunError, match=f"the worker process {processes[0].pid}, which ended with"):
        runner.scores(TEXTS * 20)
    np.testing.assert_array_equal(runner.scores(TEXTS * 20), expected)
    processes = [worker._process for worker in runner._workers._engines]
    del runner
    gc.collect()  # the error holds frames that hold it
    assert all(process.poll() is not None for process in processes)


def test_a_worker_that_was_not_waited_for_is_not_asked_again(monkeypatch):
    def interrupted(pipe):
        raise KeyboardInterrupt

    one = Worker(list, "abc")
    assert one.call("count", "b") == 1
    with monkeypatch.context() as patched:
        patched.setattr(worker, "_receive", interrupted)
        with pytest.raises(KeyboardInterrupt):
            one.call("count", "z")
    assert one.call("index", "c") == 2
    with pytest.raises(ValueError, match="'z' is not in list"):
        one.call("index", "z")
    assert one.call("copy") == ["a", "b", "c"]
