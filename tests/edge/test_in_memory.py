"""Runs that write no folder: their results are values, saved by whoever wants to."""

import numpy as np
import pytest

from keras_transformer.edge.compress.prune import prune
from keras_transformer.edge.distill.distill import distill
from keras_transformer.edge.quantize.qat import quantize
from keras_transformer.edge.runtime import Runner
from keras_transformer.edge.targets.convert import convert
from keras_transformer.zoo.checkpoint import Checkpoint
from keras_transformer.zoo.errors import InputError
from keras_transformer.zoo.training.train_recipe import train_recipe
from tests.slow import mostly_slow

TEXTS = ["some rain and more wind today", "a violin", "soup with cheese"]
WAYS = {
    "quantize": lambda checkpoint, **options: quantize(checkpoint, "int8", **options),
    "prune": lambda checkpoint, **options: prune(checkpoint, heads=1, neurons=16, **options),
    "distill": lambda checkpoint, **options: distill(
        checkpoint, "bert_tiny", settings={"hidden_dim": 32, "intermediate_dim": 64}, **options
    ),
}


@pytest.mark.slow
@pytest.mark.parametrize("way", mostly_slow(WAYS, ["quantize"]))
def test_a_result_is_kept_in_memory_and_saved_later(way, runs, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    made = WAYS[way](runs.trained, epochs=1)
    assert list(tmp_path.iterdir()) == []
    assert made.metrics["validation"]["accuracy"] > 0.3
    made.save("made")
    loaded = Checkpoint.load("made")
    np.testing.assert_allclose(loaded.scores(TEXTS), made.scores(TEXTS), rtol=1e-4, atol=1e-5)


@pytest.mark.slow
def test_integers_are_converted_from_memory(runs):
    made = quantize(runs.trained, "integer", epochs=1)
    assert convert(made).description["simulated"]["equal"] == 1.0


def test_training_in_memory(runs, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    made = train_recipe(runs.trained.recipe.replace(epochs=1))
    assert list(tmp_path.iterdir()) == []
    assert len(made.predict(TEXTS)) == 3


@pytest.mark.parametrize("option", ["resume", "overwrite"])
def test_nothing_to_resume_in_memory(option, runs):
    with pytest.raises(InputError) as caught:
        train_recipe(runs.trained.recipe, **{option: True})
    assert str(caught.value) == "Expected a folder to resume or overwrite, got out=None."


@pytest.mark.parametrize("way", WAYS)
def test_what_is_no_checkpoint(way, tmp_path):
    with pytest.raises(TypeError, match=r"^Expected a checkpoint or the path of its .*, got None"):
        WAYS[way](None)
    with pytest.raises(FileNotFoundError, match="There is no checkpoint folder .*none"):
        WAYS[way](tmp_path / "none")


def test_a_student_that_is_a_checkpoint_has_its_own_settings(runs):
    with pytest.raises(InputError) as caught:
        distill(runs.trained, runs.quantized, settings={"hidden_dim": 8})
    assert str(caught.value) == (
        "Expected settings only for a model of the catalogue, got settings={'hidden_dim': 8}."
    )


def test_a_file_is_run_from_its_path_its_bytes_or_an_object(files):
    class Artifact:
        def __bytes__(self):
            return files["int8"].read_bytes()

    expected = Runner(files["int8"]).predict(TEXTS)
    for source in (str(files["int8"]), files["int8"].read_bytes(), Artifact()):
        runner = Runner(source)
        assert runner.predict(TEXTS) == expected
        assert bytes(runner) == files["int8"].read_bytes()
    assert repr(runner) == "Runner(the file: classification, int8, 16 tokens)"
    assert (runner.path, Runner(files["int8"]).path) == (None, files["int8"])


@pytest.mark.parametrize("source", [None, 7, ["a.tflite"]], ids=str)
def test_what_is_no_file(source):
    with pytest.raises(TypeError) as caught:
        Runner(source)
    assert str(caught.value) == (
        f"Expected the path of a .tflite file, its bytes, or what convert returned, got {source!r}."
    )


@pytest.mark.parametrize("threads", [0, 1.5, None], ids=str)
def test_threads_that_are_none(files, threads):
    message = f"^Expected threads to be from 1 to 1024, got .*{threads}.$"
    with pytest.raises(InputError, match=message):
        Runner(files["int8"], threads=threads)


def test_bytes_that_are_no_file():
    with pytest.raises(InputError, match="^the file is no TFLite file.$"):
        Runner(b"some bytes that are none")
