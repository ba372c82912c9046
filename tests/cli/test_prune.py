import json

from tests.cli.calls import call, error_of


def test_a_run_reports_and_writes_a_checkpoint(checkpoint, data, tmp_path):
    out = tmp_path / "sparse"
    result = call(
        "prune", checkpoint, "--train", data.train, "--sparsity", "0.75", "--epochs", 2, "--out",
        out,
    )  # fmt: skip
    assert result.exit_code == 0, result.output
    lines = [line.split() for line in result.stdout.splitlines()]
    [share] = [line[-1] for line in lines if line[:1] == ["sparsity"]]
    assert abs(float(share) - 0.75) < 0.01
    assert result.stdout.endswith(f"\nWrote {out}\n")
    recipe = json.loads((out / "recipe.json").read_text())
    assert recipe["prune"] == {"sparsity": 0.75, "pattern": "element", "clusters": 0}
    assert recipe["training"]["epochs"] == 2
    file = tmp_path / "model.tflite"
    converted = call("convert", out, "--precision", "float32", "--out", file)
    assert "size, compressed by gzip" in converted.stdout


def test_a_run_makes_a_smaller_model(checkpoint, data, tmp_path):
    out = tmp_path / "small"
    arguments = ("--heads", 1, "--neurons", 8, "--epochs", 1)
    result = call("prune", checkpoint, *arguments, "--out", out)
    assert result.exit_code == 0, result.output
    model = json.loads((out / "config.json").read_text())["model"]
    assert (model["num_heads"], model["head_dim"], model["intermediate_dim"]) == (1, 8, 8)
    assert "multiply adds kept" in result.stdout
    evaluated = call("evaluate", out, "--data", data.train)
    assert evaluated.exit_code == 0, evaluated.output


def test_mistakes(checkpoint, tmp_path):
    out = tmp_path / "sparse"
    for arguments, sentence in (
        (["--sparsity", "1"], "Expected --sparsity to be from 0 to below 1, got --sparsity 1.0."),
        (
            [],
            "Expected one way to prune (heads, neurons and layers; rank or energy; sparsity and "
            "pattern; or clusters), got none.",
        ),
        (["--heads", 3], "Expected --heads to be from 1 to the model's 2, got --heads 3."),
        (
            ["--sparsity", "0.7", "--pattern", "2:4"],
            "Expected --sparsity to be 0.5 for 2:4, got --sparsity 0.7.",
        ),
    ):
        result = call("prune", checkpoint, *arguments, "--out", out)
        assert error_of(result) == (2, f"Error: {sentence}")
    assert not out.exists()
