"""Several models that answer questions together: one file, and one small model of theirs."""

import pytest

import keras_transformer as kt
from keras_transformer.edge.precision import PRECISIONS
from tests import answering

ROWS = answering.questions(40, 7, unanswerable=0.3)
SLOW = [
    pytest.param(one, marks=pytest.mark.slow)
    for one in ("float32", "float16", "dynamic_int8", "static_int8", "int16x8")
]


@pytest.fixture(scope="module")
def fused():
    return kt.fuse([answering.disturbed(1), answering.disturbed(2)], by="fitted", data=ROWS)


@pytest.mark.slow
@pytest.mark.parametrize("precision", ["int8", *SLOW])
def test_one_file_answers_as_all_members(precision, fused):
    """`convert` compares each layer, and begin and end of the probes."""
    is_static = PRECISIONS[precision].is_static
    made = kt.convert(fused, precision, calibration=ROWS if is_static else None)
    # Of members this unsure, logits that are stored in 256 steps tie more often.
    assert made.parity.agreement > (0.9 if is_static else 0.95)
    runner = kt.Runner(made)
    assert runner.null_threshold == fused.null_threshold
    long = "Anna Bob Carla Dora " * 20 + "Lima " + "Emil " * 30
    for context in ("Anna saw Bob in  Oslo, Carla", "Anna Bob Carla", long):
        found, expected = (one.answer("where ?", context) for one in (runner, fused))
        assert found.score == pytest.approx(
            expected.score, rel=1e-4 if precision == "float32" else 0.5, abs=1e-6
        )
        if precision == "float32":
            assert found[:3] == expected[:3]
    # One of the rows may be answered otherwise where members are in doubt.
    found = kt.evaluate(runner, ROWS)["f1"]
    assert found == pytest.approx(fused.evaluate(ROWS)["f1"], abs=0.05)


@pytest.mark.slow
def test_one_small_model_is_made_of_several(fused):
    made = kt.distill(
        fused, "bert_tiny", settings=answering.SETTINGS, share=1.0, epochs=1, report=kt.Report()
    )
    assert made.metrics["teacher"] == fused.metrics["validation"]
    assert made.config.hidden_dim == answering.SETTINGS["hidden_dim"]
    assert made.answer("where ?", "Anna Bob Oslo").score > 0
