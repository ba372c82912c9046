"""Files of models that answer questions: the same answers on the device."""

import dataclasses

import numpy as np
import pytest

import keras_transformer as kt
from keras_transformer.edge.compare.probes import at_positions, probe_inputs
from keras_transformer.zoo.answering.answers import answer_outputs
from keras_transformer.zoo.answering.windows import question_windows
from keras_transformer.zoo.errors import InputError
from keras_transformer.zoo.tagging.words import words_of
from tests.answering import questions, trained
from tests.edge.converted import converter

ROWS = questions(40, 1, unanswerable=0.3)
SLOW = [pytest.param(one, marks=pytest.mark.slow) for one in ("float16", "int8", "int4", "integer")]


@pytest.fixture(scope="module")
def file():
    """Converts to a precision, each only once."""
    return converter(trained, ROWS)


@pytest.mark.parametrize("precision", ["float32", "dynamic_int8", *SLOW])
def test_a_file_answers_as_the_checkpoint_does(file, precision):
    made = file(precision)
    assert made.parity.agreement > 0.95 and made.parity.rows == 2 * len(trained().probes["ids"])
    runner = kt.Runner(made)
    assert runner.null_threshold == trained().null_threshold
    long = "Anna Bob Carla Dora " * 20 + "Lima " + "Emil " * 30
    for context in ("Anna saw Bob in  Oslo, Carla", "Anna Bob Carla", long):
        found, expected = (one.answer("where ?", context) for one in (runner, trained()))
        assert found[:3] == expected[:3]
        assert found.score == pytest.approx(expected.score, abs=0.1)
    found = kt.evaluate(runner, ROWS)
    assert found["f1"] == pytest.approx(trained().evaluate(ROWS)["f1"], abs=0.05)


def test_parity_chooses_among_the_positions_of_a_row(file):
    inputs = probe_inputs(trained(), trained().max_length)
    outputs = trained().model.predict_on_batch(inputs)
    found = at_positions(outputs, trained(), inputs)
    real = inputs["ids"] != 0
    for end in (0, 1):
        for row in range(len(real)):
            kept = found[end * len(real) + row]
            np.testing.assert_array_equal(kept[real[row]], outputs[row, real[row], end])
            assert kept.argmax() < real[row].sum()
    [one] = kt.compare(trained(), file("dynamic_int8"), ROWS)
    assert one.metric == "f1" and one.parity.agreement > 0.95
    assert one.checkpoint_value == trained().evaluate(ROWS)["f1"]


def test_others_do_not_answer(file):
    with pytest.raises(InputError, match="target mediapipe, whose host reads no more"):
        kt.convert(trained(), target="mediapipe")
    from tests.tagging import trained as tagger

    with pytest.raises(InputError, match="Expected a model of answers, got one of token-class"):
        tagger().answer("where ?", "Oslo")


def test_lengths_without_room_beside_the_stride_are_refused():
    changed = dataclasses.replace(
        trained(), task=dataclasses.replace(trained().task, stride=6), rows={}
    )
    with pytest.raises(InputError, match="below 6, .* max_length=14 has room for, got stride=6"):
        kt.convert(changed, lengths=[14])


def test_a_file_reads_windows_as_the_checkpoint_does(file, tmp_path):
    changed = dataclasses.replace(
        trained(), task=dataclasses.replace(trained().task, stride=6), rows={}
    )
    changed.save(tmp_path / "m")
    runner, loaded = kt.Runner(kt.convert(changed)), kt.load(tmp_path / "m")
    long = "Anna Bob Carla Dora " * 9 + "Lima " + "Emil " * 30
    words = words_of(long)
    for one in (changed, runner, loaded):
        assert one.stride == 6
        asked = question_windows(one.tokenizer, ["where ?"], [words], one.max_length, 6)
        outputs = one.encoded_outputs(asked.columns)
        expected = answer_outputs(asked, outputs, None).candidates
        [found] = one.outputs(["where ?"], [long]).candidates
        np.testing.assert_allclose(found, expected[0], rtol=1e-5)
    [other] = trained().outputs(["where ?"], [long]).candidates
    assert abs(other.normalizer - found.normalizer) > 1e-4
