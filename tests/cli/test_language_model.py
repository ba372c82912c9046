"""Every command on a tiny language model."""

import json

import pytest

from keras_transformer.cli import display
from keras_transformer.edge.load import load
from keras_transformer.edge.runtime.runner import Runner
from tests.cli.calls import call, error_of
from tests.cli.generating import LINES, plain_data, trained, training_arguments

TASK = ["gpt_nano", "--task", "language-modeling"]


@pytest.fixture(scope="module")
def writer(tmp_path_factory):
    folder = tmp_path_factory.mktemp("writer")
    return trained(folder, plain_data(folder), *TASK, lengths="4,16")


def test_a_run_writes_a_checkpoint_that_says_what_it_is(writer):
    assert "perplexity" in writer.printed and "bits per character" in writer.printed
    recipe = json.loads((writer.checkpoint / "recipe.json").read_text())
    assert (recipe["task"], recipe["data"]["columns"]) == ("language-modeling", {})
    runner = Runner(writer.file)
    assert (runner.lengths, runner.columns) == ([4, 16], {})
    assert set(runner.interpreter.get_signature_list()) == {"prefill", "prefill_4", "decode"}


def test_one_prompt_and_what_follows_it_appear_piece_by_piece(writer, monkeypatch):
    say, printed = display.say, []

    def recorded(text, **options):
        printed.append(text)
        say(text, **options)

    monkeypatch.setattr(display, "say", recorded)
    for model in (writer.checkpoint, writer.file):
        printed.clear()
        result = call("run", model, "one two", "--max-tokens", 5)
        [text] = load(model).generate(["one two"], max_tokens=5)
        assert len(text) == 5
        assert (result.exit_code, result.stdout) == (0, f"one two{text}\n")
        assert printed == [f"one two{text[0]}", *text[1:], ""]


def test_several_prompts_are_continued_in_a_line_each(writer):
    prompts = ["one", "five four"]
    result = call("run", writer.file, *prompts, "--max-tokens", 3)
    expected = Runner(writer.file).generate(prompts, max_tokens=3)
    assert (result.exit_code, result.stdout) == (0, "".join(f"{text}\n" for text in expected))


def test_beams_with_one_prompt(writer):
    result = call("run", writer.file, "one", "--beams", 3, "--max-tokens", 4)
    [expected] = Runner(writer.file).generate(["one"], beams=3, max_tokens=4)
    assert (result.exit_code, result.stdout) == (0, f"{expected}\n")


def test_a_stop_text_ends_what_is_generated(writer):
    arguments = ("run", writer.file, "one two", "--json", "--temperature", 1, "--max-tokens", 9)

    def generated(*options):
        [row] = json.loads(call(*arguments, *options).stdout)["predictions"]
        return row["generated"], row["finished"]

    whole, finished = generated()
    assert (len(whole), finished) == (9, False)
    stop = whole[4]
    assert generated("--stop", stop) == (whole[: whole.index(stop)], True)
    place = min(whole.index(stop), whole.index(whole[2]))
    assert generated("--stop", whole[2], "--stop", stop) == (whole[:place], True)


def test_a_seed_decides_a_sample(writer):
    texts = {}
    for seed in (1, 1, 2, 3):
        result = call("run", writer.file, "o", "--temperature", 2, "--seed", seed)
        assert result.exit_code == 0
        assert texts.setdefault(seed, result.stdout) == result.stdout
    assert len(set(texts.values())) == 3
    by_keras = call("run", writer.checkpoint, "o", "--temperature", 2, "--seed", 1)
    assert by_keras.stdout == texts[1]


