"""`compare` and `benchmark` on the tiny model."""

import json
from pathlib import Path

import pytest

from keras_transformer.zoo.checkpoint import Checkpoint
from keras_transformer.zoo.models.build import get_weights, set_weights
from tests.arm64 import emulated
from tests.cli.calls import call, error_of


def test_compare_says_that_the_float_file_is_the_checkpoint(checkpoint, file, data):
    result = call("compare", checkpoint, file, "--data", data.validation, "--json")
    assert result.exit_code == 0, result.output
    (compared,) = json.loads(result.stdout)["files"]
    assert compared["precision"] == "float32"
    assert compared["parity"]["agreement"] == 1.0
    assert compared["parity"]["rows"] == 8
    assert compared["parity"]["largest"] < 1e-4
    assert compared["value"] == compared["checkpoint_value"]


def test_compare_prints_a_table(checkpoint, file, data):
    result = call("compare", checkpoint, file, "--data", data.validation)
    assert result.exit_code == 0, result.output
    assert "100.00%" in result.stdout


def test_compare_layer_by_layer(checkpoint, file, data):
    arguments = ("compare", checkpoint, file, "--data", data.validation, "--layers")
    result = call(*arguments)
    assert result.exit_code == 0, result.output
    assert result.stdout.endswith(f"No layer of {file} departs from {checkpoint}.\n")
    (compared,) = json.loads(call(*arguments, "--json").stdout)["files"]
    assert compared["path"] == str(file)
    assert list(compared["layers"][0]) == [
        "signature", "layer", "is_integer", "limit", "own", "total", "share", "departs",
    ]  # fmt: skip
    assert [one["departs"] for one in compared["layers"]] == [False] * len(compared["layers"])
    code, message = error_of(call(*arguments, "--beams", "2"))
    assert code == 2
    assert message.startswith("Error: Expected --beams only for a model that generates text")


def test_significance_of_two_models(checkpoint, file, data, tmp_path):
    head, *lines = Path(data.validation).read_text().splitlines(keepends=True)
    rows = tmp_path / "rows.tsv"
    rows.write_text(head + "".join(lines * 3))
    arguments = ("compare", file, checkpoint, "--data", rows, "--significance")
    result = call(*arguments, "--sample-seed", "4", "--samples", "200")
    assert result.exit_code == 0, result.output
    title, heads, _, first, second = result.stdout.splitlines()
    assert title == f"{rows}, 24 rows; paired bootstrap of 200 samples, seed 4"
    assert "McNemar's p" in heads
    assert first.split()[0] == str(file)
    assert second.split()[2:] == ["+0.0000", "+0.0000", "to", "+0.0000", "no", "0", "0", "1"]
    found = json.loads(call(*arguments, "--json").stdout)
    assert (found["first"], found["models"][0]["mcnemar"]["p_value"]) == (str(file), 1.0)
    code, message = error_of(call(*arguments, "--layers"))
    assert (code, message) == (2, "Error: Expected --layers or --significance, got both.")
    code, message = error_of(call(*arguments[:-1], "--sample-seed", "4"))
    assert (code, message) == (2, "Error: Expected --sample-seed only with --significance, got 4.")


def test_benchmark_measures_every_file(file):
    result = call("benchmark", file, file, "--runs", "3", "--json")
    assert result.exit_code == 0, result.output
    measured = json.loads(result.stdout)
    assert measured["threads"] == 1
    assert [entry["path"] for entry in measured["files"]] == [str(file)] * 2
    for entry in measured["files"]:
        assert entry["size"] == file.stat().st_size
        assert 0 < entry["median_ms"] <= entry["p90_ms"]
        assert entry["partitions"] >= 1
        assert "GATHER" in entry["outside_ops"]


@pytest.mark.slow
def test_benchmark_counts_instructions_on_arm64(file):
    emulated()
    result = call("benchmark", file, "--arm64", "cortex-a76", "--json")
    assert result.exit_code == 0, result.output
    counted = json.loads(result.stdout)
    assert counted["core"] == "cortex-a76"
    [entry] = counted["files"]
    assert entry["instructions"] == sum(entry["classes"].values()) > 10_000
    result = call("benchmark", file, "--arm64", "cortex-a76")
    assert f"{entry['instructions'] / 1e6:.3f}" in result.stdout


def test_benchmark_on_arm64_without_its_programs_or_with_runs(file, monkeypatch):
    code, message = error_of(call("benchmark", file, "--arm64", "cortex-a76", "--runs", "3"))
    assert code == 2
    assert message.startswith("Error: Expected --arm64 without --runs: one run on one thread is ")
    code, message = error_of(call("benchmark", file, "--arm64", "cortex-a99"))
    assert code == 2 and "'cortex-a53', 'cortex-a55', 'cortex-a76', 'cortex-a715'" in message
    monkeypatch.setenv("PATH", "")
    code, message = error_of(call("benchmark", file, "--arm64", "cortex-a76"))
    assert code == 2
    assert "qemu-aarch64 is not installed; on Debian 12, apt-get install qemu-user" in message


def test_a_foreign_file_is_refused(tmp_path):
    path = tmp_path / "other.tflite"
    path.write_bytes(b"\x1c\0\0\0TFL3" + bytes(100))
    code, message = error_of(call("benchmark", path))
    assert code == 2
    assert str(path) in message


def test_a_file_of_other_weights_is_said_to_be_one(checkpoint, file, data, tmp_path):
    other = Checkpoint.load(checkpoint)
    weights = get_weights(other.model)
    set_weights(other.model, {**weights, "head/bias": weights["head/bias"] + 1})
    other.save(tmp_path / "other")
    notes = [
        call("compare", one, file, "--data", data.validation).stderr
        for one in (checkpoint, tmp_path / "other")
    ]
    assert "other weights" not in notes[0]
    assert " ".join(notes[1].split()) == (
        f"Note: {file} was made from other weights than those of {tmp_path / 'other'}: of another "
        "model, or of one that was trained on, rotated or pruned since."
    )
