"""A sweep: its trials are runs of their own, and it is resumed to the same bytes."""

import dataclasses
import json
import math
import re

import numpy as np
import pytest

import keras_transformer as kt
from keras_transformer.zoo.errors import InputError
from keras_transformer.zoo.sweep.result import Sweep, Trial
from tests.zoo import tiny

VARY = {"learning_rate": [0.01, 1e30], "dropout": [0, 0.5]}
NAMES = [
    "learning_rate=0.01,dropout=0", "learning_rate=0.01,dropout=0.5",
    "learning_rate=1e+30,dropout=0", "learning_rate=1e+30,dropout=0.5",
]  # fmt: skip
RUN = {
    "text": "text", "label": "label", "vocab_size": 80, "max_length": 16, "batch_tokens": 96,
    "bucket": 16, "epochs": 2, "save_every": 3, "baseline": False, "settings": tiny.SETTINGS,
    "seed": 5, "token_dropout": 0.0, "label_smoothing": 0.0, "optimizer": "adam",
}  # fmt: skip


def contents(folder):
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*") if path.is_file()
    }  # fmt: skip


@pytest.fixture(scope="module")
def given(tables):
    return {"train": tables / "train.tsv", "validation": tables / "validation.tsv", **RUN}


@pytest.fixture(scope="module")
def unbroken(given, tmp_path_factory):
    out = tmp_path_factory.mktemp("unbroken") / "sweep"
    return kt.sweep("bert_tiny", vary=VARY, out=out, **given), out


def test_trials_are_in_the_order_of_the_combinations(unbroken):
    found, out = unbroken
    assert [trial.name for trial in found.trials] == NAMES
    saved = json.loads((out / "sweep.json").read_text())
    assert saved == json.loads(json.dumps(found.to_json()))
    assert [trial["name"] for trial in saved["trials"]] == NAMES
    assert saved["trials"][1]["options"] == {"learning_rate": 0.01, "dropout": 0.5}
    assert sorted(path.name for path in out.iterdir()) == sorted([*NAMES[:2], "sweep.json"])


def test_a_trial_is_the_run_of_its_options(unbroken, given, tmp_path):
    _, out = unbroken
    options = {**given, "settings": {**tiny.SETTINGS, "dropout": 0.5}}
    kt.train("bert_tiny", out=tmp_path / "run", learning_rate=0.01, **options)
    assert contents(tmp_path / "run") == contents(out / NAMES[1])


def test_the_best_is_best_by_the_checkpoints(unbroken, tables):
    """What each checkpoint predicts for the validation rows, counted here."""
    found, out = unbroken
    rows = [line.split("\t") for line in (tables / "validation.tsv").read_text().splitlines()[1:]]
    shares = {}
    for trial in found.trials[:2]:
        predicted = kt.load(out / trial.name).predict([row[0] for row in rows])
        right = [one.label == row[1] for one, row in zip(predicted, rows, strict=True)]
        shares[trial.name] = sum(right) / len(right)
        assert trial.value == trial.score == pytest.approx(shares[trial.name], abs=1e-12)
        assert trial.metric == "accuracy"
    assert len(set(shares.values())) > 1
    assert found.best.name == max(shares, key=shares.get)
    values = [trial.value for trial in found.ranked[:2]]
    assert values == sorted(shares.values(), reverse=True)
    assert [trial.score for trial in found.ranked[2:]] == [None, None]


def test_a_run_that_fails_is_a_row(unbroken):
    found, _ = unbroken
    for trial in found.trials[2:]:
        assert trial.error.startswith("The loss became nan at step 2")
        assert trial.value is None
    lines = repr(found).splitlines()
    assert lines[0].split() == ["learning_rate", "dropout", "validation", "accuracy"]
    assert [line.split()[-1] for line in lines if line.endswith("best")] == ["best"]
    assert lines[2].endswith("best")
    assert lines[-1].split()[:3] == ["1e+30", "0.5", "-"]


class Interrupting(kt.Report):
    """Ends the process' work at a step of a trial, as Ctrl-C does."""

    def __init__(self, trial, step):
        self.trial, self.at, self.name, self.resumed = trial, step, None, []

    def note(self, text):
        if re.search(r", \d of \d\.$", text):
            self.name = text.rpartition(",")[0]
        if text.startswith("Resuming after step"):
            self.resumed.append(self.name)

    def step(self, step, loss):
        if (self.name, step) == (self.trial, self.at):
            raise KeyboardInterrupt


