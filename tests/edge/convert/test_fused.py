"""Several models in one file, and one small model made of several."""

import dataclasses
import json

import numpy as np
import pytest

from keras_transformer.edge.compare.compare import compare
from keras_transformer.edge.compare.layer_groups import groups_of
from keras_transformer.edge.compress.prune import prune
from keras_transformer.edge.convert.provenance import provenance
from keras_transformer.edge.distill.distill import distill, new_student
from keras_transformer.edge.precision import PRECISIONS
from keras_transformer.edge.publish.model_card import origin_of
from keras_transformer.edge.quantize.qat import quantize
from keras_transformer.edge.runtime.runner import Runner
from keras_transformer.edge.targets.convert import convert
from keras_transformer.zoo.errors import InputError
from keras_transformer.zoo.fusion.fuse import fuse
from keras_transformer.zoo.models.build import build

SMALL = {"hidden_dim": 16, "intermediate_dim": 32, "num_layers": 1, "dropout": 0.0}
TEXTS = ["rain and wind", "a song", "we saw more of this bread today"]


@pytest.fixture(scope="module")
def members(runs):
    """The trained model, and a smaller one with random weights."""
    other = new_student(
        runs.trained, "bert_tiny", {**SMALL, "hidden_dim": 32, "pooling": "mean"}
    )
    rng = np.random.default_rng(0)
    for weight in other.model.weights:
        weight.assign_add(rng.normal(0, 0.1, weight.shape))
    return [runs.trained, other]


@pytest.fixture(scope="module")
def fused(members):
    return fuse(members)


SLOW = ("float32", "dynamic_int8", "static_int8", "float16", "int16x8", "int4")


@pytest.mark.parametrize(
    "precision", ["int8", *(pytest.param(one, marks=pytest.mark.slow) for one in SLOW)]
)
def test_one_file_answers_as_all_members(precision, fused, runs):
    """`convert` itself compares each layer, and the outputs in 95 % of the probes."""
    is_static = PRECISIONS[precision].is_static
    made = convert(fused, precision, calibration=runs.folder / "train.tsv" if is_static else None)
    [compared] = compare(fused, [made], runs.examples)
    assert compared.parity.agreement > 0.95
    assert compared.checkpoint_value == runs.value_of(fused)
    # A softmax of stored logits may move by as many steps as they do.
    tolerance = 1e-5 if precision == "float32" else 0.1
    found, expected = (np.exp(one.scores(TEXTS)) for one in (Runner(made), fused))
    np.testing.assert_allclose(found.sum(1), 1.0, rtol=1e-4)
    np.testing.assert_allclose(found, expected, atol=tolerance)


def test_groups_of_layers_are_of_each_member(fused):
    bits = {"kernel_bits": 8, "activation_bits": 8}
    names = [group.name for group in groups_of(build(fused.config, fused.task, bits=bits))]
    assert names[0] == "embedding" and names[-2:] == ["head", "output"]
    assert "member_0_encoder/block_1/attention" in names
    assert "member_1_encoder/block_0/feed_forward" in names
    assert names.count("between sublayers") == 1


def test_one_small_model_is_made_of_several(fused):
    made = distill(fused, "bert_tiny", settings=SMALL, epochs=1, share=1.0)
    assert made.metrics["teacher"] == fused.metrics["validation"]
    assert (made.recipe.model.name, made.config.num_layers) == ("bert_tiny", 1)


@pytest.mark.slow
def test_several_are_trained_for_integers_together(fused, runs):
    made = quantize(fused, epochs=1)
    assert made.metrics["float"] == fused.metrics["validation"]
    assert convert(made, "int8").parity.agreement > 0.95


def test_cards_tell_the_licences_of_all_members(members):
    published = [
        {"source": f"/home/someone/{name}", "revision": None, "licence": licence, "sha256": {}}
        for name, licence in (("mini", "mit"), ("tiny", "apache-2.0"))
    ]
    began = [
        dataclasses.replace(one, recipe=one.recipe.replace(model=told["source"], published=told))
        for one, told in zip(members, published, strict=True)
    ]
    made = fuse(began)
    origin = origin_of(made)
    assert origin.began
    assert origin.rows["began with"] == (
        "the published weights of mini, licence mit; of tiny, licence apache-2.0"
    )
    assert origin.rows["what"].startswith("encoder, 2 models of together 3 layers of width 32 at")
    recorded = provenance(made)["recipe"]["model"]["settings"]["members"]
    assert [one["name"] for one in recorded] == ["mini", "tiny"]
    assert "someone" not in json.dumps(recorded)


def test_what_needs_one_model(fused, runs):
    with pytest.raises(InputError, match="^Expected one model to prune, got 2 that answer as one"):
        prune(fused, heads=1)
    with pytest.raises(InputError, match="^Expected one model whose blocks a student begins with"):
        distill(fused, init="teacher", settings={"num_layers": 1})
    with pytest.raises(InputError, match="^Expected one model whose inner states"):
        distill(fused, "bert_tiny", settings=SMALL, hidden_weight=1.0)
    with pytest.raises(InputError, match="^Expected a precision with floats"):
        convert(fused, "integer", calibration=runs.folder / "train.tsv")
