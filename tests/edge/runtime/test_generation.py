"""What a file generates, beside the Keras model that it was converted from."""

import itertools
import json
import subprocess
import sys

import numpy as np
import pytest

from keras_transformer.edge.runtime.runner import Runner
from keras_transformer.zoo.checkpoint import Checkpoint
from keras_transformer.zoo.errors import InputError
from tests.edge.generators import DECODERS, KINDS, LENGTH, LENGTHS, TRANSLATORS, generator
from tests.slow import mostly_slow

# Of 1 to 32 tokens, in the order of no length; the last is no ASCII.
TEXTS = ["a tree", "b", "What was it that you said?", "five", "3.14159265", "naïve 天気"]
DECODINGS = {
    "greedy": {},
    "beams": {"beams": 3, "length_penalty": 0.6},
    "sampled": {"temperature": 1.0, "top_k": 40, "top_p": 0.9, "seed": 3},
    "controlled": {"repetition_penalty": 1.3, "no_repeat_ngram": 2},
}


@pytest.fixture(scope="module")
def runners(written):
    class Runners(dict):
        """By kind; a file is converted when a test that runs asks for it."""

        def __missing__(self, kind):
            self[kind] = Runner(written(kind))
            return self[kind]

    return Runners()


class Recorded:
    """Remembers where each token of a runner's steps stood."""

    def __init__(self, steps, monkeypatch):
        self.positions, self._step = [], steps.step
        monkeypatch.setattr(steps, "step", self._recorded)

    def _recorded(self, tokens, cache):
        self.positions += [row.position for row in cache]
        return self._step(tokens, cache)


@pytest.mark.parametrize("kind", mostly_slow(KINDS, ["gpt", "transformer"]))
def test_says_what_it_is(kind, runners):
    runner, translates = runners[kind], kind in TRANSLATORS
    task = "translation" if translates else "language-modeling"
    assert (runner.task, runner.generates, runner.labels) == (task, True, ())
    assert (runner.max_length, runner.lengths) == (LENGTH, list(LENGTHS))
    assert runner.columns == ({"source": "source", "target": "target"} if translates else {})


@pytest.mark.parametrize(
    ("kind", "decoding"),
    mostly_slow(
        itertools.product(("gpt", "llama", "transformer"), DECODINGS),
        [*itertools.product(("transformer",), DECODINGS), ("llama", [*DECODINGS][0])],
    ),
)
def test_texts_are_those_of_the_keras_model(kind, decoding, runners):
    options = {"max_tokens": 6, **DECODINGS[decoding]}
    expected = generator(kind).generator().generate(TEXTS, **options)
    found = runners[kind].generations(TEXTS, **options)
    assert [one.text for one in found] == [one.text for one in expected]
    # Greedily a random model may say the same of all, but not with the same certainty.
    assert len({(one.text, round(one.log_probability, 3)) for one in found}) == len(TEXTS)
    for one, other in zip(found, expected, strict=True):
        assert (one.finished, one.truncated) == (other.finished, other.truncated)
        assert one.log_probability == pytest.approx(other.log_probability, rel=1e-4, abs=1e-4)
    assert runners[kind].generate(TEXTS, **options) == [one.text for one in found]


@pytest.mark.parametrize("kind", mostly_slow(["t5", "alibi"], ["alibi"]))
def test_other_positions_generate_alike(kind, runners):
    expected = [one.text for one in generator(kind).generator().generate(TEXTS, max_tokens=6)]
    assert runners[kind].generate(TEXTS, max_tokens=6) == expected


def test_a_checkpoint_has_the_interface_of_its_file(runners, tmp_path):
    generator("llama").save(tmp_path / "checkpoint")
    keras = Checkpoint.load(tmp_path / "checkpoint")
    file = runners["llama"]
    for name in (
        "task_name", "output_kind", "labels", "pair", "precision", "max_length", "columns",
        "generates",
    ):  # fmt: skip
        assert getattr(keras, name) == getattr(file, name), name
    options = {"max_tokens": 4, "temperature": 0.7, "seed": 1}
    assert keras.generate(TEXTS, **options) == file.generate(TEXTS, **options)
    text = tmp_path / "text.txt"
    text.write_text("To be, or not to be:\nthat is the question.\n", encoding="utf-8")
    assert file.perplexity(text) == pytest.approx(keras.perplexity(text), rel=1e-4)


def test_streamed_pieces_are_the_text(runners):
    for kind in ("gpt", "transformer"):
        pieces = {row: "" for row in range(len(TEXTS))}

        def hear(row, piece, pieces=pieces):
            pieces[row] += piece

        options = {"max_tokens": 5, "temperature": 1.0, "top_k": 200}
        texts = runners[kind].generate(TEXTS, on_text=hear, **options)
        for row, text in enumerate(texts):
            assert pieces[row] == text


def test_a_long_source_is_cut_and_flagged(runners):
    runner = runners["transformer"]
    long, cut = "abcdefgh" * 5, ("abcdefgh" * 5)[: LENGTH - 1]
    first, second, third = runner.generations([long, "b", cut], max_tokens=5)
    assert (first.truncated, second.truncated, third.truncated) == (True, False, False)
    assert first.text == third.text


