import subprocess
import sys

import numpy as np
import pytest

from keras_transformer.edge.load import load
from keras_transformer.edge.runtime import Runner
from keras_transformer.zoo.checkpoint import Checkpoint
from keras_transformer.zoo.errors import InputError


def test_a_checkpoint_and_a_file_have_one_interface(runs, files):
    checkpoint = load(runs.folder / "float")
    file = load(str(files["float32"]), threads=2, workers=2)
    assert (type(checkpoint), type(file)) == (Checkpoint, Runner)
    for name in (
        "task_name", "output_kind", "labels", "pair", "precision", "max_length", "columns",
        "generates",
    ):  # fmt: skip
        assert getattr(checkpoint, name) == getattr(file, name), name
    texts = [*runs.examples.texts[:20], "rain " * 40, ""]
    np.testing.assert_allclose(checkpoint.scores(texts), file.scores(texts), rtol=1e-4, atol=1e-5)
    for one, other in zip(checkpoint.predict(texts), file.predict(texts), strict=True):
        assert (one.label, one.truncated) == (other.label, other.truncated)
        assert one.scores == pytest.approx(other.scores, abs=1e-4)
    assert [one.truncated for one in file.predict(texts)] == [*20 * [False], True, False]


def test_a_quantized_checkpoint_says_so(runs):
    assert load(runs.folder / "int8").precision == "int8, simulated"


def test_what_is_not_there(tmp_path):
    with pytest.raises(FileNotFoundError, match="There is no file .*no.tflite.$"):
        load(tmp_path / "no.tflite")
    with pytest.raises(FileNotFoundError, match="There is no checkpoint folder .*no.$"):
        load(tmp_path / "no")
    with pytest.raises(TypeError, match=r"^Expected the path of a checkpoint .*, got 7\.$"):
        load(7)


def test_a_model_of_the_catalogue_has_no_weights(tmp_path, monkeypatch, runs):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError) as caught:
        load("bert_tiny")
    assert str(caught.value) == (
        "bert_tiny has no trained weights; build('bert_tiny', task) makes it untrained, and "
        "train('bert_tiny', ...) trains it."
    )
    runs.trained.save("bert_tiny")
    assert load("bert_tiny").labels == runs.trained.labels


def test_a_file_is_loaded_without_tensorflow(files):
    program = (
        f"import sys; from keras_transformer.edge.load import load; load({str(files['int8'])!r}); "
        "print([name for name in ('tensorflow', 'keras') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert (done.stdout, done.returncode) == ("[]\n", 0), done.stderr
