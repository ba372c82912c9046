"""Several tasks in one model: training, heads, metrics, checkpoints, and what does not fit."""

import dataclasses
import json

import keras
import numpy as np
import pytest
from keras import ops

import keras_transformer as kt
from keras_transformer.zoo.errors import InputError
from keras_transformer.zoo.models.build import build, get_weights
from keras_transformer.zoo.models.catalog import get_config
from keras_transformer.zoo.models.heads import Head, Heads
from keras_transformer.zoo.tasks.multi_task.learner import MultiTaskLearner
from keras_transformer.zoo.tasks.multi_task.multi_task import MultiTask
from tests.multi_task import (
    OPTIONS,
    first_kind,
    pairs,
    table,
    texts_and,
    trained,
    two_tasks,
    written,
)
from tests.tagging import sentences

ROWS = ["the old ship saw Anna Stone and Lima .", "the ship saw nothing of Paris ."]


def test_one_model_learns_three_tasks():
    found = trained().evaluate(table())
    assert found["kind accuracy"] > 0.85 and found["names f1"] > 0.9
    assert found["named pearson"] > 0.5
    expected = (found["kind accuracy"] + found["names f1"] + found["named pearson"]) / 3
    assert found["mean"] == pytest.approx(expected)
    assert found["rows"] == 40 + 40 + 39


def test_a_head_is_a_model_of_its_task_alone():
    checkpoint = trained()
    assert checkpoint.head_names == ("kind", "names", "named")
    kind, names, named = map(checkpoint.head, checkpoint.head_names)
    assert (kind.task_name, names.task_name, named.task_name) == (
        "classification", "token-classification", "regression"
    )  # fmt: skip
    assert not kind.pair and named.pair
    by_task = checkpoint.evaluate(table())["by_task"]
    for one, name, data in (
        (kind, "kind", texts_and(40, 2, first_kind)), (names, "names", sentences(40, 2)),
        (named, "named", pairs(40, 2)),
    ):  # fmt: skip
        own = one.evaluate(data)
        metric = one.task.metric.name
        assert by_task[name][metric] == own[metric]
        assert one.metrics["validation"] == checkpoint.metrics["validation"]["by_task"][name]
    with pytest.raises(InputError, match=r"a head of the model \(kind, .*\), got 'other'"):
        checkpoint.head("other")
    with pytest.raises(InputError, match="none, it has one task"):
        kind.head("kind")


def test_outputs_of_all_heads_are_those_of_each():
    """The whole model is compared with heads whose weights are copies."""
    checkpoint = trained()
    ids = np.array([[2, 7, 9, 12, 3, 0], [2, 8, 3, 11, 10, 3]], "int32")
    segments = np.array([[0] * 6, [0, 0, 0, 1, 1, 1]], "int32")
    whole = checkpoint.model({"ids": ids, "segment_ids": segments * 0})
    for name in ("kind", "names"):
        own = checkpoint.head(name).model({"ids": ids})
        np.testing.assert_allclose(whole[name], own, atol=1e-5)
    pair = {"ids": ids, "segment_ids": segments}
    np.testing.assert_allclose(
        checkpoint.model(pair)["named"], checkpoint.head("named").model(pair), atol=1e-5
    )


def test_predictions_are_by_task():
    checkpoint = trained()
    found = checkpoint.predict(ROWS)
    assert [set(one) for one in found] == [{"kind", "names"}] * 2
    assert [one["kind"] for one in found] == checkpoint.head("kind").predict(ROWS)
    assert [one["names"] for one in found] == checkpoint.head("names").predict(ROWS)
    [both] = checkpoint.predict(ROWS[:1], ROWS[1:])
    assert both == {"named": checkpoint.head("named").predict(ROWS[:1], ROWS[1:])[0]}
    with pytest.raises(InputError, match="predicts labels, got one of multi-task"):
        checkpoint.outputs(ROWS)


