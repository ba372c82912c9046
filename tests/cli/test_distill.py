import json

from tests.cli.calls import call, error_of


def test_a_student_of_the_catalogue(checkpoint, data, tmp_path):
    out = tmp_path / "student"
    result = call(
        "distill", checkpoint, "bert_tiny", "--set", "hidden_dim=16", "--set",
        "intermediate_dim=16", "--train", data.train, "--epochs", 1, "--share", "0.7",
        "--hidden-weight", "0.5", "--attention-weight", "0.1", "--out", out,
    )  # fmt: skip
    assert result.exit_code == 0, result.output
    assert result.stdout.endswith(f"\nWrote {out}\n")
    recipe = json.loads((out / "recipe.json").read_text())
    assert (recipe["model"]["name"], recipe["distill"]["share"]) == ("bert_tiny", 0.7)
    assert (recipe["distill"]["hidden_weight"], recipe["distill"]["attention_weight"]) == (0.5, 0.1)
    assert json.loads((out / "config.json").read_text())["model"]["hidden_dim"] == 16


def test_the_teacher_with_fewer_blocks(checkpoint, data, tmp_path):
    out = tmp_path / "student"
    result = call(
        "distill", checkpoint, "--init", "teacher", "--set", "num_layers=1", "--train", data.train,
        "--epochs", 1, "--out", out,
    )  # fmt: skip
    assert result.exit_code == 0, result.output
    recipe = json.loads((out / "recipe.json").read_text())
    assert (recipe["distill"]["init"], recipe["model"]["settings"]["num_layers"]) == ("teacher", 1)
    assert json.loads((out / "config.json").read_text())["model"]["num_layers"] == 1


def test_mistakes(checkpoint, tmp_path):
    out = tmp_path / "student"
    for arguments, sentence in (
        (["bert_tiny", "--share", "2"], "Expected --share to be above 0 and at most 1, got "
         "--share 2.0."),
        (["bert_tiny", "--beams", "2"], "Expected --beams to be 0 for a task other than "
         "translation, got --beams 2 for classification."),
        (["bert_tiny", "--set", "vocab_size=9"], "Expected no setting vocab_size: it follows from "
         "the tokenizer."),
        ([], "Expected a student, by its name or its checkpoint, where it does not begin with the "
         "teacher's blocks, got none and --init student."),
        ([checkpoint, "--set", "hidden_dim=8"], "Expected settings only for a model of "
         "the catalogue, got settings={'hidden_dim': 8}."),
    ):  # fmt: skip
        result = call("distill", checkpoint, *arguments, "--out", out)
        assert error_of(result) == (2, f"Error: {sentence}")
    unknown = call("distill", checkpoint, "bert_tin", "--out", out)
    assert error_of(unknown)[0] == 2 and "bert_tin" in error_of(unknown)[1]
    assert not out.exists()
