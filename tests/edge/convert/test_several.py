"""Models of several kinds: files of every precision, and what is done before.

Each fusion is one file with all inputs. The rows are those of `tests.zoo.modalities.asked`.
"""

import functools
import itertools

import numpy as np
import pytest

import keras_transformer as kt
from keras_transformer.edge.compare.compare import compare_layers
from keras_transformer.edge.compare.inspect import inspect
from keras_transformer.edge.precision import PRECISIONS, TRAINED_PRECISIONS
from keras_transformer.edge.runtime.runner import Runner
from keras_transformer.edge.targets.convert import convert
from keras_transformer.quantization import QuantPoint
from keras_transformer.zoo.errors import InputError
from keras_transformer.zoo.models.build import all_layers
from keras_transformer.zoo.ways import FUSIONS
from tests.slow import mostly_slow
from tests.zoo.modalities.asked import QUESTIONS, answerer, asked

CALIBRATION = asked(64, 4)
TUNING = {"train": asked(128, 5), "validation": asked(64, 1)}
ROWS = asked(40, 3)[0]


@pytest.fixture(scope="module")
def trained():
    """Returns a classifier of a fusion, trained once."""
    return functools.cache(answerer)


def converted(checkpoint, precision):
    needed = PRECISIONS[precision].is_static
    return convert(checkpoint, precision, calibration=CALIBRATION if needed else None)


@pytest.mark.slow
def test_it_learns_what_needs_both_kinds(trained):
    made = trained("cross")
    rows, answers = asked(80, 2)
    assert made.evaluate((rows, answers))["accuracy"] > 0.95
    found = made.predict([{"image": rows["image"][0], "text": one} for one in QUESTIONS])
    assert {one.label for one in found} == {"yes", "no"}


CASES = [
    (fusion, precision)
    for fusion, precision in itertools.product(FUSIONS, PRECISIONS)
    # Kernels of 16 inputs are no blocks of 32.
    if precision != "int4"
]  # fmt: skip


@pytest.mark.parametrize(
    ("fusion", "precision"),
    mostly_slow(CASES, [("cross", "int8")]),
)
def test_files(trained, fusion, precision):
    made = trained(fusion)
    runner = Runner(converted(made, precision))
    assert (runner.modality.name, runner.lengths) == ("image+text", [made.max_length])
    # Logits are up to 6; kernels of 8 bits are off by up to 1/254 of their largest value.
    tolerance = {"float32": 1e-4, "float16": 0.02}.get(precision, 0.8)
    np.testing.assert_allclose(runner.scores(ROWS), made.scores(ROWS), atol=tolerance)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("fusion", "precision"),
    [one for one in CASES if one[1] in TRAINED_PRECISIONS],
)
def test_files_of_quantized_models(trained, fusion, precision):
    small = kt.quantize(trained(fusion), precision, epochs=1, **TUNING)
    runner = Runner(convert(small, precision))
    difference = np.abs(runner.scores(ROWS) - small.scores(ROWS))
    if PRECISIONS[precision].is_static:
        # In steps of its own output: ties of a few layers add up in some rows.
        [step] = [
            one.scale for one in all_layers(small.model)
            if isinstance(one, QuantPoint) and one.name == "head_point"
        ]  # fmt: skip
        assert difference.max() < 8 * step and np.median(difference) < 1.5 * step
        columns = small.encode(ROWS).of(small.inputs)
        [layers] = compare_layers(small, runner, columns).values()
        assert layers and not any(one.departs for one in layers)
    else:
        assert np.median(difference) < 1e-4


@pytest.mark.slow
def test_a_file_has_lengths_of_its_text(trained):
    made = trained("cross")
    runner = Runner(convert(made, lengths=[8, made.max_length]))
    np.testing.assert_allclose(runner.scores(ROWS), made.scores(ROWS), atol=1e-4)
    assert "pixels" in str(inspect(runner)) and "ids" in str(inspect(runner))
    with pytest.raises(InputError, match="Expected rows of image and text"):
        runner.predict(["why?"])


@pytest.mark.slow
def test_other_targets_and_prunings(trained, tmp_path):
    made = trained("cross")
    for target in ("mediapipe", "text"):
        with pytest.raises(InputError, match=r"one of image\+text"):
            convert(made, target=target)
    sparse = kt.prune(made, sparsity=0.5, epochs=1, **TUNING)
    assert Runner(convert(sparse, "dynamic_int8")).predict(ROWS)
    with pytest.raises(InputError, match=r"got one of image\+text"):
        kt.prune(made, layers=1, **TUNING)
    for target in ("onnx", "saved_model"):
        convert(made, target=target).save(tmp_path / target)