def test_a_checkpoint_is_read_as_it_was_written(tmp_path):
    checkpoint = trained()
    checkpoint.save(tmp_path / "saved")
    read = kt.load(tmp_path / "saved")
    assert read.task == checkpoint.task and read.task.untuned() == checkpoint.task.untuned()
    assert read.metrics == json.loads(json.dumps(checkpoint.metrics))
    one = read.head("kind")
    one.save(tmp_path / "one")
    # A graph that has run other shapes may differ in the last bits.
    expected = checkpoint.head("kind").scores(ROWS)
    for found in (one, kt.load(tmp_path / "one")):
        np.testing.assert_allclose(found.scores(ROWS), expected, atol=1e-5)
    for found, other in zip(read.predict(ROWS), checkpoint.predict(ROWS), strict=True):
        assert found["kind"].label == other["kind"].label
        assert [one[:4] for one in found["names"].spans] == [
            one[:4] for one in other["names"].spans
        ]  # fmt: skip


def test_a_task_json_of_another_form_is_refused():
    value = trained().task.to_json()
    for changed in ({"tasks": 3}, {"tasks": {"a": {}}}, {"tasks": {}}):
        with pytest.raises(InputError):
            MultiTask.from_json({**value, **changed}, ())


@pytest.fixture
def two(tmp_path):
    return written(tmp_path, two_tasks())


@pytest.mark.slow
def test_a_run_from_files_is_resumed_and_repeated(two, tmp_path, monkeypatch):
    """A run that is killed after its first epoch ends with the weights of one that is not."""
    from keras_transformer.zoo.training.fit import Fit

    options = {**OPTIONS, "epochs": 2, "loss_weights": "uncertainty"}
    whole = kt.train("bert_tiny", "multi-task", train=two, out=tmp_path / "whole", **options)
    finish = Fit._finish_epoch

    def killed(fit, *speed):
        finish(fit, *speed)
        raise KeyboardInterrupt

    monkeypatch.setattr(Fit, "_finish_epoch", killed)
    with pytest.raises(KeyboardInterrupt):
        kt.train("bert_tiny", "multi-task", train=two, out=tmp_path / "cut", **options)
    monkeypatch.setattr(Fit, "_finish_epoch", finish)
    cut = kt.train(
        "bert_tiny", "multi-task", train=two, out=tmp_path / "cut", resume=True, **options
    )
    for path, value in get_weights(whole.model).items():
        np.testing.assert_array_equal(get_weights(cut.model)[path], value)
    assert whole.recipe.data.train == whole.recipe.data.validation == str(two)
    # Whoever changes a file that the table names has other data than the recipe's.
    (two.parent / "kind_train.jsonl").write_text('{"text": "a", "label": "PER"}\n' * 40)
    with pytest.raises(InputError, match="to be the training data of the recipe"):
        kt.train(whole.recipe, out=tmp_path / "again")


def test_losses_are_weighted_by_the_table_or_by_uncertainty():
    """A batch's loss is its task's, by hand; others' heads have gradients of zero."""
    heads = {"a": Head(units=2), "b": Head(units=1)}
    config = get_config("bert_tiny").replace(vocab_size=9, dropout=0.0, attention_dropout=0.0)
    model = build(config, Heads(heads=heads))
    task = MultiTask(
        tasks={"a": kt.Classification(labels=["x", "y"]), "b": kt.Regression()},
        loss_weights="uncertainty",
    )
    learner = MultiTaskLearner(model, task, {"a": 3.0}, {})
    learner.compile(loss=task.loss(), optimizer=keras.optimizers.SGD(0.1))
    for name, value in (("a", 0.7), ("b", -0.2)):
        learner.log_variances[name].assign(value)
    x = {"ids": np.array([[2, 5, 3], [2, 6, 3]])}
    logits, numbers = (ops.convert_to_numpy(model(x)[name]) for name in heads)
    targets = np.array([0, 1])
    entropy = np.mean(np.log(np.exp(logits).sum(1)) - logits[np.arange(2), targets])
    square = np.mean((numbers[:, 0] - np.array([1.0, 2.0])) ** 2)
    other = ops.convert_to_numpy(model.get_layer("b_head").kernel).copy()
    found = learner.train_on_batch(x, {"a": targets})
    assert found == pytest.approx(np.exp(-0.7) * 3.0 * entropy + 0.35, rel=1e-5)
    np.testing.assert_array_equal(model.get_layer("b_head").kernel, other)
    model.set_weights(model.get_weights())
    learner2 = MultiTaskLearner(model, dataclasses.replace(task, loss_weights="fixed"), {}, {})
    learner2.compile(loss=task.loss(), optimizer=keras.optimizers.SGD(0.0))
    numbers = ops.convert_to_numpy(model(x)["b"])
    square = np.mean((numbers[:, 0] - np.array([1.0, 2.0])) ** 2)
    found = learner2.train_on_batch(x, {"b": np.array([1.0, 2.0], "float32")})
    assert found == pytest.approx(square, rel=1e-5)


