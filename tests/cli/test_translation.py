"""Every command on a tiny translator."""

import json

import pytest

from keras_transformer.edge.load import load
from keras_transformer.edge.runtime.runner import Runner
from keras_transformer.zoo.evaluation.text_metrics import text_metrics
from tests.cli.calls import call, error_of, write_table
from tests.cli.generating import PAIRS, trained, training_arguments, translation_data
from tests.slow import mostly_slow

TASK = ["transformer_tiny", "--task", "translation", "--source", "en", "--target", "de"]
TEXTS = ["one two", "five", "four three"]


@pytest.fixture(scope="module")
def translator(tmp_path_factory):
    folder = tmp_path_factory.mktemp("translator")
    return trained(folder, translation_data(folder), *TASK, lengths="8,16")


def test_a_run_writes_a_checkpoint_that_says_what_it_is(translator):
    assert "perplexity" in translator.printed and "token accuracy" in translator.printed
    assert translator.printed.endswith(f"\nWrote {translator.checkpoint}\n")
    recipe = json.loads((translator.checkpoint / "recipe.json").read_text())
    assert recipe["task"] == "translation"
    assert recipe["data"]["columns"] == {"source": "en", "target": "de"}
    assert recipe["optimizer"]["label_smoothing"] == 0.1
    assert not recipe["tokenizer"]["lowercase"]


def test_a_checkpoint_and_its_file_write_the_same(translator):
    for options in ([], ["--beams", "3"], ["--temperature", "1", "--top-k", "9", "--seed", "4"]):
        arguments = (*TEXTS, *options, "--max-tokens", "8")
        by_keras, by_file = (
            call("run", model, *arguments) for model in (translator.checkpoint, translator.file)
        )
        assert (by_keras.exit_code, by_keras.stderr) == (0, "")
        assert by_file.stdout == by_keras.stdout
        names = [name[2:].replace("-", "_") for name in options[::2]]
        values = dict(zip(names, map(int, options[1::2]), strict=True))
        expected = Runner(translator.file).generate(TEXTS, max_tokens=8, **values)
        assert by_file.stdout == "".join(f"{text}\n" for text in expected)


def test_one_text_streams_or_is_searched(translator):
    for option, value in (("max_tokens", 6), ("beams", 2)):
        result = call("run", translator.file, "two two", f"--{option.replace('_', '-')}", value)
        expected = Runner(translator.file).generate(["two two"], **{option: value})
        assert (result.exit_code, result.stdout) == (0, f"{expected[0]}\n")


def test_as_json(translator):
    long = "one two three four"
    result = call("run", translator.file, "two", long, "--json", "--max-tokens", 5)
    value = json.loads(result.stdout)
    assert value["model"] == str(translator.file)
    expected = Runner(translator.file).generations(["two", long], max_tokens=5)
    assert value["predictions"] == [
        {
            "text": text, "generated": one.text, "log_probability": one.log_probability,
            "finished": one.finished, "truncated": one.truncated, "unknown_tokens": 0.0,
        }
        for text, one in zip(["two", long], expected, strict=True)
    ]  # fmt: skip
    assert [row["truncated"] for row in value["predictions"]] == [False, True]
    assert result.stderr == "Note: 1 of 2 texts are longer than 16 tokens and were cut: 2.\n"


def test_lines_of_standard_input(translator):
    by_argument = call("run", translator.file, *TEXTS).stdout
    result = call("run", translator.file, input="\n".join(TEXTS).encode())
    assert (result.exit_code, result.stdout) == (0, by_argument)


def test_blank_lines_of_standard_input_are_named_and_the_others_keep_their_places(translator):
    written = call("run", translator.file, *TEXTS).stdout.splitlines()
    source = f"\n{TEXTS[0]}\n \n\n{TEXTS[1]}\n{TEXTS[2]}\n\n".encode()
    result = call("run", translator.file, input=source)
    assert result.exit_code == 0
    assert result.stdout == f"\n{written[0]}\n\n\n{written[1]}\n{written[2]}\n\n"
    assert result.stderr == (
        "Note: 4 of 7 lines of standard input are blank and were passed over: 1, 3, 4, 7.\n"
    )
    found = json.loads(call("run", translator.file, "--json", input=source).stdout)["predictions"]
    assert [row["text"] for row in found] == ["", TEXTS[0], "", "", TEXTS[1], TEXTS[2], ""]
    generated = [row["generated"] for row in found]
    assert generated == [None, written[0], None, None, written[1], written[2], None]
    alone = call("run", translator.file, input=f"\n{TEXTS[0]}".encode())
    assert alone.stdout == f"\n{written[0]}\n"
    assert error_of(call("run", translator.file, input=b" \n \n")) == (
        2, "Error: Expected texts on standard input, got only blank lines.",
    )  # fmt: skip


