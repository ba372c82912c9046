"""Damaged inputs of each kind: each is read, or refused in one sentence.

`python -m tests.fuzz --count 10000` reads more of them.
"""

import copy
import random
import subprocess

import pytest

from tests.fuzz import fuzz as fuzzing
from tests.fuzz.kinds import KINDS
from tests.fuzz.mutate import VALUES, damaged_value
from tests.slow import mostly_slow


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("inputs", mostly_slow([80, 400], [80]))
def test_damaged_inputs(seeds, tmp_path, kind, inputs):
    counts = fuzzing.fuzz(kind, seeds, tmp_path, inputs)
    assert counts.inputs == inputs
    assert counts.texts == []
    # Neither is the damage too small nor so large that no reader gets beyond the first check.
    assert counts.fine + counts.sentences == inputs
    assert min(counts.fine, counts.sentences) > 2


def test_faults_are_counted(tmp_path):
    counts = fuzzing.Counts("data")
    usual = {"number": 3, "outcome": "fine", "text": "", "seconds": 1, "cpu": 1, "bytes": 1}
    fuzzing._count(counts, usual | {"outside": []})
    assert (counts.inputs, counts.fine, counts.texts) == (1, 1, [])
    faults = {"outcome": "traceback", "seconds": 11, "bytes": 3 << 30, "outside": ["/etc/x"]}
    fuzzing._count(counts, usual | faults)
    assert dict(counts.faults) == {"tracebacks": 1, "hangs": 1, "memory": 1, "outside": 1}
    assert list(fuzzing.table([counts]))[-1] == "| data | 2 | 1 | 0 | 1 | 0 | 1 | 1 | 1 |"


def saying(script):
    """A worker that says what a test tells it to."""
    return subprocess.Popen(["sh", "-c", script], stdout=subprocess.PIPE, start_new_session=True)


def test_a_worker_that_dies_or_hangs_is_counted(monkeypatch):
    counts = fuzzing.Counts("data")
    with saying("echo '{\"begins\": 4}'; kill -SEGV $$") as worker:
        following = fuzzing._follow(counts, worker, 4)
    assert (following, dict(counts.faults), counts.inputs) == (5, {"crashes": 1}, 1)
    monkeypatch.setattr(fuzzing, "PATIENCE", 0.2)
    with saying("echo '{\"begins\": 5}'; sleep 100") as worker:
        following = fuzzing._follow(counts, worker, 5)
    assert (following, dict(counts.faults)) == (6, {"crashes": 1, "hangs": 1})


def test_what_is_put_in_is_a_copy():
    """Else a value damaged later is one in the table, and may come to hold itself."""
    before = copy.deepcopy(VALUES)
    for number in range(3000):
        rng = random.Random(number)
        changed = damaged_value({"a": {"b": 1}}, rng, most=8)
        for value in changed.values() if isinstance(changed, dict) else ():
            if isinstance(value, dict):
                value["more"] = value
    assert VALUES == before
