"""A run that is killed in the middle of an epoch ends where the unbroken run ends."""

import random
import re
import subprocess
import sys
import time

import pytest

from keras_transformer.zoo.errors import InputError, RunError
from keras_transformer.zoo.models.build import get_weights
from keras_transformer.zoo.training.train_recipe import train_recipe
from tests.slow import mostly_slow
from tests.zoo import tiny

# Steps that a moment can be hit in. Each says its number, and the last waits to be killed.
SLOW_RUN = """
import sys, time
from keras_transformer.zoo.recipe import Recipe
from keras_transformer.zoo.progress import Report
from keras_transformer.zoo.training.train_recipe import train_recipe
class Slow(Report):
    def step(self, step, loss):
        print("step", step, flush=True)
        time.sleep(600 if step == int(sys.argv[3]) else 0.02)
train_recipe(Recipe.from_file(sys.argv[1]), sys.argv[2], report=Slow())
"""


def refused(kind, message):
    return pytest.raises(kind, match=f"^{re.escape(message)}$")


def kill_after(step, pause, recipe_path, out):
    command = [sys.executable, "-c", SLOW_RUN, str(recipe_path), str(out), str(step + 4)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        for line in process.stdout:
            if line == f"step {step}\n":
                time.sleep(pause)
                process.kill()
                break
        process.stdout.read()
    assert process.returncode == -9


@pytest.mark.slow
def test_killed_and_resumed_equals_unbroken(tables, tmp_path):
    recipe = tiny.recipe(
        tables, epochs=3, save_every=3, token_dropout=0.1, ema=0.8, optimizer="adamw",
        weight_decay=0.01, label_smoothing=0.1, bucket=2,
    )  # fmt: skip
    whole = train_recipe(recipe, tmp_path / "whole", report=(unbroken := tiny.Heard()))
    total = unbroken.starts[0][1]

    path, out = tmp_path / "recipe.json", tmp_path / "out"
    path.write_text(recipe.to_json(), encoding="utf-8")
    moment = random.SystemRandom()
    # A step is told before its state is written: at the fourth, that of the third is there.
    step, pause = moment.randint(4, total - 6), moment.uniform(0, 0.06)
    kill_after(step, pause, path, out)
    where = f"killed {pause:.3f} s after step {step}"
    states = tmp_path / "out.training"
    assert not out.exists() and states.exists(), where

    with refused(
        FileExistsError,
        f"{states} holds an unfinished run; go on with --resume, or discard it with --overwrite.",
    ):
        train_recipe(recipe, out)
    with refused(
        InputError,
        f"{states / 'state'} is of a run with another recipe; resume with its own options, "
        "or remove the folder to start anew.",
    ):
        train_recipe(recipe.replace(seed=1), out, resume=True)

    resumed = train_recipe(recipe, out, resume=True, report=(report := tiny.Heard()))
    first = report.steps[0][0]
    assert report.notes == [f"Resuming after step {first - 1} of {total}."], where
    assert step - 3 <= first - 1 <= step + 3, where
    tiny.assert_same_weights(get_weights(resumed.model), get_weights(whole.model))
    assert resumed.metrics == whole.metrics, where
    assert report.steps == unbroken.steps[first - 1 :], where
    assert report.epochs == unbroken.epochs[-len(report.epochs) :], where
    assert not states.exists()


def stopped_and_resumed(recipe, tmp_path, share):
    """Trains in one go, and again with an end after a share of the steps and a second start.

    Both must give the same bits. Returns what the first one heard.
    """
    whole = train_recipe(recipe, tmp_path / "whole", report=(unbroken := tiny.Heard()))
    last = int(share * unbroken.starts[0][1])

    class Stopped(tiny.Heard):
        def step(self, number, loss):
            super().step(number, loss)
            if number == last:
                raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train_recipe(recipe, tmp_path / "out", report=Stopped())
    resumed = train_recipe(recipe, tmp_path / "out", resume=True, report=(report := tiny.Heard()))
    first = report.steps[0][0]
    assert report.steps == unbroken.steps[first - 1 :]
    assert report.epochs == unbroken.epochs[-len(report.epochs) :]
    assert resumed.metrics == whole.metrics
    tiny.assert_same_weights(get_weights(resumed.model), get_weights(whole.model))
    return unbroken


def test_a_run_that_was_stopped_before_its_first_state_starts_anew_and_says_so(tables, tmp_path):
    recipe = tiny.recipe(tables, steps=3)

    class Stopped(tiny.Heard):
        def step(self, number, loss):
            raise KeyboardInterrupt

    out = tmp_path / "out"
    with pytest.raises(KeyboardInterrupt):
        train_recipe(recipe, out, report=Stopped(), baseline=False)
    # What a kill leaves while the best weights, but no state, are written.
    (tmp_path / "out.training" / "best").mkdir(parents=True)
    report = tiny.Heard()
    train_recipe(recipe, out, resume=True, report=report, baseline=False)
    assert "No state was kept yet: starting from the first step." in report.notes
    assert [number for number, _ in report.steps] == [1, 2, 3]


@pytest.mark.slow
def test_averaged_epochs_of_a_translation_are_resumed(tables, tmp_path):
    """In the last epoch, where there were more epochs than are averaged."""
    recipe = tiny.translation_recipe(
        tables, epochs=4, average=2, save_every=3, token_dropout=0.1, shared_vocabulary=False,
        bucket=8,
    )  # fmt: skip
    unbroken = stopped_and_resumed(recipe, tmp_path, 0.9)
    assert len(unbroken.epochs) == 4


@pytest.mark.slow
@pytest.mark.parametrize("share", mostly_slow([0.3, 0.9], [0.9]))
def test_a_number_of_steps_of_a_language_model_is_resumed(tables, tmp_path, share):
    recipe = tiny.language_recipe(tables, steps=13, average=3, save_every=2)
    unbroken = stopped_and_resumed(recipe, tmp_path, share)
    assert [step for step, _ in unbroken.steps] == list(range(1, 14))
    assert len(unbroken.epochs) > 1


@pytest.mark.slow
def test_the_same_seed_gives_the_same_weights_and_another_does_not(tables, tmp_path):
    recipe = tiny.recipe(tables, epochs=1)
    first, again = (get_weights(train_recipe(recipe, tmp_path / out).model) for out in ("a", "b"))
    tiny.assert_same_weights(first, again)
    one, other = (get_weights(tiny.fit(recipe.replace(seed=seed)).model) for seed in (0, 1))
    assert (one["head/kernel"] != other["head/kernel"]).all()


@pytest.mark.slow
def test_a_loss_that_is_not_finite_stops_and_keeps_the_last_good_state(tables, tmp_path):
    recipe, out = tiny.recipe(tables, learning_rate=1e30, save_every=1), tmp_path / "out"
    state = tmp_path / "out.training" / "state"
    with pytest.raises(RunError) as caught:
        train_recipe(recipe, out, report=(report := tiny.Heard()))
    good = report.steps[-1][0]
    assert re.fullmatch(
        rf"The loss became (nan|inf) at step {good + 1}; the last good state is "
        rf"{re.escape(str(state))}, after step {good}\. "
        r"Lower the learning rate or raise the warm-up\.",
        str(caught.value),
    )
    assert not out.exists()
    run = tiny.Heard()
    with pytest.raises(RunError, match=f"at step {good + 1}; "):
        train_recipe(recipe, out, resume=True, report=run)
    assert run.notes == [f"Resuming after step {good} of {report.starts[0][1]}."]
