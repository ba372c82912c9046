"""The command sweep: its table, the run that repeats the best, and mistakes."""

import json
import os
import shlex
import signal
import time

import pytest

from keras_transformer.zoo.storage.files import read_folder
from tests.cli.calls import call, error_of

NAMES = ["learning_rate=0.01,weight_decay=0", "learning_rate=1e+30,weight_decay=0"]
VARY = ("--vary", "learning-rate=1e-2,1e30", "--vary", 'weight_decay=["0"]')


@pytest.fixture(scope="module")
def arguments(data):
    words = data.arguments
    place = words.index("--learning-rate")
    words = [*words[:place], *words[place + 2 :]]
    words[words.index("--epochs") + 1] = "2"
    return ["sweep", *words, "--set", "dropout=0.1", "--optimizer", "adamw", "--no-baseline"]


@pytest.fixture(scope="module")
def swept(arguments, tmp_path_factory):
    out = tmp_path_factory.mktemp("sweep") / "it's here"
    result = call(*arguments, *VARY, "--out", out, "--log", out.parent / "log.jsonl")
    assert result.exit_code == 0, result.stderr
    return out, result


def test_it_prints_the_table_and_the_command_of_the_best(swept, arguments, tmp_path):
    out, result = swept
    lines = result.stdout.splitlines()
    assert lines[0].split() == ["learning_rate", "weight_decay", "validation", "accuracy"]
    rows = [line.split() for line in lines[2:4]]
    trials = json.loads((out / "sweep.json").read_text())["trials"]
    assert rows[0] == ["0.01", "0", f"{trials[0]['value']:.4f}", "best"]
    assert rows[1][:4] == ["1e+30", "0", "-", "The"]
    assert [trial["name"] for trial in trials] == NAMES
    assert f"Note: {NAMES[1]}, 2 of 2." in result.stderr
    assert lines[-2] == f"The best is {out / NAMES[0]}; once more:"
    command = shlex.split(lines[-1])
    assert command[:2] == ["keras-transformer", "train"]
    assert command[-3:] == ["--no-baseline", "--out", "my_model"]
    again = call(*command[1:-1], tmp_path / "my_model")
    assert again.exit_code == 0, again.stderr
    assert read_folder(tmp_path / "my_model") == read_folder(out / NAMES[0])


def test_the_best_value_is_that_of_evaluate(swept, data):
    out, _ = swept
    result = call("evaluate", out / NAMES[0], "--data", data.validation, "--json")
    trial = json.loads((out / "sweep.json").read_text())["trials"][0]
    assert json.loads(result.stdout)["accuracy"] == pytest.approx(trial["value"], abs=1e-9)
    assert trial["metrics"]["accuracy"] == trial["value"]


def test_each_trial_has_its_log(swept):
    out, _ = swept
    lines = (out.parent / f"log.{NAMES[0]}.jsonl").read_text().splitlines()
    logged = [json.loads(line) for line in lines]
    accuracies = [one["value"] for one in logged if one["name"] == "validation/accuracy"]
    trial = json.loads((out / "sweep.json").read_text())["trials"][0]
    assert (len(accuracies), max(accuracies)) == (2, trial["value"])
    assert not (out.parent / "log.jsonl").exists()


def test_a_sweep_that_is_there(swept, arguments):
    out, _ = swept
    assert error_of(call(*arguments, *VARY, "--out", out)) == (
        2, f"Error: {out} holds a sweep; go on with --resume, or discard it with --overwrite.",
    )  # fmt: skip
    before = (out / "sweep.json").stat().st_mtime_ns, (out / "sweep.json").read_bytes()
    resumed = call(*arguments, *VARY, "--out", out, "--resume")
    assert resumed.exit_code == 0, resumed.stderr
    assert " of 2." not in resumed.stderr
    assert (out / "sweep.json").read_bytes() == before[1]