def test_metrics_of_texts(translator):
    for model in (translator.checkpoint, translator.file):
        result = call(
            "evaluate", model, "--data", translator.validation, "--beams", 2, "--max-tokens", 9,
            "--json",
        )  # fmt: skip
        assert (result.exit_code, result.stderr) == (0, "")
        sources, targets = zip(*PAIRS[::3], strict=True)
        texts = load(model).generate(sources, beams=2, max_tokens=9)
        assert json.loads(result.stdout) == {
            "model": str(model), "data": str(translator.validation), "task": "translation",
            "precision": "float32", "max_length": 16, "truncated": 0, "beams": 2, "max_tokens": 9,
            "rows": 9, "unknown_tokens": 0.0, "rows_with_unknown_tokens": 0.0,
            **text_metrics(texts, targets),
        }  # fmt: skip
    value = json.loads(result.stdout)
    assert 0 <= value["bleu"] <= 100 and 0 < value["chrf"] <= 100
    assert value["bleu_signature"].startswith("nrefs:1|case:mixed|")
    assert value["chrf_signature"].startswith("nrefs:1|case:mixed|")
    assert 0 <= value["exact_match"] <= 1


def test_a_table_of_metrics_and_a_note_of_cuts(translator, tmp_path):
    rows = [*PAIRS[:2], ("one two three four five", "eins")]
    table = write_table(tmp_path / "t.tsv", rows, header=("a", "b"))
    result = call("evaluate", translator.file, "--data", table, "--source", "a", "--target", "b")
    assert result.exit_code == 0
    assert result.stderr == (
        f"Note: 1 of 3 rows of {table} are longer than 16 tokens and were cut.\n"
    )
    names = {" ".join(line.split()[:-1]) for line in result.stdout.splitlines()[2:]}
    assert {"rows", "bleu", "chrf", "bleu signature", "chrf signature", "exact match"} <= names


def test_a_file_beside_its_checkpoint(translator):
    arguments = ("compare", translator.checkpoint, translator.file, "--data", translator.validation)
    result = call(*arguments, "--json")
    assert result.exit_code == 0, result.output
    [compared] = json.loads(result.stdout)["files"]
    assert (compared["metric"], compared["precision"]) == ("bleu", "float32")
    assert compared["value"] == compared["checkpoint_value"]
    assert (compared["parity"]["agreement"], compared["parity"]["rows"]) == (1.0, 9)
    assert compared["parity"]["largest"] < 1e-3
    table = call(*arguments, "--beams", 2)
    assert (table.exit_code, "100.00%" in table.stdout) == (0, True)
    title = f"{translator.checkpoint} on {translator.validation}, 9 rows; bleu "
    assert table.stdout.startswith(title + compared["metric_signature"])
    assert "|tok:13a|" in compared["metric_signature"]


def test_a_file_of_several_lengths(translator):
    runner = Runner(translator.file)
    assert (runner.lengths, runner.max_length) == ([8, 16], 16)
    assert set(runner.interpreter.get_signature_list()) == {"encode", "encode_8", "decode"}


