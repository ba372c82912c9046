"""Vectors, sets of labels and tags of several models in one file."""

import dataclasses

import numpy as np
import pytest

from keras_transformer.edge.precision import PRECISIONS
from keras_transformer.edge.runtime.runner import Runner
from keras_transformer.edge.targets.convert import convert
from keras_transformer.zoo.errors import InputError
from keras_transformer.zoo.fusion.fuse import fuse
from keras_transformer.zoo.models.build import build, get_weights, set_weights
from keras_transformer.zoo.recipe import Recipe
from keras_transformer.zoo.tasks.multi_label import MultiLabel
from keras_transformer.zoo.tasks.tagging.token_classification import TokenClassification
from tests.edge.models import calibration, random_model
from tests.slow import mostly_slow

TEXTS = ["w1 w2 w3", "w30 w5", "w9", "w3 w3 w8 w7 w12"]
LABELS = ("a", "b", "c")
ROWS = {
    "embedding": (TEXTS[:3], TEXTS[1:], [1.0, 2.0, 5.0]),
    "multi-label": (TEXTS, [["a"], ["b", "c"], [], ["a", "b"]]),
    "token-classification": ([one.split() for one in TEXTS], [list("abc"), list("ab"), ["c"],
                                                              list("abcab")]),
    "classification": (TEXTS, list("abca")),
}  # fmt: skip


def with_head(layers, task):
    """The random classifier for a task of as many labels, or of tags."""
    made = random_model("classification", num_layers=layers)
    if task is None:
        return made
    model = build(made.config, task)
    weights = get_weights(made.model)
    set_weights(model, {weight.path: weights[weight.path] for weight in model.weights})
    recipe = Recipe.of_task(
        type(task), model="bert_tiny", train="train.tsv", validation="validation.tsv"
    )
    return dataclasses.replace(made, task=task, model=model, recipe=recipe)


def members_of(task):
    if task == "embedding":
        return [random_model("embedding", pooling="mean", num_layers=layers) for layers in (1, 2)]
    tasks = {
        "multi-label": MultiLabel(labels=LABELS),
        "token-classification": TokenClassification(labels=LABELS),
    }
    return [with_head(layers, tasks.get(task)) for layers in (1, 2)]


CASES = [
    (task, precision) for task in ("embedding", "multi-label", "token-classification")
    for precision in ("float32", "dynamic_int8", "int8", "static_int8", "int4")
]  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize(
    ("task", "precision"),
    mostly_slow(CASES, [("multi-label", "int8")]),
)
def test_one_file_gives_what_all_members_do(task, precision):
    """`convert` compares each layer, and the outputs of the probes."""
    made = fuse(members_of(task), data=ROWS[task])
    is_static = PRECISIONS[precision].is_static
    runner = Runner(convert(made, precision, calibration=calibration() if is_static else None))
    found, expected = runner.outputs(TEXTS).scores, made.outputs(TEXTS).scores
    tolerance = {"float32": 1e-4, "int4": 1.0}.get(precision, 0.3)
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_allclose(one, other, atol=tolerance)
    if task == "embedding":
        np.testing.assert_allclose(np.linalg.norm(found, axis=1), 1.0, rtol=1e-3)


@pytest.mark.slow
def test_media_pipe_embeds_by_several_embedders_alone():
    made = fuse(members_of("embedding"), data=ROWS["embedding"])
    file = convert(made, target="mediapipe", embedding=True)
    np.testing.assert_allclose(Runner(file).embed(TEXTS), made.embed(TEXTS), atol=1e-4)
    classes = fuse(members_of("classification"), data=ROWS["classification"])
    with pytest.raises(InputError, match="^Expected one model whose vector is the output, got 2"):
        convert(classes, target="mediapipe", embedding=True)