def test_a_trial_goes_on_from_its_last_state(unbroken, given, tmp_path):
    _, whole = unbroken
    vary, name = {"dropout": [0.5]}, "dropout=0.5"
    given = {**given, "learning_rate": 0.01, "out": tmp_path / "sweep"}
    with pytest.raises(KeyboardInterrupt):
        kt.sweep("bert_tiny", vary=vary, report=Interrupting(name, 8), **given)
    report = Interrupting(None, None)
    kt.sweep("bert_tiny", vary=vary, report=report, resume=True, **given)
    assert report.resumed == [name]
    assert contents(tmp_path / "sweep" / name) == contents(whole / NAMES[1])


@pytest.mark.slow
@pytest.mark.parametrize(("trial", "step"), [(1, 5), (0, 8)])
def test_a_resumed_sweep_has_the_same_bytes(trial, step, unbroken, given, tmp_path):
    _, whole = unbroken
    out = tmp_path / "sweep"
    with pytest.raises(KeyboardInterrupt):
        kt.sweep("bert_tiny", vary=VARY, out=out, report=Interrupting(NAMES[trial], step), **given)
    half = json.loads((out / "sweep.json").read_text())["trials"]
    assert [one["score"] is not None for one in half] == [n < trial for n in range(4)]
    assert (out / f"{NAMES[trial]}.training" / "state").exists()
    kept = {name: (out / name).stat().st_mtime_ns for name in NAMES[:trial]}
    report = Interrupting(None, None)
    kt.sweep("bert_tiny", vary=VARY, out=out, report=report, resume=True, **given)
    assert report.resumed == [NAMES[trial]]
    assert contents(out) == contents(whole)
    # What was whole is not trained again.
    assert {name: (out / name).stat().st_mtime_ns for name in kept} == kept


def test_a_checkpoint_that_the_table_lacks_is_taken(unbroken, given, tmp_path):
    """As after a kill between a trial's end and the table."""
    found, whole = unbroken
    out = tmp_path / "sweep"
    whole.rename(out)
    try:
        before = contents(out)
        table = json.loads(before["sweep.json"])
        for trial in table["trials"][:2]:
            trial |= dict.fromkeys(("metric", "value", "score", "metrics"))
        (out / "sweep.json").write_text(json.dumps(table))
        report = tiny.Heard()
        again = kt.sweep("bert_tiny", vary=VARY, out=out, report=report, resume=True, **given)
        assert contents(out) == before
        assert again.trials == found.trials
        assert report.starts == []
    finally:
        out.rename(whole)


def elsewhere(out):
    """An engine of trials, the last first, that end at once with the seed as their accuracy."""

    def engine(trials):
        for trial in reversed(trials):
            (out / trial.name).mkdir()
            value = trial.options["seed"] / 10
            yield dataclasses.replace(trial, metric="accuracy", value=value, score=value)

    return engine


def test_more_values_are_trained_and_the_others_stay(given, tmp_path):
    out = tmp_path / "sweep"
    given = {name: value for name, value in given.items() if name != "seed"}
    given |= {"out": out, "engine": elsewhere(out)}
    first = kt.sweep("bert_tiny", vary={"seed": [1, 2]}, **given)
    assert [trial.value for trial in first.trials] == [0.1, 0.2]
    more = kt.sweep("bert_tiny", vary={"seed": [3, 2]}, resume=True, **given)
    assert [trial.options["seed"] for trial in more.trials] == [3, 2, 1]
    assert more.trials[1:] == [*reversed(first.trials)]
    # One whose checkpoint is gone is trained again.
    (out / "seed=2").rmdir()
    assert kt.sweep("bert_tiny", vary={"seed": [2, 3]}, resume=True, **given).best.value == 0.3
    assert (out / "seed=2").exists()
    less = kt.sweep("bert_tiny", vary={"seed": [4]}, overwrite=True, **given)
    assert [trial.name for trial in less.trials] == ["seed=4"]
    assert sorted(path.name for path in out.iterdir()) == ["seed=4", "sweep.json"]


