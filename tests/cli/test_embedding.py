"""A model of embeddings, from training to the nearest lines of a file."""

import json

import pytest

from keras_transformer.edge.load import load
from tests.cli.calls import BAD, GOOD, SETTINGS, call, error_of

LONG = "the boring score and more of what is long film film film"
CORPUS = f"so very bad\n\na charming story\r\n{LONG}\n"


@pytest.fixture(scope="module")
def embedder(tmp_path_factory):
    """The folder of a checkpoint and of its file."""
    folder = tmp_path_factory.mktemp("embedder")
    texts = [(text, good) for good, part in ((1, GOOD), (0, BAD)) for text in part]
    rows = [
        f"{one}\t{other}\t{5 if kind == same else 0}"
        for one, kind in texts for other, same in texts
    ]  # fmt: skip
    table = folder / "pairs.tsv"
    table.write_text("\n".join(["one\tother\tscore", *rows]) + "\n", encoding="utf-8")
    sets = [word for name, value in SETTINGS.items() for word in ("--set", f"{name}={value}")]
    result = call(
        "train", "bert_tiny", "--task", "similarity", "--train", table, "--validation", table,
        "--text", "one", "--text-pair", "other", "--label", "score", "--vocab-size", "100",
        "--max-length", "16", "--learning-rate", "0.01", "--batch-tokens", "256", "--epochs", "6",
        *sets, "--out", folder / "model",
    )  # fmt: skip
    assert result.exit_code == 0, result.output
    result = call("convert", folder / "model", "--out", folder / "model.tflite")
    assert result.exit_code == 0, result.output
    assert "smallest cosine" in result.stdout and "same choice" not in result.stdout
    (folder / "corpus.txt").write_text(CORPUS, encoding="utf-8")
    return folder


@pytest.mark.parametrize("name", ["model", "model.tflite"])
def test_the_nearest_lines(embedder, name):
    corpus = embedder / "corpus.txt"
    texts = ["what a charming story", "a dull film"]
    result = call("run", embedder / name, *texts, "--nearest", corpus, "--json")
    assert result.exit_code == 0, result.output
    assert result.stderr == (
        f"Note: 1 of 3 lines of {corpus} are longer than 16 tokens and were cut.\n"
    )
    good, bad = json.loads(result.stdout)["predictions"]
    assert (good["text"], good["truncated"]) == ("what a charming story", False)
    assert [line["line"] for line in good["nearest"]][0] == 3
    assert good["nearest"][0]["text"] == "a charming story"
    assert {line["line"] for line in bad["nearest"][:2]} == {1, 4}
    assert [line["cosine"] for line in bad["nearest"]] == sorted(
        (line["cosine"] for line in bad["nearest"]), reverse=True
    )
    vectors = load(embedder / name).embed(["what a charming story", "a charming story"])
    assert good["nearest"][0]["cosine"] == pytest.approx(vectors[0] @ vectors[1], abs=1e-5)


def test_a_table_of_the_nearest_lines(embedder):
    corpus = embedder / "corpus.txt"
    result = call("run", embedder / "model.tflite", "a charming film", "--nearest", corpus,
                  "--matches", "1")  # fmt: skip
    head, _, row = result.stdout.splitlines()
    assert head.split()[:2] == ["Cosine", "Line"] and corpus.name in result.stdout.replace("\n", "")
    assert row.split()[1:] == ["3", "a", "charming", "story"]
    several = call("run", embedder / "model.tflite", "a fine film", "so bad", "--nearest", corpus)
    titles = [line.strip() for line in several.stdout.splitlines()]
    assert "a fine film" in titles and "so bad" in titles


def test_vectors_are_shown_in_short_and_in_full(embedder):
    result = call("run", embedder / "model.tflite", "a fine film")
    head, _, row = result.stdout.splitlines()
    assert head.split() == ["Text", "Width", "Vector"]
    assert row.split()[:4] == ["a", "fine", "film", "16"] and row.endswith(" ...")
    result = call("run", embedder / "model.tflite", "a fine film", "--json")
    [value] = json.loads(result.stdout)["predictions"]
    expected = load(embedder / "model.tflite").embed(["a fine film"])[0].tolist()
    assert value == {
        "text": "a fine film", "vector": expected, "truncated": False, "unknown_tokens": 0.0
    }  # fmt: skip


def test_vectors_in_int8(embedder):
    for name in ("model", "model.tflite"):
        result = call("run", embedder / name, "a fine film", "--vectors", "int8", "--json")
        [value] = json.loads(result.stdout)["predictions"]
        expected = load(embedder / name).embed(["a fine film"], dtype="int8")[0].tolist()
        assert value["vector"] == expected and all(type(one) is int for one in expected)
    shown = call("run", embedder / name, "a fine film", "--vectors", "int8").stdout
    assert " ".join(map(str, expected[:5])) in shown


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--vectors", "int8", "--nearest", __file__], "Expected --vectors only for a model of "
         "embeddings, and not with --nearest, got --vectors int8 for one of embedding."),
        (["--matches", "2"], "Expected --matches only with --nearest, got --matches 2."),
        (["--beams", "2"], "Expected --beams only for a model that generates text, got one of "
         "embedding."),
    ],
)  # fmt: skip
def test_options_that_do_not_fit(embedder, arguments, sentence):
    result = call("run", embedder / "model.tflite", "a", *arguments)
    assert error_of(result) == (2, f"Error: {sentence}")


def test_only_models_of_embeddings_rank_lines(file, embedder):
    result = call("run", file, "a", "--nearest", embedder / "corpus.txt")
    assert error_of(result) == (
        2,
        "Error: Expected --nearest only for a model of embeddings, got one of classification.",
    )


def test_evaluation(embedder):
    model, data = embedder / "model.tflite", embedder / "pairs.tsv"
    result = call("evaluate", model, "--data", data, "--json")
    assert result.exit_code == 0, result.output
    found = json.loads(result.stdout)
    assert (found["task"], found["rows"]) == ("embedding", 64) and found["spearman"] > 0.5


def test_an_empty_corpus(embedder, tmp_path):
    empty = tmp_path / "empty.txt"
    empty.write_text("\n", encoding="utf-8")
    code, line = error_of(call("run", embedder / "model.tflite", "a", "--nearest", empty))
    assert code == 2 and "empty" in line
