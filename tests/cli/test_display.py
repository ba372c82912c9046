import io

import pytest

from keras_transformer.cli import display
from keras_transformer.zoo.progress import Printed


@pytest.fixture
def wide(monkeypatch):
    monkeypatch.setenv("COLUMNS", "120")


@pytest.mark.usefixtures("wide")
def test_a_table_aligns_numbers_and_prints_text_as_it_stands(capsys):
    rows = [("[PAD] :smile:", 1234, 0.5, "1.2 MB"), ("映画", 5, None, "30.0 kB")]
    display.table("The [title]", ("Text", "Count", "Share", "Size"), rows)
    captured = capsys.readouterr()
    assert captured.err == ""
    assert captured.out.splitlines() == [
        "The [title]",
        "Text            Count    Share      Size",
        "────────────────────────────────────────",
        "[PAD] :smile:   1,234   0.5000    1.2 MB",
        "映画                5        -   30.0 kB",
    ]


def test_epochs_and_notes_are_lines_on_stderr(capsys):
    with display.Progress() as progress:
        progress.start("train", 4)
        progress.step(1, 0.75)
        progress.epoch(1, 0.5, {"accuracy": 0.25, "macro_f1": 0.125, "per_class": {}}, True)
        progress.note("3 rows of [file] were cut.")
        progress.epoch(2, 0.25, {"pearson": 0.5, "spearman": -0.5}, False)
        for deciding in ("mean", "mean_average_precision", "mean_reciprocal_rank"):
            progress.epoch(3, 0.25, {deciding: 0.5}, False)
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.split("\n", 6)[:6] == [
        "Epoch 1: loss 0.5000, validation accuracy 0.2500, macro F1 0.1250, the best so far",
        "Note: 3 rows of [file] were cut.",
        "Epoch 2: loss 0.2500, validation pearson 0.5000, spearman -0.5000",
        "Epoch 3: loss 0.2500, validation mean 0.5000",
        "Epoch 3: loss 0.2500, validation mean average precision 0.5000",
        "Epoch 3: loss 0.2500, validation mean reciprocal rank 0.5000",
    ]
    assert "train" not in captured.err


@pytest.mark.usefixtures("wide")
def test_a_small_loss_is_no_zero(capsys, monkeypatch):
    monkeypatch.setenv("FORCE_COLOR", "1")
    with display.Progress() as progress:
        progress.start("train", 4)
        progress.step(1, 0.0000123)
    file = io.StringIO()
    Printed(file).step(1, 0.0000123)
    for printed in (capsys.readouterr().err, file.getvalue()):
        assert "loss 1.23e-05" in printed and "loss 0.0000" not in printed


@pytest.mark.usefixtures("wide")
def test_a_terminal_has_a_bar_for_each_run(capsys, monkeypatch):
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("TTY_COMPATIBLE", "1")
    with display.Progress() as progress:
        for title in ("train", "quantize"):
            progress.start(title, 4)
            progress.step(3, 0.5)
    shown = capsys.readouterr().err
    assert "train" in shown and "quantize" in shown
    assert shown.count("3/4") >= 2 and "loss 0.5000" in shown


def test_a_note_is_one_line(capsys):
    display.note("word " * 60)
    assert capsys.readouterr().err == f"Note: {'word ' * 60}\n"


@pytest.mark.parametrize(
    ("num_bytes", "words"), [(999, "1.0 kB"), (24_600, "24.6 kB"), (4_420_000, "4.42 MB")]
)
def test_sizes(num_bytes, words):
    assert display.size(num_bytes) == words


def test_a_bar_of_reading_is_gone_when_all_is_read():
    progress = display.Progress()
    progress.reading("photos", 50, 70)
    [task] = progress.bar.tasks
    assert (task.description, task.completed, task.total) == ("photos", 50, 70)
    progress.reading("photos", 70, 70)
    assert not progress.bar.tasks
