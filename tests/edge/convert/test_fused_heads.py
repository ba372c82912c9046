"""Models of several tasks that answer as one, in one file with a signature for each task."""

import dataclasses

import numpy as np
import pytest

import keras_transformer as kt
from keras_transformer.zoo.fusion.fuse import fuse
from keras_transformer.zoo.models.build import build, get_weights, set_weights
from tests.multi_task import SETTINGS, table, trained

ROWS = ["the old ship saw Anna Stone and Lima .", "the ship saw nothing of Paris ."]


def near(checkpoint, size):
    """A checkpoint of weights that are off by so much."""
    model, rng = build(checkpoint.config, checkpoint.task), np.random.default_rng(0)
    set_weights(
        model,
        {
            path: value + rng.normal(0, size, value.shape).astype("float32")
            for path, value in get_weights(checkpoint.model).items()
        },
    )
    return dataclasses.replace(checkpoint, model=model)


@pytest.fixture(scope="module")
def fused():
    """The trained model and one of other weights, with other weights of each head."""
    return fuse([trained(), near(trained(), 0.05)], by="fitted")


@pytest.mark.slow
@pytest.mark.parametrize("precision", ["float32", "int8", "dynamic_int8"])
def test_one_file_has_a_signature_for_each_head(precision, fused):
    """`convert` itself compares each layer and output of each head."""
    calibration = table() if precision == "int8" else None
    runner = kt.Runner(kt.convert(fused, precision, calibration=calibration))
    assert runner.head_names == fused.head_names == ("kind", "names", "named")
    found, expected = runner.predict(ROWS), fused.predict(ROWS)
    for one, other in zip(found, expected, strict=True):
        assert one["kind"].label == other["kind"].label
        assert one["kind"].score == pytest.approx(
            other["kind"].score, abs=1e-4 if precision == "float32" else 0.05
        )
        spans = [[(span.label, span.start) for span in row["names"].spans] for row in (one, other)]
        assert spans[0] == spans[1]
    kind = table()["kind"]["test"]
    measured = kt.evaluate(runner.head("kind"), kind)
    assert measured["accuracy"] == pytest.approx(fused.head("kind").evaluate(kind)["accuracy"])


@pytest.mark.slow
def test_a_member_that_a_head_leaves_out_is_not_looked_for():
    """Its values are near to those of the other, of which the graph of the head is."""
    both = fuse([trained(), near(trained(), 0.005)])
    alone = dataclasses.replace(both.config.outputs["named"], weights=(1.0, 0.0))
    config = dataclasses.replace(both.config, outputs={**both.config.outputs, "named": alone})
    model = build(config, both.task)
    set_weights(model, get_weights(both.model))
    head = dataclasses.replace(both, config=config, model=model).head("named")
    layers = kt.convert(head, "dynamic_int8").description["layers"]["predict"]
    assert {name.split("_token")[0] for name in layers if "_token" in name} == {"member_0"}


@pytest.mark.slow
def test_one_model_of_several_tasks_is_distilled_of_them(fused):
    student = kt.distill(fused, "bert_tiny", settings=SETTINGS, epochs=1)
    assert student.head_names == fused.head_names
    assert student.metrics["teacher"]["mean"] == fused.metrics["validation"]["mean"]
