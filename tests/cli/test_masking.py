"""Masked language models on the command line, and training that begins with one."""

import json

import pytest

from tests.cli.calls import call
from tests.masking import NAMES, SETTINGS, lines, trained
from tests.slow import mostly_slow


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """The folder of data and of a checkpoint."""
    folder = tmp_path_factory.mktemp("masking")
    (folder / "texts.txt").write_text("\n".join(lines(60, 0)), encoding="utf-8")
    rows = [f"{line}\t{NAMES.index(line.split()[0]) % 2}" for line in lines(60, 3)]
    (folder / "train.tsv").write_text("\n".join(["text\tlabel", *rows]), encoding="utf-8")
    trained().save(folder / "model")
    trained("replaced").save(folder / "replaced")
    return folder


@pytest.mark.parametrize("objective", mostly_slow(["masked", "replaced"], ["masked"]))
def test_training_on_plain_text_and_then_on_labels(folder, objective):
    sets = [word for name, value in SETTINGS.items() for word in ("--set", f"{name}={value}")]
    out = folder / f"made_{objective}"
    result = call(
        "train", "bert_tiny", "--task", "masked-language-modeling", "--objective", objective,
        "--train", folder / "texts.txt", "--validation", "0.2", "--epochs", "1", "--vocab-size",
        "60", "--max-length", "12", "--mask-share", "0.2", *sets, "--out", out,
    )  # fmt: skip
    assert result.exit_code == 0, result.output
    assert {"perplexity" if objective == "masked" else "F1"} <= set(result.stdout.split())
    recipe = json.loads((out / "recipe.json").read_text())
    assert (recipe["optimizer"]["objective"], recipe["data"]["mask_share"]) == (objective, 0.2)
    result = call(
        "train", out, "--task", "classification", "--train", folder / "train.tsv",
        "--validation", "0.2", "--epochs", "1", "--no-baseline", "--out", f"{out}_tuned",
    )  # fmt: skip
    assert result.exit_code == 0, result.output
    assert call("run", f"{out}_tuned", "anna anna").exit_code == 0


def test_fills_and_metrics(folder):
    result = call("run", folder / "model", "bob [MASK] bob")
    head, _, row, *others = result.stdout.splitlines()
    assert head.split() == ["Characters", "Piece", "Probability"]
    assert row.split()[:2] == ["4-10", "bob"] and len(others) == 4
    result = call("run", folder / "model", "anna [MASK]", "bob [MASK] bob", "--json")
    found = json.loads(result.stdout)["predictions"]
    assert [one["masks"][0]["start"] for one in found] == [5, 4]
    assert len(found[1]["masks"][0]["pieces"]) == 5
    result = call("run", folder / "model", "bob")
    assert (result.exit_code, result.stdout) == (2, "")
    assert "Expected [MASK] in each text, got none in text 1: 'bob'." in result.stderr
    result = call("evaluate", folder / "model", "--data", folder / "texts.txt", "--json")
    assert json.loads(result.stdout)["token_accuracy"] > 0.9
    result = call(
        "evaluate", folder / "model", "--data", folder / "texts.txt", "--errors",
        folder / "errors.tsv",
    )  # fmt: skip
    assert result.exit_code == 2 and "; evaluate it without them." in result.stderr


def test_replaced_pieces(folder):
    result = call("run", folder / "replaced", "bob bob dora bob bob bob")
    head, _, *rows = result.stdout.splitlines()
    assert head.split() == ["Piece", "Replaced"]
    assert [row.split()[0] for row in rows] == "bob bob dora bob bob bob".split()
    result = call("run", folder / "replaced", "bob dora", "anna", "--json")
    first, second = json.loads(result.stdout)["predictions"]
    assert [name for name, _ in first["pieces"]] == ["bob", "dora"]
    assert len(second["pieces"]) == 1


@pytest.mark.parametrize("objective", ["masked", "replaced"])
def test_a_file_beside_its_checkpoint(folder, objective):
    source = folder / {"masked": "model", "replaced": "replaced"}[objective]
    made = folder / f"{objective}.tflite"
    result = call("convert", source, "--precision", "float32", "--out", made)
    assert result.exit_code == 0, result.output
    result = call("compare", source, made, "--data", folder / "texts.txt")
    assert result.exit_code == 0, result.output
    metric = "perplexity" if objective == "masked" else "f1"
    assert {metric, "100.00%"} <= set(result.stdout.split())
