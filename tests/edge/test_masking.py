"""Files of masked language models: the same pieces on the device."""


import numpy as np
import pytest

import keras_transformer as kt
from keras_transformer.edge.compare.masked import joined
from keras_transformer.edge.compare.parity import Parity
from keras_transformer.edge.compare.probes import at_positions, probe_inputs
from keras_transformer.zoo.errors import InputError
from tests.edge.converted import converter
from tests.masking import lines, trained

ROWS = lines(120, 7)
SLOW = [
    pytest.param(one, marks=pytest.mark.slow)
    for one in ("float32", "float16", "int8", "int4", "integer")
]
TEXTS = {
    "masked": ["bob [MASK] bob", "carla carla [MASK] [MASK] " + "carla " * 20],
    "replaced": ["bob bob dora bob bob bob", "carla " * 20],
}


@pytest.fixture(scope="module")
def file():
    """Converts an objective's model to a precision, each only once."""
    return converter(trained, ROWS)


@pytest.mark.parametrize("objective", ["masked", "replaced"])
@pytest.mark.parametrize("precision", ["dynamic_int8", *SLOW])
def test_a_file_predicts_as_the_checkpoint_does(file, objective, precision):
    made, checkpoint = file(objective, precision), trained(objective)
    runner = kt.Runner(made)
    both = zip(*(one.predict(TEXTS[objective]) for one in (runner, checkpoint)), strict=True)
    for found, expected in both:
        assert found.truncated == expected.truncated
        if objective == "masked":
            for one, other in zip(found.masks, expected.masks, strict=True):
                assert (one.start, one.end) == (other.start, other.end)
                best = next(iter(other.pieces))
                assert one.pieces[best] == pytest.approx(other.pieces[best], abs=0.15)
        else:
            assert [name for name, _ in found.pieces] == [name for name, _ in expected.pieces]
            shares = [[share for _, share in one.pieces] for one in (found, expected)]
            assert shares[0] == pytest.approx(shares[1], abs=0.2)
    found, expected = kt.evaluate(runner, lines(40, 1)), checkpoint.evaluate(lines(40, 1))
    assert found["loss"] == pytest.approx(expected["loss"], abs=0.1)


def test_parity_is_of_the_masks_alone(file):
    checkpoint = trained()
    inputs = probe_inputs(checkpoint, checkpoint.max_length)
    outputs = checkpoint.model.predict_on_batch(inputs)
    found = at_positions(outputs, checkpoint, inputs)
    np.testing.assert_array_equal(found, outputs[inputs["ids"] == 4])
    made = file("masked", "float32")
    assert made.parity.rows == len(found) >= len(inputs["ids"])
    assert made.parity.agreement == 1.0
    assert file("replaced", "float32").parity.agreement is None


@pytest.mark.parametrize("objective", ["masked", "replaced"])
def test_compared_on_a_text(file, objective):
    checkpoint, text = trained(objective), lines(400, 1)  # several parts
    files = [file(objective, precision) for precision in ("float32", "dynamic_int8")]
    compared = kt.compare(checkpoint, files, text)
    metric = "perplexity" if objective == "masked" else "f1"
    expected = checkpoint.evaluate(text)[metric]
    for one, made in zip(compared, files, strict=True):
        assert (one.metric, one.same_weights) == (metric, True)
        assert one.checkpoint_value == pytest.approx(expected, rel=1e-5)
        assert one.value == pytest.approx(kt.evaluate(kt.Runner(made), text)[metric], rel=1e-5)
    exact, rounded = (one.parity for one in compared)
    drawn = checkpoint.task.fixed(checkpoint.task.read(text), checkpoint.modality)
    assert len(drawn.ids) > 64
    assert exact.rows == sum(int((one >= 0).sum()) for one in drawn.targets)
    assert exact.agreement == 1.0 and exact.largest < 1e-3 < rounded.largest
    assert 0.9 < rounded.agreement <= 1.0


def test_parities_of_parts_are_joined():
    names = "rows", "agreement", "largest", "relative", "steps", "most_steps", "departing"
    first, second, both = (
        Parity(**dict(zip(names, values, strict=True)))
        for values in (
            (3, 1.0, 1.0, 0.2, 9.0, 2.0, 0.0), (1, 0.0, 2.0, 0.1, 3.0, 3.0, 1.0),
            (4, 0.75, 2.0, 0.2, 9.0, 3.0, 0.25),
        )
    )
    assert joined([first, second]) == both


@pytest.mark.slow
def test_a_file_of_a_model_that_was_trained_with_rounding():
    quantized = kt.quantize(
        trained(), precision="int8", epochs=1, train=lines(60, 0), validation=lines(40, 1),
        report=kt.Report(),
    )  # fmt: skip
    runner = kt.Runner(kt.convert(quantized, "int8"))
    assert kt.evaluate(runner, lines(40, 1))["token_accuracy"] > 0.9


def test_a_part_of_the_vocabulary():
    checkpoint = trained()
    made = kt.convert(checkpoint, prune_vocabulary=["anna anna", "bob"])
    runner = kt.Runner(made)
    assert runner.tokenizer.vocab_size < checkpoint.tokenizer.vocab_size
    [found] = runner.predict(["anna anna [MASK] anna"])
    assert next(iter(found.masks[0].pieces)) == "anna"


def test_what_is_refused(file):
    with pytest.raises(InputError, match="target mediapipe, whose host reads no more"):
        kt.convert(trained(), target="mediapipe")
    with pytest.raises(InputError, match=r"^Expected \[MASK\] in each text, got none in text 1"):
        kt.Runner(file("masked", "float32")).predict(["anna"])