@pytest.mark.parametrize("kind", mostly_slow(DECODERS, ["llama"]))
def test_generation_ends_where_the_cache_does(kind, runners, monkeypatch):
    runner = runners[kind]
    recorded = Recorded(runner.steps, monkeypatch)
    prompts = ["a" * (LENGTH - 3), "b" * LENGTH, "c"]
    found = runner.generations(prompts, max_tokens=100)
    # The last token that is fed stands at the last place; what follows it is generated too.
    counts = {length: recorded.positions.count(length) for length in range(LENGTH + 1)}
    assert max(recorded.positions) == LENGTH - 1
    assert (counts[0], counts[LENGTH - 4], counts[LENGTH - 1]) == (1, 2, 3)
    assert [one.finished for one in found] == [False] * 3
    expected = generator(kind).generator().generate(prompts, max_tokens=100)
    assert [one.text for one in found] == [one.text for one in expected]


def test_a_translation_ends_where_the_cache_does(runners, monkeypatch):
    runner = runners["transformer"]
    recorded = Recorded(runner.steps, monkeypatch)
    found = runner.generations(["a tree"], max_tokens=100, no_repeat_ngram=1)
    expected = (
        generator("transformer").generator().generate(["a tree"], max_tokens=100, no_repeat_ngram=1)
    )
    assert recorded.positions == list(range(len(recorded.positions)))
    assert len(recorded.positions) <= LENGTH
    assert found[0].finished or len(recorded.positions) == LENGTH
    assert found[0].text == expected[0].text


def test_mistakes_of_the_caller(runners):
    writer, translator = runners["gpt"], runners["transformer"]
    for runner, texts, options, sentence in (
        (
            writer, ["b", "a" * (LENGTH + 1)], {},
            "Expected prompt 2 to have at most the 32 tokens of the model's cache, got 33; "
            "shorten it.",
        ),
        (writer, [""], {}, "Expected prompt 1 to hold a token to go on from, got none."),
        (translator, ["a", " "], {}, "Expected text 2 to hold something to read, got ' '."),
        (translator, "a", {}, "Expected a list of texts, got one string; put it in a list."),
        (
            translator, ["a"], {"beams": 262},
            "Expected beams to be at most the vocabulary's 261, got beams=262.",
        ),
        (
            writer, ["a"], {"stop": [""]},
            "Expected a stop text of at least one character, got ''.",
        ),
    ):  # fmt: skip
        with pytest.raises(InputError) as caught:
            runner.generate(texts, **options)
        assert str(caught.value) == sentence
    with pytest.raises(InputError) as caught:
        writer.predict(["a"])
    assert str(caught.value) == (
        "Expected a model that predicts labels, got one of language-modeling."
    )


def test_a_classifier_does_not_generate(runs, files):
    for runner in (Runner(files["float32"]), Checkpoint.load(runs.folder / "float")):
        with pytest.raises(InputError) as caught:
            runner.generate(["a"])
        assert str(caught.value) == (
            "Expected a model that generates text, got one of classification."
        )


def test_no_texts(runners):
    assert runners["gpt"].generate([]) == []
    assert runners["transformer"].generate([]) == []


@pytest.mark.parametrize("kind", mostly_slow(["gpt", "transformer"], ["transformer"]))
def test_int8_texts_are_written_without_tensorflow_and_keras(kind, written):
    path = written(kind, "int8")
    program = f"""
import json, sys
from keras_transformer.edge.load import load
from keras_transformer.edge.runtime import Runner
runner = Runner({str(path)!r})
texts = runner.generate({TEXTS!r}, max_tokens=5)
texts += runner.generate({TEXTS!r}, max_tokens=5, beams=2)
names = ("tensorflow", "keras", "tf_keras", "jax", "torch")
print(json.dumps([texts, sorted(name for name in names if name in sys.modules)]))
"""
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    texts, loaded = json.loads(done.stdout)
    assert loaded == []
    runner = Runner(path)
    expected = [runner.generate(TEXTS, max_tokens=5, beams=beams) for beams in (1, 2)]
    assert texts == [*expected[0], *expected[1]]


def test_perplexity_is_that_of_the_uncached_model(runners, tmp_path):
    text = "It was a bright cold day in April, and the clocks were striking thirteen.\n"
    path = tmp_path / "text.txt"
    path.write_text(text, encoding="utf-8")
    found = runners["gpt"].perplexity(path)
    ids = np.frombuffer(text.encode(), np.uint8).astype("int64") + 5
    nats = []
    for start in range(0, len(ids) - 1, LENGTH):
        block = ids[start : start + LENGTH + 1]
        inputs = {"ids": block[None, :-1].astype("int32")}
        logits = np.asarray(generator("gpt").model.predict_on_batch(inputs)[0], "float64")
        log_sum = np.log(np.exp(logits).sum(axis=1))
        nats += list(log_sum - logits[np.arange(len(block) - 1), block[1:]])
    assert len(nats) == len(text) - 1
    assert found["loss"] == pytest.approx(np.mean(nats), rel=1e-4)
    assert found["perplexity"] == pytest.approx(np.exp(np.mean(nats)), rel=1e-3)
    bits = np.sum(nats) / np.log(2) / len(text)
    assert found["bits_per_character"] == pytest.approx(bits, rel=1e-4)


@pytest.mark.parametrize("kind", ["gpt", "transformer"])
def test_equal_texts_are_sampled_apart_and_a_seed_repeats_them(kind, runners):
    options = {"max_tokens": 8, "temperature": 1.5}
    texts = runners[kind].generate(["same", "some", "same", "a"], seed=5, **options)
    assert texts[0] != texts[2]
    assert runners[kind].generate(["same", "some", "same", "a"], seed=5, **options) == texts
    assert runners[kind].generate(["same"], seed=5, **options) == texts[:1]
    assert runners[kind].generate(["same"], seed=6, **options) != texts[:1]
