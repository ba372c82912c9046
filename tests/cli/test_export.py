import json

import pytest

from tests.cli.calls import call, error_of


def test_a_folder_is_written_and_replaced(checkpoint, tmp_path):
    out = tmp_path / "export"
    arguments = ("export", checkpoint, "--format", "saved_model", "--out", out)
    result = call(*arguments)
    assert result.exit_code == 0
    rows = dict(line.rsplit(maxsplit=1) for line in result.stdout.splitlines() if "  " in line)
    assert rows["rows"] == "8"
    assert float(rows["largest difference"]) <= 1e-5 * float(rows["largest output"])
    assert result.stdout.endswith(f"\nWrote {out}\n")
    written = {path.relative_to(out).as_posix() for path in out.rglob("*") if path.is_file()}
    assert {"saved_model/saved_model.pb", "labels.txt", "vocab.txt", "model.json"} < written
    assert json.loads((out / "model.json").read_bytes())["task"]["name"] == "classification"
    assert error_of(call(*arguments)) == (
        2,
        f"Error: {out} exists; choose another path or give --overwrite.",
    )


def test_a_checkpoint_is_not_overwritten_by_an_export(checkpoint):
    result = call("export", "no", "--format", "onnx", "--out", checkpoint, "--overwrite")
    assert error_of(result) == (
        2,
        f"Error: {checkpoint} exists and is no export, so it is not overwritten; choose another "
        "path.",
    )


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--format", "gguf"], "'gguf' is not one of 'onnx', 'torchscript', 'saved_model'"),
        ([], "Missing option '--format'."),
        (
            ["--format", "onnx", "--precision", "int9"],
            "'int9' is not one of 'float32', 'float16', 'dynamic_int8'",
        ),
        (["--format", "saved_model"], "Error: There is no checkpoint folder "),
    ],
)
def test_mistakes(tmp_path, arguments, sentence):
    code, line = error_of(call("export", tmp_path / "no", *arguments, "--out", tmp_path / "out"))
    assert (code, sentence in line) == (2, True), line
    assert list(tmp_path.iterdir()) == []
