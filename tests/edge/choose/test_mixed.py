"""The Python function of mixed precision: what it returns, what is known of it, what it refuses."""

import dataclasses

import pytest

from keras_transformer.edge.choose import mixed as module
from keras_transformer.edge.choose.mixed import Mixed, mixed
from keras_transformer.edge.choose.sensitivity import GroupCost, Kept, Sensitivity
from keras_transformer.edge.compare.layer_groups import Group
from keras_transformer.edge.precision import get_precision
from keras_transformer.edge.runtime.runner import Runner
from keras_transformer.edge.targets.convert import check_host, open_writer
from keras_transformer.zoo.errors import InputError, RunError
from keras_transformer.zoo.progress import Report
from keras_transformer.zoo.tasks.classification import Classification
from tests.edge.models import random_model, with_outliers

TEXTS = [f"w{i} w{i + 1} w{i + 2}" for i in range(33)]
HEAD = Group(name="head", patterns=("head",))


def found(*groups, drop=0.25, max_drop=0.5):
    kept = Kept(groups=groups, value=0.9, drop=drop, max_drop=max_drop)
    return Sensitivity(
        precision="int8", data="folder/dev.tsv", metric=Classification.metric, float_value=0.9,
        value=0.7, drop=20.0, costs=[GroupCost(group=HEAD, value=0.8, drop=10.0)], kept=kept,
    )  # fmt: skip


def made(*groups, **known):
    known = {"value": None, "drop": None, **known}
    return Mixed(artifact=None, found=found(*groups), **known)


def test_what_is_known_is_said():
    assert made(HEAD, drop=0.125, latency_ratio=1.234, size_ratio=1.5).rows() == {
        "kept in float": "head",
        "points of accuracy lost": "0.12 of at most 0.5 on dev.tsv",
        "against int8 with nothing kept": "1.23 times the latency, 1.50 times the size",
    }
    # A host that is not here, and a file that is refused.
    assert made(HEAD, size_ratio=1.5).rows() == {
        "kept in float": "head",
        "points of accuracy lost": "0.25 of at most 0.5 on dev.tsv, in the simulation",
        "against int8 with nothing kept": "1.50 times the size",
    }
    refused = made(HEAD, drop=0.125, refused="It differs.").rows()
    assert refused["against int8 with nothing kept"] == "a refused file"
    assert made(drop=0.125).rows() == {
        "kept in float": "nothing", "points of accuracy lost": "0.12 of at most 0.5 on dev.tsv",
    }  # fmt: skip


class Made:
    """An artifact by its size alone."""

    size = 300


def test_a_refused_file_is_none_to_compare_with():
    def make():
        raise RunError("The file differs in 12.0%.")

    compared = module._compared(made(HEAD), make)
    assert (compared.refused, compared.size_ratio) == ("The file differs in 12.0%.", None)


def test_a_file_that_no_runner_opens_is_compared_by_its_size():
    smaller = Made()
    smaller.size = 200
    compared = module._compared(dataclasses.replace(made(HEAD), artifact=Made()), lambda: smaller)
    assert (compared.size_ratio, compared.latency_ratio) == (1.5, None)


@pytest.mark.parametrize(
    ("value", "sentence"),
    [
        (0.893, "loses 0.70 points of at most 0.5, its simulation 0.25; try a budget of 0.05, or"),
        (0.892, "loses 0.80 points of at most 0.5, its simulation 0.25; give a larger budget, or"),
    ],
)
def test_a_file_beyond_the_budget_of_its_simulation(value, sentence):
    with pytest.raises(RunError, match=f"^The file with head in float {sentence}"):
        module._within(made(HEAD), value)


def test_a_file_within_the_budget():
    within = module._within(made(HEAD), 0.896)
    assert (within.value, within.drop) == (0.896, pytest.approx(0.4))


def test_a_budget_that_no_choice_meets(monkeypatch):
    nearest = found(HEAD, drop=0.75)
    monkeypatch.setattr(module, "sensitivity", lambda *_, **__: nearest)
    # Nothing is converted, which would need rows that differ.
    with pytest.raises(RunError, match="^No choice met 0.5 points: the nearest, head in fl"):
        mixed(random_model(), (TEXTS, ["a"] * 33), calibration=(["w1"] * 33,))


def test_a_quantized_checkpoint():
    quantized = dataclasses.replace(random_model(), bits=get_precision("int8").bits)
    with pytest.raises(InputError, match="^Expected a float checkpoint for mixed precision, got a"):
        mixed(quantized, (TEXTS, ["a"] * 33), calibration=(TEXTS,))


def test_an_embedder_without_scores():
    embedder = random_model("embedding", pooling="mean", pooler="none")
    with pytest.raises(InputError, match="^data: there is no column 'text_pair'; the columns are"):
        mixed(embedder, (TEXTS,), columns={"text": "text"}, calibration=(TEXTS,))
    columns = {"text": "text", "text_pair": None, "label": None}
    with pytest.raises(InputError, match="^data: expected a column of second texts to evaluate on"):
        mixed(embedder, (TEXTS,), columns=columns, calibration=(TEXTS,))


def test_a_host_that_runs_no_int8():
    writer = open_writer("saved_model")
    sentence = "which are float32; got precision="
    with pytest.raises(InputError, match=f"{sentence}int8.$"):
        check_host(writer, random_model(), get_precision("int8"))
    with pytest.raises(InputError, match=f"{sentence}mixed.$"):
        mixed(random_model(), (TEXTS, ["a"] * 33), calibration=(TEXTS,), target="saved_model")


class Heard(Report):
    """Keeps the notes."""

    def __init__(self):
        self.notes = []

    def note(self, text):
        self.notes.append(text)


@pytest.mark.slow
def test_a_trained_classifier_within_its_budget(runs):
    rows, heard = runs.folder / "validation.tsv", Heard()
    result = mixed(
        with_outliers(runs.trained), rows, calibration=runs.folder / "train.tsv", max_drop=2.0,
        report=heard,
    )  # fmt: skip
    names = [group.name for group in result.found.kept.groups]
    assert names and all(name.endswith("/attention") for name in names)
    runner = Runner(result.artifact)
    assert runner.description["keep"] == sorted(f"{name}/*" for name in names)
    lost = 100 * (result.found.float_value - runs.value_of(runner))
    assert result.drop == pytest.approx(lost) and lost <= 2.0
    assert result.found.verdict() in heard.notes
    assert result.artifact.measured["kept in float"] == ", ".join(names)
    assert result.refused or result.size_ratio > 1
