import numpy as np
import pytest

from keras_transformer.edge.predictor import KerasRunner, columns_of, open_predictor
from keras_transformer.edge.runtime.runner import Runner
from keras_transformer.zoo.errors import InputError

COLUMNS = {"text": "text", "text_pair": None, "label": "label"}


def test_a_checkpoint_and_a_file_have_one_face(runs, files):
    keras = open_predictor(runs.folder / "float")
    file = open_predictor(files["float32"], threads=2)
    assert (type(keras), type(file)) == (KerasRunner, Runner)
    for name in ("task", "labels", "pair", "precision", "max_length", "columns"):
        assert getattr(keras, name) == getattr(file, name), name
    texts = [*runs.examples.texts[:20], "rain " * 40, ""]
    np.testing.assert_allclose(keras.scores(texts), file.scores(texts), rtol=1e-4, atol=1e-5)
    assert keras.num_truncated == file.num_truncated == 1
    for one, other in zip(keras.predict(texts), file.predict(texts), strict=True):
        assert (one.label, one.truncated) == (other.label, other.truncated)
        assert one.scores == pytest.approx(other.scores, abs=1e-4)


def test_a_quantized_checkpoint_says_so(runs):
    assert open_predictor(runs.folder / "int8").precision == "int8, simulated"


def test_columns_are_those_given_or_those_of_training(files):
    file = open_predictor(files["float32"])
    nothing = {"text": None, "text_pair": None, "label": None}
    assert columns_of(file, **nothing) == COLUMNS
    assert columns_of(file, **{**nothing, "label": "topic"}) == {**COLUMNS, "label": "topic"}
    file.columns = dict.fromkeys(COLUMNS)
    with pytest.raises(InputError, match="are called; give --label.$"):
        columns_of(file, **{**nothing, "text": "text"})
    for name, word in (("source", "--source"), ("target", "--target")):
        with pytest.raises(InputError) as caught:
            columns_of(file, text="text", label="label", **{name: "en"})
        assert str(caught.value) == (
            f"Expected no {word} for a model of classification, got 'en'."
        )
    file.pair = True
    with pytest.raises(InputError, match="are called; give --text-pair.$"):
        columns_of(file, text="a", text_pair=None, label="c")


def test_what_is_not_there(tmp_path):
    with pytest.raises(FileNotFoundError, match="There is no file .*no.tflite.$"):
        open_predictor(tmp_path / "no.tflite")
    with pytest.raises(FileNotFoundError, match="There is no checkpoint folder .*no.$"):
        open_predictor(tmp_path / "no")
