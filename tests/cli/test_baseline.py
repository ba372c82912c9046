"""The n-grams that `train` compares a classification with."""

import json
import re

from tests.cli.calls import call


def test_a_classification_is_compared_with_ngrams(trained, data):
    out, result = trained
    metrics = json.loads((out / "metrics.json").read_text())
    assert metrics["baseline"] == {"accuracy": 1.0}  # one word of each text tells its label
    assert re.search(r"\naccuracy of n-grams +1\.0000", result.stdout)


def test_a_model_that_is_worse_than_ngrams_says_so(tmp_path, data):
    result = call(
        "train", "bert_tiny", "--train", data.train, "--validation", data.validation, "--text",
        "sentence", "--label", "verdict", "--set", "hidden_dim=8", "--set", "intermediate_dim=8",
        "--set", "num_heads=1", "--epochs", 1, "--steps", 1, "--out", tmp_path / "short",
    )  # fmt: skip
    assert result.exit_code == 0
    assert re.search(
        r"^Note: A linear classifier of n-grams has the better accuracy here: 100\.00% against "
        r"[0-9.]+%\. Try a pretrained model first ", result.stderr, re.MULTILINE,
    )  # fmt: skip
