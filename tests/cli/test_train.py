import errno
import hashlib
import json
import os

import pytest

from keras_transformer.cli import display
from tests.cli.calls import SENTENCES, call, error_of, fill_disk, write_table


def weights(checkpoint) -> bytes:
    return (checkpoint / "weights.safetensors").read_bytes()


def nothing_written(out) -> bool:
    states = out.with_name(f"{out.name}.training")
    return not out.exists() and not (states.exists() and any(states.iterdir()))


def test_a_run_reports_and_writes_a_checkpoint(trained, data):
    out, result = trained
    lines = result.stderr.splitlines()
    assert lines[0] == "Device: cpu:0 (tensorflow backend)"
    epochs = [line for line in lines if line.startswith("Epoch ")]
    assert len(epochs) == 8
    assert epochs[0].endswith(", the best so far")
    assert result.stdout.endswith(f"\nWrote {out}\n")
    assert "accuracy" in result.stdout
    recipe = json.loads((out / "recipe.json").read_text())
    assert recipe["data"]["train"] == str(data.train)
    assert recipe["data"]["digest"] == hashlib.sha256(data.train.read_bytes()).hexdigest()
    named = {name: one for name, one in recipe["data"]["columns"].items() if one is not None}
    assert named == {"text": "sentence", "label": "verdict"}
    assert recipe["model"]["settings"]["pooling"] == "mean"
    assert recipe["optimizer"]["learning_rate"] == 0.01
    assert not out.with_name("model.training").exists()


def test_a_recipe_is_repeated_to_the_bit(checkpoint, tmp_path):
    again = tmp_path / "again"
    command = ("train", "--recipe", checkpoint / "recipe.json", "--out", again, "--no-baseline")
    result = call(*command)
    assert result.exit_code == 0
    assert weights(again) == weights(checkpoint)
    assert "n-grams" not in result.output
    assert "baseline" not in json.loads((again / "metrics.json").read_text())


def test_options_override_a_recipe_and_curves_are_written(checkpoint, tmp_path):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    out, curves = tmp_path / "changed", tmp_path / "curves"
    result = call(
        "train", "--recipe", checkpoint / "recipe.json", "--epochs", 2, "--seed", 3, "--cased",
        "--keep-accents", "--mixed-precision", "bfloat16", "--set", "dropout=0.2",
        "--tensorboard", curves, "--out", out,
    )  # fmt: skip
    assert result.exit_code == 0
    before = json.loads((checkpoint / "recipe.json").read_text())
    before["training"] |= {"epochs": 2, "seed": 3, "dtype": "mixed_bfloat16"}
    before["tokenizer"] |= {"lowercase": False, "strip_accents": False}
    before["model"]["settings"]["dropout"] = 0.2
    assert json.loads((out / "recipe.json").read_text()) == before
    events = EventAccumulator(str(curves))
    events.Reload()
    assert {"train/loss", "validation/accuracy"} <= set(events.Tags()["tensors"])
    assert len(events.Tensors("train/loss")) == 2


def test_regression_over_pairs(tmp_path):
    rows = [(text, label, str(i % 5)) for i, (text, label) in enumerate(SENTENCES)]
    table = write_table(tmp_path / "pairs.tsv", rows, header=("a", "b", "score"))
    result = call(
        "train", "bert_tiny", "--task", "regression", "--train", table, "--validation", table,
        "--text", "a", "--text-pair", "b", "--label", "score", "--tokenizer", "bytes",
        "--max-length", 64, "--epochs", 1, "--set", "hidden_dim=16", "--set", "num_layers=1",
        "--set", "intermediate_dim=16", "--out", tmp_path / "model",
    )  # fmt: skip
    assert result.exit_code == 0
    assert "pearson" in result.stdout and "spearman" in result.stdout
    result = call("evaluate", tmp_path / "model", "--data", table, "--json")
    assert json.loads(result.stdout)["task"] == "regression"
    result = call("run", tmp_path / "model", "a fine film", "--pair", "good")
    assert (result.exit_code, result.stdout.split()[:2]) == (0, ["Text", "Value"])
    more = call("run", tmp_path / "model", "a", "b", "--pair", "c")
    assert error_of(more) == (2, "Error: Expected a --pair for each of the 2 texts, got 1.")


def test_long_texts_are_cut_counted_and_reported(data, tmp_path):
    rows = [*SENTENCES, ("good " * 40, "good"), ("bad " * 40, "bad")]
    long = write_table(tmp_path / "long.tsv", rows)
    arguments = [*data.arguments, "--train", long, "--epochs", 1]
    result = call("train", *arguments, "--out", tmp_path / "model")
    assert result.exit_code == 0
    note = f"Note: 2 of 10 rows of {long} are longer than 16 tokens and were cut."
    assert note in result.stderr.splitlines()


