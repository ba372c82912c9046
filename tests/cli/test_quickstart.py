"""The whole way on few languages with a model far too small to be good."""

import re

import pytest

from keras_transformer.edge.quickstart import quickstart as module
from keras_transformer.edge.runtime.runner import Runner
from tests.cli.calls import SETTINGS, call, error_of

pytest.importorskip("babel")


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """The folder and what was printed."""
    full = module.recipe
    small = {
        "settings": SETTINGS, "epochs": 3, "learning_rate": 1e-2,
        "vocab_size": 300, "max_length": 24, "token_dropout": 0.0, "piece_dropout": 0.0,
    }  # fmt: skip
    out = tmp_path_factory.mktemp("quickstart") / "run"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "LANGUAGES", ("de", "el", "ru"))
        patch.setattr(module, "recipe", lambda *arguments: full(*arguments).replace(**small))
        result = call("quickstart", "--out", out)
    assert result.exit_code == 0, result.output
    return out, result.stdout


def test_the_table_has_a_row_for_every_model_and_file(run):
    _, printed = run
    names = ("n-gram baseline", "Keras", "Keras, int8 QAT", "float32.tflite", "float16.tflite",
             "dynamic_int8.tflite", "int8.tflite")  # fmt: skip
    for name in names:
        row = re.search(rf"^{re.escape(name)} +(\d+\.\d+)%", printed, re.MULTILINE)
        assert row, printed
        # Three scripts of their own: even this model is far above a third.
        assert float(row[1]) > 60


def test_it_ends_with_predictions_and_the_file_to_put_in_an_app(run):
    out, printed = run
    assert printed.rstrip().endswith(f"The file to put in an app: {out / 'languages-int8.tflite'}")
    assert "Озеро Байкал" in printed
    runner = Runner(out / "languages-int8.tflite")
    assert runner.labels == ("de", "el", "ru")
    (prediction,) = runner.predict(["Ελλάδα"])
    assert sum(prediction.scores.values()) == pytest.approx(1.0)


def test_an_earlier_run_is_not_replaced_unasked(run):
    out, _ = run
    code, message = error_of(call("quickstart", "--out", out))
    assert code == 2
    assert message == f"Error: {out} exists; choose another path or give --overwrite."
