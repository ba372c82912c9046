"""Runs whose validation data leave a metric undefined: it is said, and another one decides."""

import numpy as np
import pytest

from keras_transformer.edge.choose.candidates import Candidate
from keras_transformer.edge.choose.search import search
from keras_transformer.edge.choose.sensitivity import sensitivity
from keras_transformer.edge.compare.compare import compare
from keras_transformer.edge.quantize.qat import quantize
from keras_transformer.edge.targets.convert import convert
from keras_transformer.zoo.models.build import build
from keras_transformer.zoo.training.chosen.configs import config_of
from keras_transformer.zoo.training.fit import Fit
from keras_transformer.zoo.training.run_data import deciding, learn_run_data, training_batches
from keras_transformer.zoo.training.train_recipe import train_recipe
from tests.zoo import tiny

UNDEFINED = "{path}: Pearson and spearman are not defined: all targets are 2"
SENTENCE = f"{UNDEFINED}; mean_squared_error decides."


@pytest.fixture(scope="module")
def constant(tables, tmp_path_factory):
    """A validation table of one number, and a run that it validates, with what was reported."""
    path = tmp_path_factory.mktemp("constant") / "validation.tsv"
    header, *rows = (tables / "validation.tsv").read_text(encoding="utf-8").splitlines()
    rows = [row.rpartition("\t")[0] + "\t2" for row in rows]
    path.write_text("\n".join([header, *rows]) + "\n", encoding="utf-8")
    recipe = tiny.recipe(
        tables, task="regression", label="number", validation=str(path), epochs=5,
        learning_rate=0.02,
    )  # fmt: skip
    heard = tiny.Heard()
    return path, train_recipe(recipe, report=heard), heard


def test_another_metric_decides_where_all_targets_are_one_number(constant):
    path, trained, heard = constant
    assert heard.notes == [f"{UNDEFINED}.".format(path=path)]
    errors = [metrics["mean_squared_error"] for _, _, metrics, _ in heard.epochs]
    best = [is_best for *_, is_best in heard.epochs]
    assert best == [error == min(errors[: place + 1]) for place, error in enumerate(errors)]
    assert trained.metrics["validation"]["mean_squared_error"] == min(errors)
    assert trained.metrics["validation"]["pearson"] is None
    assert "pearson" not in repr(trained)


@pytest.mark.slow
def test_later_runs_and_choices_go_by_it_too(constant, tmp_path):
    path, trained, _ = constant
    heard = tiny.Heard()
    quantized = quantize(trained, epochs=1, report=heard)
    assert heard.notes[0] == f"{UNDEFINED}.".format(path=path)
    assert quantized.metrics["validation"]["pearson"] is None
    [one] = compare(trained, bytes(convert(trained, "float32")), path)
    assert one.metric == "mean_squared_error"
    assert one.value == pytest.approx(trained.metrics["validation"]["mean_squared_error"], rel=1e-3)
    heard = tiny.Heard()
    found = search(
        trained, path, tmp_path / "out", runs=2, candidates=[Candidate(precision="float32")],
        report=heard,
    )  # fmt: skip
    assert (found.metric.name, heard.notes[0]) == ("mean_squared_error", SENTENCE.format(path=path))
    found = sensitivity(trained, path)
    assert found.metric.name == "mean_squared_error" and np.isfinite(found.value)


def test_the_error_decides_between_epochs_of_a_regression(tables):
    """A correlation does not see that all predictions are off by a factor or a constant."""
    recipe = tiny.recipe(tables, task="regression", label="number", epochs=3)
    heard = tiny.Heard()
    data = learn_run_data(recipe, config_of(recipe))
    targets = data.validation.targets
    outputs = iter([targets + np.arange(len(targets)) % 2, 100 + 50 * targets, targets + 0.1])
    model = build(config_of(recipe).replace(**data.vocab_sizes), data.task)
    run = Fit(
        model, data.task, recipe, training_batches(data, recipe),
        lambda _: data.task.metrics(targets, next(outputs)[:, None]), report=heard,
        metric=deciding(data, heard),
    )  # fmt: skip
    run.train_step = lambda inputs, targets: 0.5
    best = run.run()
    errors = [metrics["mean_squared_error"] for _, _, metrics, _ in heard.epochs]
    assert [metrics["pearson"] > 0.999 for _, _, metrics, _ in heard.epochs] == [False, True, True]
    assert errors[2] < errors[0] < errors[1]
    assert [is_best for *_, is_best in heard.epochs] == [True, False, True]
    assert best["mean_squared_error"] == pytest.approx(0.01, rel=1e-4)


@pytest.mark.slow
def test_a_class_that_validation_lacks_is_said(tables, tmp_path):
    path = tmp_path / "validation.tsv"
    header, *rows = (tables / "validation.tsv").read_text(encoding="utf-8").splitlines()
    rows = [row for row in rows if row.split("\t")[1] == "fruit"]
    path.write_text("\n".join([header, *rows]) + "\n", encoding="utf-8")
    heard = tiny.Heard()
    trained = train_recipe(tiny.recipe(tables, validation=str(path), epochs=1), report=heard)
    assert heard.notes == [
        f"{path}: Matthews is not defined: all rows have the label 'fruit'.",
        f"{path}: Recall is not defined: no row has the label 'métal'.",
    ]
    assert trained.metrics["validation"]["matthews"] is None