def test_an_interrupted_run_goes_on_to_the_same_weights(checkpoint, tmp_path, monkeypatch):
    out = tmp_path / "model"
    arguments = ("train", "--recipe", checkpoint / "recipe.json", "--out", out)
    step = display.Progress.step

    def interrupt(self, number, loss):
        step(self, number, loss)
        if number == 13:
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(display.Progress, "step", interrupt)
        result = call(*arguments)
    assert error_of(result) == (130, "Error: Interrupted.")
    states = out.with_name("model.training")
    assert f"Note: {states} holds the last state; --resume goes on from it." in result.stderr
    assert error_of(call(*arguments)) == (
        2,
        f"Error: {states} holds an unfinished run; go on with --resume, "
        "or discard it with --overwrite.",
    )
    result = call(*arguments, "--resume")
    assert result.exit_code == 0
    assert "Note: Resuming after step 1" in result.stderr
    assert weights(out) == weights(checkpoint)
    assert not states.exists()


def test_a_disk_that_is_full_at_the_end_loses_nothing(checkpoint, tmp_path, monkeypatch):
    out = tmp_path / "model"
    arguments = ("train", "--recipe", checkpoint / "recipe.json", "--out", out)
    fsync = os.fsync

    def full_but_for_states(descriptor):
        if "model.training" not in os.readlink(f"/proc/self/fd/{descriptor}"):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        fsync(descriptor)

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full_but_for_states)
        result = call(*arguments)
    assert error_of(result) == (1, f"Error: No space left on device: {out}.")
    assert "--resume goes on from it." in result.stderr
    assert sorted(path.name for path in tmp_path.iterdir()) == ["model.training"]
    assert call(*arguments, "--resume").exit_code == 0
    assert weights(out) == weights(checkpoint)


def test_a_full_disk(data, tmp_path, monkeypatch):
    fill_disk(monkeypatch)
    out = tmp_path / "model"
    code, line = error_of(call("train", *data.arguments, "--out", out))
    assert (code, line.startswith("Error: No space left on device: ")) == (1, True)
    assert nothing_written(out)


def test_a_loss_that_is_not_finite(data, tmp_path):
    out = tmp_path / "model"
    huge = ("--learning-rate", "1e30", "--optimizer", "sgd", "--clip-norm", 0, "--warmup", 0)
    code, line = error_of(call("train", *data.arguments, *huge, "--out", out))
    assert code == 1
    assert "at step" in line and "Lower the learning rate" in line
    assert not out.exists()


def test_a_path_that_exists_is_refused_before_any_work(data, checkpoint, tmp_path):
    before = weights(checkpoint)
    assert error_of(call("train", *data.arguments, "--out", checkpoint)) == (
        2,
        f"Error: {checkpoint} exists; choose another path or give --overwrite.",
    )
    assert weights(checkpoint) == before
    (tmp_path / "mine.txt").touch()
    result = call("train", *data.arguments, "--out", tmp_path, "--overwrite")
    assert error_of(result) == (
        2,
        f"Error: {tmp_path} exists and is no checkpoint, so it is not overwritten; "
        "choose another path.",
    )
    assert "Epoch" not in result.stderr