def test_without_a_checkpoint_it_fails(arguments, tmp_path):
    result = call(*arguments, "--vary", "learning_rate=1e30", "--out", tmp_path / "out")
    assert error_of(result) == (
        1, f"Error: No trial of {tmp_path / 'out'} has a checkpoint; the table says why.",
    )  # fmt: skip
    assert "The loss became nan" in result.stdout


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["--vary", "learning_rate"], "Invalid value for '--vary': Expected NAME=VALUE,VALUE,..., "
         "got 'learning_rate'."),
        (["--vary", "weight-decay=0,x"], "Invalid value for '--vary': weight_decay: 'x' is not a "
         "valid float."),
        (["--vary", "schedule=linear,steep"], "Invalid value for '--vary': schedule: 'steep' is "
         "not one of 'linear', 'cosine', 'inverse_sqrt', 'constant'."),
        (["--vary", "batch_tokens=auto,some"], "Invalid value for '--vary': batch_tokens: 'some' "
         "is not a valid integer or auto."),
        (["--vary", "seed=1", "--vary", "seed=2"], "Invalid value for '--vary': Expected seed "
         "once, got it twice."),
        (["--vary", "seed=[1,2"], "Invalid value for '--vary': Expected a list in JSON, got "
         "'seed=[1,2'."),
        (["--vary", "weight_decay=0.1,-1"], "Expected --weight-decay not to be negative, got "
         "--weight-decay -1.0."),
        (["--vary", "epochs=1,2"], "Expected either one value of epochs or several to vary, got "
         "both; leave one out."),
        (["--vary", "seed=1,2", "--trials", "3"], "Expected --trials to be from 1 to 2, of 2 "
         "combinations, got --trials 3."),
        (["--vary", "seed=1", "--workers", "2"], "Expected --workers only with --engine."),
        (["--vary", "seed=1", "--engine", "ray", "--workers", "2", "--distribute", "data"],
         "Expected no --distribute beside --engine ray, whose trials are one process each."),
        ([], "Missing option '--vary'."),
    ],
)  # fmt: skip
def test_mistakes(arguments, words, sentence, tmp_path):
    result = call(*arguments, *words, "--out", tmp_path / "out")
    assert error_of(result) == (2, f"Error: {sentence}")
    assert list(tmp_path.iterdir()) == []


def test_an_unknown_name_lists_the_known(arguments, tmp_path):
    code, error = error_of(call(*arguments, "--vary", "learnin-rate=1", "--out", tmp_path / "out"))
    assert code == 2
    assert error.startswith("Error: Expected --vary to name an option of a run among model, ")
    assert ", learning_rate, schedule, warmup, weight_decay, " in error
    assert error.endswith(
        "; or a setting of the model (keras-transformer models lists them), got 'learnin_rate'."
    )
    assert list(tmp_path.iterdir()) == []


def test_prepared_data_are_shared(data, arguments, tmp_path):
    words = arguments[1:]
    tokens = [*words[: words.index("--batch-tokens")]]
    prepared = call("prepare", *tokens, "--out", tmp_path / "data")
    assert prepared.exit_code == 0, prepared.stderr
    result = call(*arguments, "--steps", "1", "--vary", "weight_decay=0.1", "--prepared",
                  tmp_path / "data", "--out", tmp_path / "out")  # fmt: skip
    assert result.exit_code == 0, result.stderr
    command = result.stdout.splitlines()[-1].split()
    again = call(*command[1:-1], tmp_path / "again", "--prepared", tmp_path / "data")
    assert again.exit_code == 0, again.stderr
    assert read_folder(tmp_path / "again") == read_folder(tmp_path / "out" / "weight_decay=0.1")
    wrong = call(*arguments, "--vary", "vocab_size=50", "--prepared", tmp_path / "data", "--out",
                 tmp_path / "other")  # fmt: skip
    assert error_of(wrong)[0] == 2


@pytest.mark.slow
def test_trials_on_ray_have_the_files_of_those_in_turn(arguments, tmp_path):
    pytest.importorskip("ray")
    from tests.cli.test_on_ray import contents, ended, processes, start, wait_until

    words = [*arguments, "--steps", 150, "--save-every", 5, "--vary", "learning_rate=0.01,1e30",
             "--vary", "attention_dropout=0,0.3"]  # fmt: skip
    ended(start(*words, "--out", tmp_path / "alone"))
    out = tmp_path / "ray"
    command = start(*words, "--out", out, "--engine", "ray", "--workers", "2")
    wait_until(lambda: any(out.glob("*.training/state")), command)
    time.sleep(1)
    killed = processes(command.pid, "_run")[:1]
    for one in killed:
        os.kill(one, signal.SIGKILL)
    _, said = ended(command)
    assert killed
    assert said.count(" of 4.") == 4
    assert contents(out) == contents(tmp_path / "alone")


@pytest.mark.slow
def test_a_sweep_that_is_killed_is_resumed_to_the_same_bytes(arguments, tmp_path):
    from tests.cli.test_on_ray import contents, ended, start, wait_until

    words = [*arguments, "--steps", 150, "--save-every", 5, "--vary", "learning_rate=0.01,0.02"]
    ended(start(*words, "--out", tmp_path / "whole"))
    out = tmp_path / "out"
    command = start(*words, "--out", out)
    wait_until((out / "learning_rate=0.02.training" / "state").exists, command)
    command.kill()
    command.communicate()
    _, said = ended(start(*words, "--out", out, "--resume"))
    assert "Note: Resuming after step " in said
    assert contents(out) == contents(tmp_path / "whole")
