"""The quickstart's jobs, each on little data with a model far too small to be good."""

import dataclasses
import functools
import re
import shlex

import pytest

from keras_transformer.cli.quickstart import TASKS
from keras_transformer.edge.quickstart import dates, languages
from keras_transformer.edge.runtime.runner import Runner
from tests.cli.calls import SETTINGS, call, error_of
from tests.slow import mostly_slow

pytest.importorskip("babel")
NUMBER = r" +(\d+\.\d+)%"


def run_small(module, folder, write_data, **changes):
    """The folder and what was printed."""
    job = dataclasses.replace(
        module.JOB, write_data=write_data,
        recipe=lambda data, seed: module.recipe(data, seed).replace(**changes),
    )  # fmt: skip
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "JOB", job)
        result = call("quickstart", "--task", job.name, "--out", folder)
    assert result.exit_code == 0, result.output
    return folder, result.stdout


@pytest.fixture(scope="module")
def of_dates(tmp_path_factory):
    """A run of the default task."""
    return run_small(
        dates, tmp_path_factory.mktemp("quickstart") / "dates",
        functools.partial(dates.write_date_tables, locales=("en_US", "de"), dates=800),
        settings={"num_layers": 1, "hidden_dim": 16, "intermediate_dim": 32}, epochs=1,
        batch_tokens=1024,
    )  # fmt: skip


@pytest.fixture(scope="module")
def of_languages(tmp_path_factory):
    """A run of the other task."""
    return run_small(
        languages, tmp_path_factory.mktemp("quickstart") / "languages",
        functools.partial(languages.write_tables, languages=("de", "el", "ru")),
        settings=SETTINGS, epochs=3, learning_rate=1e-2, vocab_size=300, max_length=24,
        token_dropout=0.0, piece_dropout=0.0,
    )  # fmt: skip


def lines_of(printed, names):
    """The table's lines by their names."""
    found = {name: re.search(f"^{re.escape(name)} .*", printed, re.MULTILINE) for name in names}
    assert all(found.values()), printed
    return {name: line[0] for name, line in found.items()}


def test_dates_are_the_default():
    help_text = call("quickstart", "--help").stdout
    assert "--task [dates|languages]" in help_text and "[default: dates]" in help_text
    assert "Example: keras-transformer quickstart\n" in help_text
    assert {dates.JOB.name, languages.JOB.name} == set(TASKS)


def test_the_table_has_a_row_for_every_baseline_model_and_file(of_dates):
    _, printed = of_dates
    lines = lines_of(
        printed, ("babel.dates.parse_date", "n-gram regression a field", "Keras",
                  "Keras, int8 QAT", "float32.tflite", "int8.tflite"),
    )  # fmt: skip
    shares = {name: float(re.search(NUMBER, line)[1]) for name, line in lines.items()}
    # Of English and German dates a little over a half are numbers alone.
    assert 40 < shares["babel.dates.parse_date"] < 75
    assert shares["n-gram regression a field"] > 5
    # Exact match, lowest locale, agreement.
    agreement = float(re.findall(NUMBER, lines["float32.tflite"])[2])
    assert agreement > 99
    assert re.search(r" \d+\.\d kB +\d+\.\d\d$", lines["int8.tflite"])
    assert lines["Keras"].split()[-3:] == ["-", "-", "-"]


@pytest.mark.slow
def test_the_classifier_learns_scripts(of_languages):
    folder, printed = of_languages
    lines = lines_of(
        printed, ("n-gram regression", "Keras", "Keras, int8 QAT", "float32.tflite",
                  "float16.tflite", "dynamic_int8.tflite", "int8.tflite"),
    )  # fmt: skip
    # Three scripts of their own: even this model is far above a third.
    assert all(float(re.search(NUMBER, line)[1]) > 60 for line in lines.values()), printed
    runner = Runner(folder / "languages-int8.tflite")
    assert runner.labels == ("de", "el", "ru")
    (prediction,) = runner.predict(["Озеро Байкал"])
    assert lines_of(printed, ["Озеро Байкал"])["Озеро Байкал"].split()[-1] == prediction.label


def test_the_predictions_are_those_of_the_file(of_dates):
    folder, printed = of_dates
    (written,) = Runner(folder / "dates-int8.tflite").generate(["de: Sonntag, 20. Juli 1969"])
    assert re.search(rf"^de: Sonntag, 20\. Juli 1969 +{re.escape(written)}", printed, re.MULTILINE)
    assert f"The file to put in an app: {folder / 'dates-int8.tflite'}\n" in printed


@pytest.mark.parametrize("task", mostly_slow(TASKS, ["dates"]))
def test_the_commands_to_go_on_with_work(task, request):
    folder, printed = request.getfixturevalue(f"of_{task}")
    commands = [shlex.split(line)[1:] for line in printed.split("Go on with:\n")[1].splitlines()]
    by_name = {words[0]: words[1:] for words in commands}
    assert list(by_name) == ["run", "compare", "search", "demo", "train"]
    for name in ("run", "compare"):
        result = call(name, *by_name[name])
        assert result.exit_code == 0, result.output
    # The others are complete but for the user's data.
    assert by_name["demo"] == [str(folder / f"{task}-int8.tflite")]
    code, message = error_of(call("train", *by_name["train"]))
    assert (code, "YOURS.tsv" in message) == (2, True)


def test_an_earlier_run_is_not_replaced_unasked(of_dates):
    folder, _ = of_dates
    code, message = error_of(call("quickstart", "--out", folder))
    assert code == 2
    assert message == f"Error: {folder} exists; choose another path or give --overwrite."


def test_an_unknown_task():
    code, message = error_of(call("quickstart", "--task", "dreams"))
    assert code == 2
    assert "'dreams' is not one of 'dates', 'languages'" in message
