import json
import subprocess
import sys

import numpy as np
import pytest

from keras_transformer.edge.runtime.packed import pack, unpack
from keras_transformer.edge.runtime.runner import Runner
from keras_transformer.edge.targets.convert import convert
from keras_transformer.zoo.errors import InputError
from tests.edge.models import calibration, random_model, trained_on

TEXTS = ["some rain and more wind today", "a violin", "soup with cheese", "", "RAIN Clöud"]
HARD = [
    "", " ", "naïve café Åse", "nai\u0308ve", "天気 雨 storm", "cloud☔️rain 👩\u200d🍳",
    "\x00\x07rain\u200dwind", "한국어", "İstanbul ısı", "straße", "ﬁne ﬃ", "rain\ud800cloud",
    "\t\n\r", "a" * 10_000, "rain " * 2_000, "...!?—«»", "שלום", "½ ² Ⅷ", "[CLS] [MASK]",
]  # fmt: skip


@pytest.fixture(scope="module")
def runner(files):
    return Runner(files["int8"])


def test_predicts_raw_texts(runner):
    results = runner.predict(TEXTS)
    assert [result.label for result in results[:3]] == ["weather", "music", "food"]
    for result in results:
        assert list(result.scores) == ["food", "music", "weather"]
        assert sum(result.scores.values()) == pytest.approx(1.0)
        assert result.score == max(result.scores.values()) == result.scores[result.label]
        assert not result.truncated


def test_says_what_it_is(runner, runs, files):
    assert (runner.task, runner.pair, runner.precision) == ("classification", False, "int8")
    assert (runner.labels, runner.max_length) == (("food", "music", "weather"), 16)
    assert runner.path == files["int8"]
    assert runner.tokenizer.vocabulary == runs.quantized.tokenizer.vocabulary


@pytest.mark.parametrize("precision", ["float32", "float16", "dynamic_int8", "int8"])
def test_accuracy_is_the_checkpoints(runs, files, precision):
    scores = Runner(files[precision]).scores(runs.examples.texts)
    checkpoint = runs.quantized if precision == "int8" else runs.trained
    ours = checkpoint.scores(runs.examples.texts)
    np.testing.assert_array_equal(scores.argmax(1), ours.argmax(1))
    assert (scores.argmax(1) == runs.examples.targets).mean() > 0.9


def test_ids_equal_the_training_tokenizers(runner, runs):
    for text in HARD:
        ours = runs.trained.tokenizer.encode([text], max_length=64).ids[0]
        device = runner.tokenizer.encode([text], max_length=64).ids[0]
        np.testing.assert_array_equal(device, ours, err_msg=repr(text[:40]))


def test_long_texts_are_cut_and_flagged(runner):
    results = runner.predict(["rain", "rain " * 50, "drum " * 14, "drum " * 15])
    assert [result.truncated for result in results] == [False, True, False, True]
    assert runner.outputs(["rain", "rain " * 50]).truncated == [False, True]


def test_no_texts(runner):
    assert runner.predict([]) == []
    assert runner.scores([]).shape == (0, 3)


@pytest.mark.parametrize("count", [0, -1, 1025, 10**30, True, 2.0])
@pytest.mark.parametrize("name", ["threads", "workers"])
def test_counts_that_no_device_has(files, name, count):
    with pytest.raises(InputError, match=f"^Expected {name} to be from 1 to 1024, got {name}="):
        Runner(files["int8"], **{name: count})


def test_threads_change_nothing(files):
    one, two = (Runner(files["int8"], threads=threads) for threads in (1, 2))
    np.testing.assert_array_equal(two.scores(TEXTS), one.scores(TEXTS))


def test_mistakes_of_the_caller(runner):
    with pytest.raises(InputError) as caught:
        runner.predict("rain")
    assert str(caught.value) == (
        "Expected a list of texts, got one string; put it in a list."
    )
    with pytest.raises(InputError) as caught:
        runner.predict(["rain"], ["wind"])
    assert str(caught.value) == "Expected single texts, as the model was trained on."


def test_a_fresh_interpreter_needs_neither_tensorflow_nor_keras(files):
    program = f"""
import json, sys
from keras_transformer.edge.runtime.runner import Runner
rows = [list(row.scores.values()) for row in Runner({str(files["int8"])!r}).predict({TEXTS!r})]
loaded = sorted(name for name in ("tensorflow", "keras", "tf_keras") if name in sys.modules)
print(json.dumps([rows, loaded]))
"""
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    rows, loaded = json.loads(done.stdout)
    assert loaded == []
    expected = [list(row.scores.values()) for row in Runner(files["int8"]).predict(TEXTS)]
    np.testing.assert_array_equal(rows, expected)


