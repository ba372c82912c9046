import json

import pytest

from tests.cli.calls import call, error_of


def test_a_table_a_plot_and_a_verdict(checkpoint, data, tmp_path):
    plot = tmp_path / "costs.svg"
    arguments = [
        "sensitivity", checkpoint, "--data", data.validation, "--max-drop", "100", "--plot", plot,
    ]  # fmt: skip
    result = call(*arguments)
    assert result.exit_code == 0, result.output
    lines = result.stdout.splitlines()
    names = [line.split("  ")[0] for line in lines[3:9]]
    assert names == [
        "embedding", "encoder/block_0/attention", "encoder/block_0/feed_forward",
        "head", "output", "all of them",
    ]  # fmt: skip
    assert any(line.startswith("All of it can be int8: ") for line in lines)
    assert lines[-1] == f"Wrote {plot}"
    assert plot.read_bytes().startswith(b"<?xml")
    again = call(*arguments)
    assert error_of(again) == (
        2, f"Error: {plot} exists; choose another path or give --overwrite.",
    )  # fmt: skip


def test_as_json(checkpoint, data):
    result = call("sensitivity", checkpoint, "--data", data.validation, "--json")
    assert result.exit_code == 0, result.output
    value = json.loads(result.stdout)
    assert (value["precision"], value["metric"], value["kept"]) == ("int8", "accuracy", None)
    assert len(value["costs"]) == 5


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--plot", "a.pdf"], "Expected --plot to end in .svg or .png, got a.pdf."),
        (["--max-drop", "-1"], "Expected --max-drop to be 0 or more points, got --max-drop -1.0."),
    ],
)
def test_mistakes(checkpoint, data, arguments, sentence):
    result = call("sensitivity", checkpoint, "--data", data.validation, *arguments)
    assert error_of(result) == (2, f"Error: {sentence}")
