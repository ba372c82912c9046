"""What `train` shows of a run from outside: its speed, logs of its values, and a trace."""

import json
import re

import pytest

from keras_transformer.cli import logs
from tests.cli.calls import call, error_of

NAMES = {
    "train/loss", "train/learning_rate", "train/examples_per_second", "train/tokens_per_second",
    "train/mfu", "validation/accuracy",
}  # fmt: skip


@pytest.fixture(scope="module")
def watched(checkpoint, tmp_path_factory):
    """A folder with the log and the trace of a run, and what the command printed."""
    folder = tmp_path_factory.mktemp("watched")
    result = call(
        "train", "--recipe", checkpoint / "recipe.json", "--epochs", 2, "--no-baseline",
        "--log", folder / "log.jsonl", "--profile", folder / "trace", "--peak", 0.5,
        "--out", folder / "model",
    )  # fmt: skip
    assert result.exit_code == 0, result.output
    return folder, result


def test_each_value_is_a_line_of_a_log(watched):
    folder, _ = watched
    rows = [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]
    assert set(rows[0]) == {"time", "step", "name", "value"}
    assert {row["name"] for row in rows} >= NAMES
    assert len([row for row in rows if row["name"] == "train/loss"]) == 2


def test_the_speed_is_said_and_is_a_share_of_the_peak(watched):
    folder, result = watched
    said = r"Trained on [\d,]+ examples and [\d,]+ tokens a second, \d+\.\d% of the device's peak\."
    assert re.search(said, result.stderr)
    last = {}
    for line in (folder / "log.jsonl").read_text().splitlines():
        one = json.loads(line)
        last[one["name"]] = one["value"]
    # Sentences of at least three tokens, and at most the model's length of 16.
    tokens = last["train/tokens_per_second"] / last["train/examples_per_second"]
    assert 3 <= tokens <= 16
    # Six operations a parameter and token, of which the table of tokens has none: roughly 2,000
    # parameters of a block of width 16, and as many for the attention's and the head's products.
    padded = last["train/mfu"] * 0.5e12 / last["train/examples_per_second"]
    assert 6 * 1_000 * tokens < padded < 6 * 10_000 * 16


def test_a_trace_of_steps_is_written(watched):
    folder, _ = watched
    assert list((folder / "trace").rglob("*.xplane.pb"))


def test_a_log_goes_on_where_it_is(tmp_path):
    for value in (0.5, 0.25):
        with logs.logged(tmp_path / "log.csv", print) as write:
            write("train/loss", value, 3)
    lines = (tmp_path / "log.csv").read_text(encoding="utf-8").splitlines()
    assert [line.split(",")[1:] for line in lines] == [
        ["step", "name", "value"], ["3", "train/loss", "0.5"], ["3", "train/loss", "0.25"]
    ]  # fmt: skip


def test_a_log_of_another_kind_and_an_impossible_peak_are_refused(checkpoint, tmp_path):
    again = ("train", "--recipe", checkpoint / "recipe.json", "--out", tmp_path / "out")
    assert ".csv or .jsonl, got" in call(*again, "--log", tmp_path / "log.txt").stderr
    _, said = error_of(call(*again, "--no-baseline", "--peak", 0))
    assert "Expected peak to be above 0 and finite, got peak=0.0." in said