def test_a_folder_of_the_users_is_not_taken_for_states(data, tmp_path):
    states = tmp_path / "model.training"
    states.mkdir()
    (states / "notes.txt").touch()
    result = call("train", *data.arguments, "--out", tmp_path / "model", "--overwrite")
    assert error_of(result) == (
        2,
        f"Error: {states} holds 'notes.txt', which is no state of a run; choose another path.",
    )
    assert (states / "notes.txt").exists()


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--text", "txt"], "there is no column 'txt'; the columns are 'sentence', 'verdict'."),
        (["--task", "tagging"], "'tagging' is not one of 'classification', 'multi-label'"),
        (["--optimizer", "lamb"], "'lamb' is not one of 'adam', 'adamw', 'sgd', 'momentum'."),
        (["--epochs", "many"], "Invalid value for '--epochs': 'many' is not a valid integer."),
        (["--epochs", "0"], "Expected --epochs to be above 0, got --epochs 0."),
        (["--learning-rate", "nan"], "Expected --learning-rate to be"),
        (["--warmup", "1"], "Expected --warmup to be from 0 to below 1, got --warmup 1.0."),
        (["--mixed-precision", "int8"], "'int8' is not one of 'none', 'bfloat16', 'float16'."),
        (["--max-length", "33"], "Expected --max-length to be at most the model's 32"),
        (["--vocab-size", "40000"], "Expected --vocab-size to be at most the 30522 of bert_tiny"),
        (["--set", "depth=3"], "Expected a setting of the model among"),
        (["--set", "depth=3"], ", max_length, "),
        (["--set", "num_layers=many"], "Expected num_layers to be an integer"),
        (["--set", "dropout"], "Expected KEY=VALUE, got 'dropout'."),
        (["--train", "no.tsv"], "Invalid value for '--train': There is no file no.tsv."),
        (["--recipe", "no.json"], "There is no file no.json."),
        (["--weight-decay", "0.1"], "Expected --weight-decay to be 0 for an optimizer other than"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_mistakes_in_options(data, tmp_path, arguments, sentence):
    code, line = error_of(call("train", *data.arguments, *arguments, "--out", tmp_path / "model"))
    assert code == 2
    assert line.startswith("Error: ") and sentence in line
    assert nothing_written(tmp_path / "model")


def test_missing_arguments(data, tmp_path):
    out = ("--out", tmp_path / "model")
    assert error_of(call("train", *out)) == (2, "Error: Missing option '--train'.")
    assert error_of(call("train", "bert_tiny", *out)) == (2, "Error: Missing option '--train'.")


@pytest.mark.parametrize(
    ("model", "sentence"),
    [
        ("bert_huge", "Error: Expected a model among ast_tiny, "),
        ("gpt_nano", "Error: Expected a task that the decoder gpt_nano can be trained for"),
    ],
)
def test_models_that_cannot_be_trained(data, tmp_path, model, sentence):
    arguments = [model, *data.arguments[1:], "--out", tmp_path / "model"]
    code, line = error_of(call("train", *arguments))
    assert (code, line.startswith(sentence)) == (2, True)


GOOD_ROWS = b"sentence\tverdict\na fine film\tgood\n"


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"", ": the file is empty."),
        (b"sentence\tverdict\n", ": the file has a header but no rows."),
        (GOOD_ROWS + b"a dull film\n", ", line 3: expected 2 columns as in the header, got 1."),
        (GOOD_ROWS + b"caf\xe9\tbad\n", ", line 3: the file is not UTF-8 (byte 0xe9)."),
        (GOOD_ROWS, ": expected at least two classes in column 'verdict', got only 'good'."),
    ],
    ids=["empty", "header only", "ragged", "not UTF-8", "one class"],
)
def test_mistakes_in_training_data(data, tmp_path, content, sentence):
    table = tmp_path / "table.tsv"
    table.write_bytes(content)
    result = call("train", *data.arguments, "--train", table, "--out", tmp_path / "model")
    assert error_of(result) == (2, f"Error: {table}{sentence}")
    assert nothing_written(tmp_path / "model")


def test_an_unknown_label_in_validation(data, tmp_path):
    table = write_table(tmp_path / "table.tsv", [*SENTENCES, ("so so", "neutral")])
    result = call("train", *data.arguments, "--validation", table, "--out", tmp_path / "model")
    assert error_of(result) == (
        2,
        f"Error: {table}, line 10: unknown label 'neutral'; the known labels are 'bad', 'good'.",
    )
    assert nothing_written(tmp_path / "model")


def test_a_vocabulary_larger_than_the_models(data, tmp_path):
    vocabulary = tmp_path / "vocab.txt"
    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    vocabulary.write_text("".join(f"{p}\n" for p in [*special, *map(str, range(30_518))]))
    result = call("train", *data.arguments, "--vocabulary", vocabulary, "--out", tmp_path / "model")
    assert error_of(result) == (
        2,
        f"Error: {vocabulary} has 30523 entries, more than the 30522 of bert_tiny; "
        "take a smaller vocabulary or a larger model.",
    )
    assert nothing_written(tmp_path / "model")


def test_a_recipe_that_is_none(tmp_path):
    recipe = tmp_path / "recipe.json"
    # The second is as a recipe was written before it had parts.
    for text, sentence in (
        ('{"training": {"epoch": 3}, "task": "regression"}', " has 'epoch' in training; known "),
        ('{"model": "bert_tiny", "settings": {}}', " has 'settings'; known are task, model, "),
    ):
        recipe.write_text(text)
        code, line = error_of(call("train", "--recipe", recipe, "--out", tmp_path / "model"))
        assert (code, line.startswith(f"Error: {recipe}{sentence}")) == (2, True)
    recipe.write_text("epochs: 3")
    code, line = error_of(call("train", "--recipe", recipe, "--out", tmp_path / "model"))
    assert (code, f"Error: Expected {recipe} to be JSON: " in line) == (2, True)