@pytest.mark.slow
def test_a_teacher_shares_in_its_tasks_loss(tmp_path):
    """A student of a teacher alone (share 1) learns the teacher's wrong labels."""
    texts, labels = texts_and(150, 0, first_kind)
    teacher = kt.train(
        "bert_tiny", train=(texts, labels), validation=texts_and(40, 1, first_kind), epochs=6,
        **{**OPTIONS, "vocabulary": _vocabulary(tmp_path)},
    )  # fmt: skip
    teacher.save(tmp_path / "teacher")
    made = {name: entry for name, entry in table().items() if name != "named"}
    swapped = {"LOC": "PER", "PER": "LOC"}
    made["kind"] |= {
        "train": (texts, [swapped[label] for label in labels]), "share": 1.0,
        "teacher": str(tmp_path / "teacher"), "temperature": 1.0,
    }  # fmt: skip
    student = kt.train(
        "bert_tiny", made, epochs=8, **{**OPTIONS, "vocabulary": _vocabulary(tmp_path)}
    )
    assert student.head("kind").evaluate(texts_and(40, 2, first_kind))["accuracy"] > 0.7
    made["kind"]["teacher"] = str(tmp_path / "teacher")
    with pytest.raises(InputError, match="the teacher of kind to have the model's vocabulary"):
        kt.train("bert_tiny", made, epochs=1, **OPTIONS)


def _vocabulary(folder):
    path = folder / "vocab.txt"
    if not path.exists():
        words = sorted({word for row in sentences(150, 0)[0] for word in row})
        special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
        letters = sorted({letter for word in words for letter in word.lower()})
        pieces = [*special, *sorted({*map(str.lower, words), *letters})]
        path.write_text("\n".join(pieces) + "\n", encoding="utf-8")
    return str(path)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"sampling_power": 2.0}, "sampling_power to be from 0 to 1, got sampling_power=2.0"),
        ({"loss_weights": "guessed"}, "loss_weights to be one of fixed, uncertainty"),
    ],
)
def test_an_impossible_option_is_named(changes, words):
    with pytest.raises(InputError, match=words):
        kt.train("bert_tiny", table(), epochs=1, **{**OPTIONS, **changes})


def test_tables_of_other_tasks_do_not_fit_a_model():
    made = table()
    del made["kind"]
    with pytest.raises(InputError, match="the tasks kind, names, named of the model"):
        trained().evaluate(made)
    made = table()
    made["kind"]["task"] = "regression"
    with pytest.raises(InputError, match="kind to be classification as the model learned it"):
        trained().evaluate(made)
    made = table()
    del made["kind"]["test"]
    with pytest.raises(InputError, match="Expected test of kind in .* got none"):
        trained().evaluate(made)


def test_several_tasks_name_their_own_data():
    with pytest.raises(TypeError, match="no train beside several tasks"):
        kt.train("bert_tiny", table(), train=[("a", "b")], epochs=1)