def test_perplexity_of_a_checkpoint_and_its_file(writer):
    measured = []
    for model in (writer.checkpoint, writer.file):
        result = call("evaluate", model, "--data", writer.validation, "--json")
        assert (result.exit_code, result.stderr) == (0, "")
        value = json.loads(result.stdout)
        assert value.pop("model") == str(model)
        measured.append(value)
    numbers = ("loss", "perplexity", "token_accuracy", "bits_per_character")
    others = ("data", "task", "precision", "max_length", "truncated")
    unknown = ("unknown_tokens", "rows_with_unknown_tokens")
    assert set(measured[0]) == {*others, *numbers, *unknown}
    by_keras, by_file = ([value.pop(name) for name in numbers] for value in measured)
    assert measured[0] == measured[1]
    assert by_file == pytest.approx(by_keras, rel=1e-4)
    assert 1 < by_file[1] < Runner(writer.file).tokenizer.vocab_size
    validation = json.loads((writer.checkpoint / "metrics.json").read_text())["validation"]
    assert [validation[name] for name in numbers] == pytest.approx(by_keras, rel=1e-5)


def test_the_table_of_perplexity(writer):
    result = call("evaluate", writer.file, "--data", writer.validation)
    names = [" ".join(line.split()[:-1]) for line in result.stdout.splitlines()[2:]]
    assert names[:4] == ["loss", "perplexity", "token accuracy", "bits per character"]


def test_int8_by_calibration(writer, tmp_path):
    out = tmp_path / "int8.tflite"
    result = call(
        "convert", writer.checkpoint, "--precision", "int8", "--calibration", writer.train,
        "--out", out,
    )  # fmt: skip
    assert result.exit_code == 0, result.output
    float_, int8 = (
        json.loads(call("evaluate", file, "--data", writer.validation, "--json").stdout)
        for file in (writer.file, out)
    )
    assert int8["loss"] == pytest.approx(float_["loss"], rel=0.02)


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (
            ["run", "{file}", "seventeen letters"],
            "Expected prompt 1 to have at most the 16 tokens of the model's cache, got 17; "
            "shorten it.",
        ),
        (["run", "{file}", ""], "Expected prompt 1 to hold a token to go on from, got none."),
        (
            ["run", "{file}", "a", "--top-p", "0.9"],
            "Expected a temperature above 0 with --top-k or --top-p, got --temperature 0, "
            "--top-k 0, --top-p 0.9.",
        ),
        (
            ["run", "{file}", "a", "--stop", "7"],
            "Expected a stop text that the vocabulary has, got '7'.",
        ),
        (
            ["run", "{file}", "a", "--max-tokens", "0"],
            "Expected --max-tokens to be an integer of at least 1, got --max-tokens 0.",
        ),
        (
            ["evaluate", "{file}", "--data", "{validation}", "--beams", "2"],
            "Expected no beams to measure a model of language-modeling, got --beams 2.",
        ),
        (
            ["evaluate", "{checkpoint}", "--data", "{validation}", "--source", "a"],
            "Expected columns of language-modeling (none), got --source 'a'.",
        ),
        (
            ["compare", "{checkpoint}", "{file}", "--data", "{validation}"],
            "Expected a checkpoint that does not continue texts to compare, got one of "
            "language-modeling; evaluate each instead.",
        ),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_mistakes(writer, arguments, sentence):
    result = call(*(word.format(**vars(writer)) for word in arguments))
    assert error_of(result) == (2, f"Error: {sentence.format(**vars(writer))}")
    assert result.stdout == ""


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"", "{train}: expected text, the file is empty."),
        (b" \n\n", "{train}: expected text, the file is empty."),
        (b"one\ncaf\xe9\n", "{train}, line 2: the file is not UTF-8 (byte 0xe9)."),
        (LINES.encode(), "Expected a task that the encoder-decoder transformer_tiny can be "
         "trained for (translation), got --task 'language-modeling'."),
    ],
    ids=["empty", "blank", "not UTF-8", "encoder-decoder"],
)  # fmt: skip
def test_runs_that_cannot_begin(tmp_path, content, sentence):
    train, validation = plain_data(tmp_path)
    train.write_bytes(content)
    model = "transformer_tiny" if content == LINES.encode() else "gpt_nano"
    arguments = (model, *TASK[1:], *training_arguments(train, validation))
    result = call("train", *arguments, "--out", tmp_path / "model")
    assert error_of(result) == (2, f"Error: {sentence.format(train=train)}")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["train.txt", "validation.txt"]
