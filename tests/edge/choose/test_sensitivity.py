import dataclasses
import itertools
import json

import numpy as np
import pytest

from keras_transformer.edge.choose.sensitivity import (
    GroupCost,
    Kept,
    Sensitivity,
    fewest_kept,
    sensitivity,
    sensitivity_figure,
)
from keras_transformer.edge.choose.simulation import Simulation
from keras_transformer.edge.compare.layer_groups import BETWEEN, Group
from keras_transformer.edge.quantize.qat import quantized_model
from keras_transformer.edge.quantize.ranges import calibration_batches
from keras_transformer.zoo.errors import InputError
from keras_transformer.zoo.progress import Report
from keras_transformer.zoo.tasks.classification import Classification
from tests.edge.models import with_outliers

COLUMNS = {"text": "text", "text_pair": None, "label": "label"}


def group(name):
    return Group(name=name, patterns=(f"{name}/*",))


def additive(drops, max_drop):
    """What `fewest_kept` takes, where the drops of what is quantized add up."""
    groups = {name: group(name) for name in drops}

    def measure(chosen):
        names = {one.name for one in chosen}
        drop = sum(value for name, value in drops.items() if name not in names)
        return Kept(groups=tuple(chosen), value=1 - drop / 100, drop=drop, max_drop=max_drop)

    costs = [GroupCost(group=groups[n], value=1 - d / 100, drop=d) for n, d in drops.items()]
    return measure, measure(()), costs, Report()


@pytest.mark.parametrize("seed", range(20))
def test_as_few_are_kept_as_brute_force_needs(seed):
    rng = np.random.default_rng(seed)
    drops = {f"g{i}": float(value) for i, value in enumerate(rng.integers(0, 64, 6) / 8)}
    max_drop = float(rng.integers(1, 100)) / 8
    arguments = additive(drops, max_drop)
    found = fewest_kept(*arguments)
    counts = [
        len(chosen)
        for count in range(6)
        for chosen in itertools.combinations(drops, count)
        if sum(drops.values()) - sum(drops[name] for name in chosen) <= max_drop
    ]
    assert found.is_met == bool(counts)
    if counts:
        assert len(found.groups) == min(counts)


def test_what_others_made_needless_is_quantized_again():
    """B and c cost most by themselves, but what counts is that a is float."""
    a, b, c = map(group, "abc")
    measured = []

    def measure(chosen):
        measured.append("".join(one.name for one in chosen))
        drop = 0.0 if a in chosen else 9.0
        return Kept(groups=tuple(chosen), value=1.0, drop=drop, max_drop=1.0)

    rest = group(BETWEEN), group("d")
    costs = [
        GroupCost(group=one, value=1.0, drop=drop)
        for one, drop in zip((*rest, a, b, c), (9, 0, 1, 2, 3), strict=True)
    ]
    found = fewest_kept(measure, measure(()), costs, Report())
    assert found.groups == (a,)
    assert measured == ["", "c", "cb", "cba", "ca", "a"]


def test_an_unreachable_budget_gives_the_nearest():
    found = fewest_kept(*additive({"a": 1.0, "b": 2.0, BETWEEN: 5.0}, 0.5))
    # What is between is always quantized, and one other group too.
    assert ([one.name for one in found.groups], found.drop) == (["b"], 6.0)
    assert not found.is_met


def result(kept):
    costs = [GroupCost(group=one, value=0.8, drop=10.0) for one in map(group, "ab")]
    return Sensitivity(
        precision="int8", data="dev.tsv", metric=Classification.metric, float_value=0.9,
        value=0.7, drop=20.0, costs=costs, kept=kept,
    )  # fmt: skip


def test_verdicts():
    def kept(names, drop):
        return Kept(groups=tuple(map(group, names)), value=0.9, drop=drop, max_drop=0.5)

    assert result(kept("", 0.25)).verdict() == (
        "All of it can be int8: 0.25 points of at most 0.5 points are lost."
    )
    assert result(kept("ab", 0.25)).verdict() == (
        "With a, b in float 0.25 points of at most 0.5 points are lost: "
        '--keep "a/*=float32" --keep "b/*=float32"'
    )
    assert result(kept("a", 0.75)).verdict() == (
        "No choice met 0.5 points: the nearest, a in float, loses 0.75 points; train the "
        "checkpoint on with keras-transformer quantize."
    )
    assert result(kept("", 0.75)).verdict().startswith(
        "No choice met 0.5 points: the nearest, nothing in float, loses 0.75 points"
    )


@pytest.mark.parametrize(("kind", "start"), [("png", b"\x89PNG"), ("svg", b"<?xml")])
def test_the_figure(kind, start):
    assert sensitivity_figure(result(None), kind).startswith(start)


@pytest.mark.slow
def test_nothing_kept_is_the_quantized_model_and_everything_kept_the_float_one(runs):
    batches = calibration_batches(runs.trained, runs.trained.recipe.data.train)

    def scores(predictor):
        return {"accuracy": predictor.scores(runs.examples.texts).sum()}

    simulation = Simulation(runs.trained, "int8", batches, scores, Classification.metric)
    model = quantized_model(runs.trained, batches, "int8")
    texts = runs.examples.texts
    expected = dataclasses.replace(runs.trained, model=model).scores(texts).sum()
    in_float = runs.trained.scores(texts).sum()
    # The same graph is compiled twice.
    assert simulation.value(()) == pytest.approx(expected, rel=1e-5)
    assert simulation.calibrated_value(()) == pytest.approx(expected, rel=1e-5)
    assert simulation.value(simulation.groups) == pytest.approx(in_float, rel=1e-5)
    assert simulation.float_value() == pytest.approx(in_float, rel=1e-5)
    [head] = [one for one in simulation.groups if one.name == "head"]
    values = {simulation.value([head]), simulation.value(()), in_float}
    assert len(values) == 3


@pytest.mark.slow
def test_the_layers_that_cost_accuracy_are_found_and_kept(runs):
    found = sensitivity(
        with_outliers(runs.trained), runs.folder / "validation.tsv", columns=COLUMNS, max_drop=2.0
    )
    in_float = runs.trained.task.evaluate(runs.trained, runs.examples)["accuracy"]
    assert found.float_value == pytest.approx(in_float, abs=1 / 90)
    assert found.drop > 20
    names = [cost.group.name for cost in found.costs]
    assert (names[0], names[-1], len(names)) == ("embedding", "output", 7)
    for cost in found.costs:
        assert cost.drop == pytest.approx(100 * (found.float_value - cost.value))
        assert cost.drop < 5 or cost.group.name.endswith("/attention")
    assert found.kept.is_met
    assert all(group.name.endswith("/attention") for group in found.kept.groups)
    assert '--keep "encoder/block_' in found.verdict()
    assert json.loads(json.dumps(found.to_json()))["kept"]["is_met"]


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ({"max_drop": -1.0}, "Expected max_drop to be 0 or more points, got max_drop=-1.0."),
        (
            {"precision": "float16"},
            "Expected a precision that rounds kernels, got precision='float16'.",
        ),
    ],
)
def test_bad_values(runs, arguments, sentence):
    with pytest.raises(InputError) as caught:
        sensitivity(runs.trained, runs.folder / "validation.tsv", columns=COLUMNS, **arguments)
    assert str(caught.value) == sentence
    with pytest.raises(InputError) as caught:
        sensitivity(runs.quantized, runs.folder / "validation.tsv", columns=COLUMNS)
    assert str(caught.value) == "Expected a float checkpoint, got a quantized one."