@pytest.mark.slow
@pytest.mark.parametrize("way", mostly_slow(["quantize", "calibration"], ["quantize"]))
def test_it_is_quantized_and_becomes_int8(translator, tmp_path, way):
    model, options, file = translator.checkpoint, (), tmp_path / "model.tflite"
    if way == "calibration":
        options = ("--calibration", translator.train)
    else:
        model = tmp_path / "int8"
        result = call("quantize", translator.checkpoint, "--epochs", 1, "--out", model)
        assert result.exit_code == 0, result.output
    result = call("convert", model, "--precision", "int8", *options, "--out", file)
    assert result.exit_code == 0, result.output
    assert "tokens compared with the checkpoint" in result.stdout
    assert "the same in output steps" in result.stdout
    assert len(Runner(file).generate(TEXTS, max_tokens=4)) == 3


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["run", "{file}", ""], "Expected text 1 to hold something to read, got ''."),
        (["run", "{file}", "a", " "], "Expected text 2 to hold something to read, got ' '."),
        (
            ["run", "{file}", "a", "--beams", "0"],
            "Expected --beams to be an integer of at least 1, got --beams 0.",
        ),
        (
            ["run", "{file}", "a", "--max-tokens", "-1"],
            "Expected --max-tokens to be an integer of at least 1, got --max-tokens -1.",
        ),
        (
            ["run", "{checkpoint}", "a", "--beams", "10000"],
            "Expected --beams to be at most the vocabulary's {size}, got --beams 10000.",
        ),
        (
            ["run", "{file}", "a", "--beams", "2", "--temperature", "1"],
            "Expected --beams to be 1 where tokens are sampled, got --beams 2, --temperature 1.0.",
        ),
        (
            ["run", "{file}", "a", "--temperature", "nan"],
            "Expected --temperature to be a finite number, got --temperature nan.",
        ),
        (
            ["run", "{file}", "a", "--stop", "e7"],
            "Expected a stop text that the vocabulary has, got 'e7'.",
        ),
        (
            ["run", "{file}", "a", "--pair", "b"],
            "Expected no --pair for a model of single texts, got 'b'.",
        ),
        (
            ["evaluate", "{file}", "--data", "{validation}", "--label", "en"],
            "Expected columns of translation (source, target), got --label 'en'.",
        ),
        (
            ["evaluate", "{checkpoint}", "--data", "{validation}", "--target", "nl"],
            "{validation}: there is no column 'nl'; the columns are 'en', 'de'.",
        ),
        (
            ["compare", "{checkpoint}", "{file}", "--data", "{validation}", "--text", "en"],
            "Expected columns of translation (source, target), got --text 'en'.",
        ),
        (
            ["convert", "{checkpoint}", "--precision", "float32", "--lengths", "16,33", "--out",
             "{out}"],
            "Expected lengths from 1 to the model's 32, got length=33.",
        ),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)  # fmt: skip
def test_mistakes(translator, tmp_path, arguments, sentence):
    out = tmp_path / "model.tflite"
    values = {**vars(translator), "out": out, "size": Runner(translator.file).tokenizer.vocab_size}
    result = call(*(word.format(**values) for word in arguments))
    assert error_of(result) == (2, f"Error: {sentence.format(**values)}")
    assert (result.stdout, out.exists()) == ("", False)


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (
            ["transformer_tiny", "--task", "translation", "--source", "en"],
            "Expected --target to name a column of the data, got none; give target.",
        ),
        (
            ["transformer_tiny", "--task", "translation", "--source", "en", "--target", "nl"],
            "{train}: there is no column 'nl'; the columns are 'en', 'de'.",
        ),
        (
            ["bert_tiny", "--task", "translation", "--source", "en", "--target", "de"],
            "Expected a task that the encoder bert_tiny can be trained for (classification, "
            "multi-label, regression, embedding, token-classification, question-answering, "
            "masked-language-modeling, multi-task), got --task 'translation'.",
        ),
        (
            ["gpt_nano", "--task", "translation", "--source", "en", "--target", "de"],
            "Expected a task that the decoder gpt_nano can be trained for (language-modeling), "
            "got --task 'translation'.",
        ),
    ],
    ids=["no target", "no such column", "encoder", "decoder"],
)
def test_runs_that_cannot_begin(tmp_path, arguments, sentence):
    train, validation = translation_data(tmp_path)
    out = tmp_path / "model"
    result = call("train", *arguments, *training_arguments(train, validation), "--out", out)
    assert error_of(result) == (2, f"Error: {sentence.format(train=train)}")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["train.tsv", "validation.tsv"]


def test_an_empty_source_in_the_data(tmp_path):
    train, validation = translation_data(tmp_path)
    write_table(train, [PAIRS[0], (" ", "eins")], header=("en", "de"))
    arguments = (*TASK, *training_arguments(train, validation), "--out", tmp_path / "model")
    assert error_of(call("train", *arguments)) == (
        2,
        f"Error: {train}, line 3: expected a text in column 'en', got none.",
    )
    assert not (tmp_path / "model").exists()