def test_drawn_trials_are_among_all(given, tmp_path):
    out = tmp_path / "sweep"
    given = {name: value for name, value in given.items() if name != "seed"}
    given |= {"out": out, "engine": elsewhere(out), "vary": {"seed": [*range(9)]}}
    some = kt.sweep("bert_tiny", trials=3, **given)
    assert len(some.trials) == 3
    more = kt.sweep("bert_tiny", trials=6, resume=True, **given)
    assert len(more.trials) == 6
    assert all(trial in more.trials for trial in some.trials)


def test_seeds_share_the_validation_rows(given, tmp_path):
    rows = [("no", "a box"), ("yes", "the apple"), ("no", "old things"), ("yes", "plum")] * 8
    labels, texts = zip(*rows, strict=True)
    data = {**given, "train": (np.array(texts), iter(labels)), "validation": 0.25, "steps": 1}
    data = {name: value for name, value in data.items() if name not in ("text", "label", "seed")}
    data["train"] = iter([*zip(texts, labels, strict=True)])
    found = kt.sweep("bert_tiny", vary={"seed": [1, 2]}, out=tmp_path / "sweep", **data)
    recipes = [
        json.loads((tmp_path / "sweep" / trial.name / "recipe.json").read_text())
        for trial in found.trials
    ]  # fmt: skip
    assert [one["training"]["seed"] for one in recipes] == [1, 2]
    assert [one["data"]["split_seed"] for one in recipes] == [0, 0]
    assert math.isfinite(found.best.value)
    with pytest.raises(InputError, match="a sweep with other data; discard"):
        kt.sweep(
            "bert_tiny", vary={"seed": [1, 2]}, out=tmp_path / "sweep", resume=True,
            **{**data, "train": (list(texts)[::-1], list(labels))},
        )  # fmt: skip


def test_a_mistake_of_a_trial_ends_the_sweep(given, tmp_path):
    vary = {"freeze": ["", "no/such/weight"]}
    with pytest.raises(InputError, match="no/such/weight"):
        kt.sweep("bert_tiny", vary=vary, out=tmp_path / "sweep", **{**given, "steps": 1})
    saved = json.loads((tmp_path / "sweep" / "sweep.json").read_text())
    assert [one["score"] is None for one in saved["trials"]] == [False, True]


def test_folders_that_are_there(unbroken, given, tmp_path):
    _, out = unbroken
    with pytest.raises(FileExistsError, match="holds a sweep; go on with --resume"):
        kt.sweep("bert_tiny", vary=VARY, out=out, **given)
    with pytest.raises(InputError, match="a sweep with other training; discard"):
        kt.sweep("bert_tiny", vary=VARY, out=out, resume=True, **{**given, "epochs": 3})
    with pytest.raises(InputError, match="varies learning_rate, dropout, got learning_rate;"):
        kt.sweep("bert_tiny", vary={"learning_rate": [1]}, out=out, resume=True, **given)
    (tmp_path / "mine.txt").write_text("")
    with pytest.raises(FileExistsError, match="exists and holds no sweep"):
        kt.sweep("bert_tiny", vary=VARY, out=tmp_path, overwrite=True, **given)
    for text in ("{", "[]", '{"trials": [{}], "run": {}, "vary": []}', '{"trials": 3}'):
        (tmp_path / "other").mkdir(exist_ok=True)
        (tmp_path / "other" / "sweep.json").write_text(text)
        with pytest.raises(InputError, match=r"sweep\.json is not the result of a sweep"):
            kt.sweep("bert_tiny", vary=VARY, out=tmp_path / "other", resume=True, **given)


def test_metrics_that_differ_do_not_compare():
    trials = [
        Trial(options={"a": number}, metric=name, value=1.0, score=1.0)
        for number, name in enumerate(("accuracy", "loss"))
    ]  # fmt: skip
    with pytest.raises(InputError, match="got accuracy and loss"):
        Sweep(run={}, vary=["a"], trials=trials)


def test_lower_losses_are_better_and_the_first_of_equals_is_best():
    trials = [
        Trial(options={"a": number}, metric="loss", value=value, score=-value)
        for number, value in enumerate((2.0, 1.0, 1.0))
    ]  # fmt: skip
    found = Sweep(run={}, vary=["a"], trials=trials)
    assert [trial.options["a"] for trial in found.ranked] == [1, 2, 0]
    assert found.best is trials[1]
    assert Sweep(run={}, vary=["a"], trials=[Trial(options={"a": 1})]).best is None
