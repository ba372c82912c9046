"""Every command on a tiny translator of two targets."""

import json

import pytest

from keras_transformer.edge.load import load
from keras_transformer.zoo.evaluation.text_metrics import text_metrics
from tests.cli.calls import call, error_of, write_table
from tests.cli.generating import PAIRS, trained

TASK = ["transformer_tiny", "--task", "translation", "--source", "en", "--target", "de,back"]
ROWS = [(source, target, source[::-1]) for source, target in PAIRS]
TEXTS = ["one two", "five"]


@pytest.fixture(scope="module")
def translator(tmp_path_factory):
    folder = tmp_path_factory.mktemp("translator")
    header = ("en", "de", "back")
    train = write_table(folder / "train.tsv", ROWS * 2, header=header)
    validation = write_table(folder / "validation.tsv", ROWS[::3], header=header)
    return trained(folder, (train, validation), *TASK, lengths="16")


@pytest.mark.slow
def test_a_run_measures_each_target(translator):
    assert "bleu de" in translator.printed and "bleu back" in translator.printed
    assert (translator.checkpoint / "labels.txt").read_text() == "de\nback\n"
    validation = json.loads((translator.checkpoint / "metrics.json").read_text())["validation"]
    assert {"bleu", "bleu_de", "bleu_back"} <= set(validation)


@pytest.mark.slow
@pytest.mark.parametrize("language", ["de", "back"])
def test_a_checkpoint_and_its_file_write_the_same(translator, language):
    arguments = (*TEXTS, "--language", language, "--max-tokens", "8", "--json")
    by_keras, by_file = (
        json.loads(call("run", model, *arguments).stdout)["predictions"]
        for model in (translator.checkpoint, translator.file)
    )
    assert [one["generated"] for one in by_file] == [one["generated"] for one in by_keras]
    for one, other in zip(by_file, by_keras, strict=True):
        assert one["log_probability"] == pytest.approx(other["log_probability"], rel=1e-4)
    other_language = {"de": "back", "back": "de"}[language]
    other = load(translator.file).generations(
        TEXTS, language=other_language, max_tokens=8
    )
    # The token is read: the same sources have other probabilities.
    for one, elsewhere in zip(by_file, other, strict=True):
        assert abs(one["log_probability"] - elsewhere.log_probability) > 1e-3


@pytest.mark.slow
def test_the_language_names_its_column(translator):
    result = call(
        "evaluate", translator.file, "--data", translator.validation, "--language", "back",
        "--max-tokens", 4, "--json",
    )  # fmt: skip
    assert (result.exit_code, result.stderr) == (0, "")
    found = json.loads(result.stdout)
    sources, targets = zip(*((source, back) for source, _, back in ROWS[::3]), strict=True)
    texts = load(translator.file).generate(sources, language="back", max_tokens=4)
    assert {name: found[name] for name in ("language", "rows")} == {"language": "back", "rows": 9}
    expected = text_metrics(texts, targets)
    assert {name: found[name] for name in expected} == expected
    compared = call(
        "compare", translator.checkpoint, translator.file, "--data", translator.validation,
        "--language", "de", "--json",
    )  # fmt: skip
    assert compared.exit_code == 0, compared.output
    assert json.loads(compared.stdout)["files"][0]["parity"]["agreement"] == 1.0


@pytest.mark.slow
@pytest.mark.parametrize("command", ["run", "evaluate", "compare"])
@pytest.mark.parametrize("language", ["nl", None])
def test_an_unknown_language(translator, command, language):
    models = [translator.checkpoint, translator.file] if command == "compare" else [translator.file]
    rest = TEXTS if command == "run" else ["--data", translator.validation]
    result = call(command, *models, *rest, *([] if language is None else ["--language", language]))
    got = "none" if language is None else f"'{language}'"
    assert error_of(result) == (2, f"Error: Expected --language to be one of de, back, got {got}.")


@pytest.mark.slow
def test_targets_that_cannot_be(translator, tmp_path):
    arguments = ["--train", translator.train, "--validation", translator.validation]
    for target, sentence in (
        ("de,nl", f"{translator.train}: there is no column 'nl'; the columns are 'en', 'de', "
         "'back'."),
        ("de,de", "Expected --target to name each column once, got --target 'de,de'."),
    ):  # fmt: skip
        result = call("train", *TASK[:-1], target, *arguments, "--out", tmp_path / "model")
        assert error_of(result) == (2, f"Error: {sentence}")
