"""Models of several kinds through the command: from a table to answers of a `.tflite` file."""

import json

import pytest
from PIL import Image as Pillow

from tests.cli.calls import call
from tests.zoo.modalities.asked import OPTIONS, QUESTIONS, SMALL, asked, write_asked

COLUMNS = ("--image", "picture", "--text", "question", "--label", "answer")


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    folder = tmp_path_factory.mktemp("asked")
    for count, seed in ((240, 0), (60, 1)):
        write_asked(folder, count, seed)
    return folder


@pytest.fixture(scope="module")
def model(data):
    options = [part for name, value in {**OPTIONS, "epochs": 8}.items()
               for part in (f"--{name.replace('_', '-')}", value)]  # fmt: skip
    settings = [part for name, value in SMALL.items() for part in ("--set", f"{name}={value}")]
    result = call(
        "train", "--train", data / "rows_0.tsv", "--validation", data / "rows_1.tsv", *COLUMNS,
        "--fusion", "late", *options, *settings,
        "--out", data / "model",
    )  # fmt: skip
    assert result.exit_code == 0, result.output
    assert "suit model cct_4+bert_tiny" in result.output
    return data / "model"


@pytest.fixture(scope="module")
def file(data, model):
    path = data / "model.tflite"
    result = call("convert", model, "--precision", "dynamic_int8", "--out", path)
    assert result.exit_code == 0, result.output
    return path


def test_a_table_becomes_a_file_that_answers(data, model, file):
    card = (data / "MODEL_CARD.md").read_text()
    assert "8 x 8 pixels" in card and "tokens" in card and '{"image": ' in card
    columns, answers = asked(60, 1)
    path = data / "pictures" / "1_0.png"
    result = call("run", file, "--image", path, "--text", columns["text"][0])
    assert result.exit_code == 0, result.output
    assert answers[0] in result.output.splitlines()[2]
    texts = [part for one in QUESTIONS for part in ("--text", one)]
    found = json.loads(call("run", model, "--image", path, *texts, "--json").output)["predictions"]
    assert [(one["image"], one["text"]) for one in found] == [(str(path), one) for one in QUESTIONS]
    assert {one["label"] for one in found} == {"yes", "no"}
    result = call("evaluate", file, "--data", data / "rows_1.tsv", "--json")
    assert json.loads(result.output)["accuracy"] > 0.9


def test_wrong_rows_name_both_kinds(data, model, tmp_path):
    table = tmp_path / "rows.jsonl"
    Pillow.open(data / "pictures" / "1_0.png").save(tmp_path / "one.png")
    rows = [
        {"picture": "one.png", "question": one, "answer": answer}
        for one in QUESTIONS for answer in ("yes", "no")
    ]  # fmt: skip
    table.write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    result = call("evaluate", model, "--data", table, "--errors", tmp_path / "wrong.jsonl")
    assert result.exit_code == 0, result.output
    wrong = [json.loads(line) for line in (tmp_path / "wrong.jsonl").read_text().splitlines()]
    assert {(one["image"], one["text"]) for one in wrong} == {
        (str(tmp_path / "one.png"), one) for one in QUESTIONS
    }  # fmt: skip


@pytest.mark.parametrize(
    ("arguments", "got"),
    [
        (["why?"], "Expected --image and --text for a model of rows of image and text"),
        (["--image", "cat.jpg"], "got --image."),
        ([], "got none."),
        (["--image", "a", "--image", "b", *["--text", "why?"] * 3], "one for each of 3, got 2"),
        (["--image", "none.png", "--text", "why?"], "none.png"),
        (["--audio", "a.wav", "--text", "why?"], "got --audio, --text"),
        (["a.wav", "--stream"], "to read a stream, got one of classification that reads rows of "
         "image and text."),
    ],
)  # fmt: skip
def test_what_a_row_lacks_is_said(file, arguments, got):
    result = call("run", file, *arguments)
    assert result.exit_code != 0
    assert got in " ".join(result.output.split()) and "Traceback" not in result.output


def test_mistakes_of_a_run(data, model, tmp_path):
    out = ("--out", tmp_path / "m")
    given = ("--train", data / "rows_0.tsv", "--validation", 0.2)
    columns = {"cct_2+bert_tiny": COLUMNS, "bert_tiny": COLUMNS[2:]}
    for name, options, got in (
        ("cct_2+bert_tiny", ("--set", "text.height=3"), "got 'height'"),
        ("cct_2+bert_tiny", ("--task", "token-classification"), "image 'picture'"),
        ("cct_2+bert_tiny", ("--audio", "picture"), "audio 'picture'"),
        ("cct_2+bert_tiny", ("--augment", "mixup"), "augment 'mixup'"),
        ("cct_2+bert_tiny", ("--piece-dropout", 0.1), "dropout 0.1"),
        ("cct_2+gpt_tiny", (), "got decoder of text"),
        ("bert_tiny", ("--fusion", "late"), "got --fusion 'late' for one of text"),
    ):
        result = call("train", name, *given, *columns.get(name, COLUMNS), *options, *out)
        assert result.exit_code in (1, 2) and got in " ".join(result.output.split()), result.output
    for arguments, got in (
        (("prune", model, "--heads", 1), "Expected sparsity or clusters to prune a model of "
         "image+text, whose layers keep their shapes, got --heads 1."),
        (("convert", model, "--target", "mediapipe"), "image+text; convert for the target plain"),
    ):
        result = call(*arguments, *out)
        assert result.exit_code in (1, 2) and got in " ".join(result.output.split()), result.output
    result = call("evaluate", model, "--data", data / "pictures")
    assert result.exit_code in (1, 2) and str(data / "pictures") in "".join(result.output.split())
    assert not (tmp_path / "m").exists()
