import json

import pytest

from keras_transformer.edge.choose import figures as drawing
from tests.cli.calls import call, error_of


@pytest.fixture(scope="module")
def searched(checkpoint, data, tmp_path_factory):
    out = tmp_path_factory.mktemp("search") / "choice"
    arguments = [
        "search", checkpoint, "--data", data.validation, "--precisions", "float16,int8",
        "--max-drop", "100", "--runs", 2, "--out", out,
    ]  # fmt: skip
    return call(*arguments), out, arguments


@pytest.mark.slow
def test_a_search_prints_the_table_and_names_a_file(searched):
    result, out, _ = searched
    assert result.exit_code == 0, result.output
    lines = result.stdout.splitlines()
    chosen = json.loads((out / "results.json").read_text())["recommended"]
    words = [line.split()[0] for line in lines if line.split()]
    assert words[2:6] == [words[2], "float32", "float16", "int8"]
    marked = [line.split()[0] for line in lines if line.rstrip().endswith("recommended")]
    assert marked == [chosen]
    assert lines[-2].startswith(f"Recommended: {chosen}.tflite")
    assert lines[-1] == f"Wrote {out / 'report.html'}"
    assert sorted(path.name for path in out.iterdir()) == [
        "float16.tflite", "float32.tflite", "int8.tflite", "pareto.png", "pareto.svg",
        "report.html", "results.json",
    ]  # fmt: skip
    assert "Note: int8, 3 of 3." in result.stderr


def test_a_search_that_is_there(searched):
    _, out, arguments = searched
    assert error_of(call(*arguments)) == (
        2,
        f"Error: {out} holds a search; go on with --resume, or discard it with --overwrite.",
    )
    resumed = call(*arguments, "--resume")
    assert resumed.exit_code == 0, resumed.output
    assert "Note: int8" not in resumed.stderr


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--max-drop", "-1"], "Expected --max-drop to be 0 or more points, got --max-drop -1.0."),
        (["--sparsity", "0.5,1"], "Expected --sparsity to be above 0 and below 1, got 1.0."),
        (
            ["--sparsity", "half"],
            "Invalid value for '--sparsity': Expected numbers with commas between, got 'half'.",
        ),
        (
            ["--label", "class"],
            "there is no column 'class'; the columns are 'sentence', 'verdict'.",
        ),
        (["--workers", "2"], "Expected --workers only with --engine."),
        (["--engine", "ray"], "Expected --workers N with --engine ray."),
    ],
)
def test_mistakes(checkpoint, data, tmp_path, arguments, sentence):
    out = tmp_path / "choice"
    result = call("search", checkpoint, "--data", data.validation, *arguments, "--out", out)
    code, error = error_of(result)
    assert (code, error.endswith(sentence)) == (2, True), error
    assert not out.exists()


def test_without_matplotlib_nothing_begins(data, tmp_path, monkeypatch):
    monkeypatch.setattr(drawing, "matplotlib", None)
    result = call("search", "none", "--data", data.validation, "--out", tmp_path / "choice")
    assert error_of(result) == (
        2,
        "Error: Figures need matplotlib; install it with pip install "
        '"keras-transformer-zoo[report]".',
    )