def test_a_file_that_older_code_wrote(runner, files, tmp_path):
    flatbuffer, description, rest = unpack(files["int8"])
    del description["lengths"], description["columns"]
    path = tmp_path / "older.tflite"
    path.write_bytes(pack(flatbuffer, description, rest))
    older = Runner(path)
    assert (older.lengths, older.generates) == ([16], False)
    assert older.columns == {"text": None, "text_pair": None, "label": None}
    np.testing.assert_array_equal(older.scores(TEXTS), runner.scores(TEXTS))


@pytest.mark.parametrize("share", [0.0, 0.01, 0.3, 0.9, 0.999])
def test_a_file_cut_short(files, tmp_path, share):
    data = files["int8"].read_bytes()
    path = tmp_path / "cut.tflite"
    path.write_bytes(data[: int(len(data) * share)])
    with pytest.raises(InputError, match=r"cut\.tflite is (no TFLite file|not as keras-transfor)"):
        Runner(path)


def test_a_changed_byte(files, tmp_path):
    data = bytearray(files["int8"].read_bytes())
    data[len(data) // 2] ^= 1
    path = tmp_path / "changed.tflite"
    path.write_bytes(data)
    with pytest.raises(InputError) as caught:
        Runner(path)
    assert str(caught.value) == (
        f"{path} is not as keras-transformer convert wrote it: it was made by another program, "
        "cut short or changed."
    )


def test_regression(tmp_path):
    trained = random_model("regression")
    path = tmp_path / "number.tflite"
    path.write_bytes(bytes(convert(trained, "float32")))
    runner = Runner(path)
    texts = ["w1 w2 w3", "w30 w5"]
    results = runner.predict(texts)
    np.testing.assert_allclose([r.score for r in results], trained.scores(texts)[:, 0], rtol=1e-4)
    assert [(r.label, r.scores, r.truncated) for r in results] == 2 * [(None, {}, False)]
    assert (runner.task, runner.labels) == ("regression", ())


def test_pairs(tmp_path):
    trained = random_model(pair=True)
    path = tmp_path / "pair.tflite"
    path.write_bytes(bytes(convert(trained, "int8", calibration=calibration(pair=True))))
    runner = Runner(path)
    first, second = ["w1 w2 w3", "w30 w5", "w4"], ["w9", "w9 w8", "w1 " * 20]
    step = runner.description["output_step"]
    expected = trained.scores(first, second)
    # Calibrated alone, not trained: the float model is followed within a few steps.
    np.testing.assert_allclose(runner.scores(first, second), expected, atol=12 * step)
    swapped = runner.scores(second, first)
    assert np.abs(swapped - runner.scores(first, second)).max() > step
    assert [row.truncated for row in runner.predict(first, second)] == [False, False, True]
    with pytest.raises(InputError) as caught:
        runner.predict(first)
    assert str(caught.value) == "Expected pairs of texts, as the model was trained on."


class Counted:
    """Counts the calls of a signature."""

    def __init__(self, signature):
        self.signature, self.count = signature, 0

    def __call__(self, **inputs):
        self.count += 1
        return self.signature(**inputs)


@pytest.mark.parametrize("precision", [pytest.param("float32", marks=pytest.mark.slow), "int8"])
def test_the_shortest_length_that_fits_is_run(precision, tmp_path):
    trained = trained_on(random_model(), 16)
    batches = calibration() if precision == "int8" else None
    opened = []
    for lengths in ([16], [16, 4, 8]):
        data = bytes(convert(trained, precision, calibration=batches, lengths=lengths))
        path = tmp_path / f"{len(lengths)}.tflite"
        path.write_bytes(data)
        opened.append(Runner(path))
    one, three = opened
    assert (one.lengths, three.lengths, three.max_length) == ([16], [4, 8, 16], 16)
    assert set(one.interpreter.get_signature_list()) == {"predict"}
    assert set(three.interpreter.get_signature_list()) == {"predict_4", "predict_8", "predict"}
    graph = three._engines.claim().engine
    graph._signatures = {n: Counted(signature) for n, signature in graph._signatures.items()}
    # With [CLS] and [SEP] 3, 4, 5, 8, 9, 16 and 22 tokens, of which the last is cut.
    texts = [" ".join(f"w{i}" for i in range(count)) for count in (1, 2, 3, 6, 7, 14, 20)]
    found, expected = three.scores(texts), one.scores(texts)
    counts = {place: counted.count for place, counted in graph._signatures.items()}
    assert counts == {("predict", 4): 2, ("predict", 8): 2, ("predict", 16): 3}
    assert one.outputs(texts).truncated == three.outputs(texts).truncated == [False] * 6 + [True]
    step = one.description["output_step"]
    tolerance = {"rtol": 1e-4, "atol": 1e-5} if step is None else {"atol": 1.01 * step}
    np.testing.assert_allclose(found, expected, **tolerance)
    np.testing.assert_array_equal(found.argmax(1), expected.argmax(1))
