import json
import subprocess
import sys

import pytest

from keras_transformer.edge.load import load
from tests.cli.calls import call, error_of


def test_a_checkpoint_and_its_file_predict_alike(checkpoint, file):
    texts = ["a good film", "a bad film", "[PAD] é 映画"]
    printed = []
    for model in (checkpoint, file):
        result = call("run", model, *texts, "--json")
        assert (result.exit_code, result.stderr) == (0, "")
        value = json.loads(result.stdout)
        assert value["model"] == str(model)
        assert [row["text"] for row in value["predictions"]] == texts
        expected = load(model).predict(texts)
        assert [row["label"] for row in value["predictions"]] == [one.label for one in expected]
        printed.append(value["predictions"])
    for row, other in zip(*printed, strict=True):
        assert row["scores"] == pytest.approx(other["scores"], abs=1e-5)
        assert row["score"] == max(row["scores"].values())
        assert not row["truncated"]


def test_one_text_has_a_row_a_label(file):
    lines = call("run", file, "a good film").stdout.splitlines()
    assert lines[0].split() == ["Label", "Probability"]
    rows = [line.split() for line in lines[2:]]
    assert [row[0] for row in rows] == ["good", "bad"]
    assert float(rows[0][1].rstrip("%")) > 50 and set(rows[0][2]) == {"█"}


def test_several_texts_have_a_row_each_and_no_markup(file):
    lines = call("run", file, "a good film", "[bold]a bad film", "x" * 70).stdout.splitlines()
    assert lines[0].split() == ["Text", "Label", "Probability"]
    assert lines[2].startswith("a good film  ")
    assert lines[3].startswith("[bold]a bad film ")
    assert lines[4].startswith("x" * 59 + "… ")


def test_lines_of_standard_input(file):
    by_argument = call("run", file, "a good film", "", "a bad film", "--json").stdout
    note = "Note: 1 of 3 lines of standard input are blank: 2.\n"
    for source in (b"a good film\n\r\na bad film\n", b"a good film\r\ra bad film\r"):
        result = call("run", file, "--json", input=source)
        assert (result.exit_code, result.stderr, result.stdout) == (0, note, by_argument)


def test_texts_of_unknown_tokens_alone_are_named(checkpoint, file):
    for model in (checkpoint, file):
        result = call("run", model, "映画", "a good 映画", "", "ดี ดี", "--json")
        assert result.stderr == (
            "Note: 2 of 4 texts are all unknown tokens, of which the model reads no more than "
            "their number: 1, 4.\n"
        )
        shares = [row["unknown_tokens"] for row in json.loads(result.stdout)["predictions"]]
        assert shares == pytest.approx([1, shares[1], 0, 1]) and 0 < shares[1] < 1
    assert "1, 2, 3, 4, 5, 6, 7, 8, 9, 10, ..." in call("run", file, *["映画"] * 11).stderr


def test_cut_texts_are_named(checkpoint, file):
    for model in (checkpoint, file):
        result = call("run", model, "good", "good " * 40, "bad " * 40)
        assert result.exit_code == 0
        assert result.stderr.splitlines()[-1] == (
            "Note: 2 of 3 texts are longer than 16 tokens and were cut: 2, 3."
        )


@pytest.mark.parametrize(
    ("arguments", "source", "sentence"),
    [
        ([], b"", "Expected texts as arguments or on standard input, got none."),
        ([], b"good\ncaf\xe9\n", "Standard input, line 2: the text is not UTF-8."),
        (["a", "--pair", "c"], b"", "Expected no --pair for a model of single texts, got 'c'."),
        (["a", "--beams", "2"], b"", "Expected --beams only for a model that generates text, got "
         "one of classification."),
        (["a", "--stop", "."], b"", "Expected --stop only for a model that generates text, "
         "got '.'."),
        (["caf\udce9"], b"", "Expected texts in UTF-8, got 'caf\\udce9'."),
    ],
    ids=["none", "not UTF-8", "pair", "beams", "stop", "undecodable"],
)
def test_mistakes_in_texts(file, arguments, source, sentence):
    assert error_of(call("run", file, *arguments, input=source)) == (
        2,
        f"Error: {sentence}",
    )


def test_files_that_cannot_be_run(file, tmp_path):
    data = file.read_bytes()
    other = tmp_path / "other.tflite"
    changed = data[:200] + bytes([data[200] ^ 1]) + data[201:]
    for content in (b"", b"some text", data[: len(data) // 2], data[:-1], changed):
        other.write_bytes(content)
        code, line = error_of(call("run", other, "a film"))
        assert (code, line.startswith(f"Error: {other} ")) == (2, True)
    assert error_of(call("run", tmp_path / "no.tflite", "a film")) == (
        2,
        f"Error: There is no file {tmp_path / 'no.tflite'}.",
    )


def test_a_file_is_run_without_tensorflow(file):
    program = f"""
import sys
from keras_transformer.cli.main import main
main(["run", {str(file)!r}, "a good film"], standalone_mode=False)
print(sorted({{"tensorflow", "keras", "tf_keras", "jax", "torch"}} & set(sys.modules)))
"""
    fresh = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert (fresh.returncode, fresh.stdout.splitlines()[-1]) == (0, "[]"), fresh.stderr
