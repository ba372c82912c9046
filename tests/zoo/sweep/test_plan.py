"""What a sweep refuses before any training, and what its trials may vary."""

import pytest

import keras_transformer as kt
from keras_transformer.zoo.errors import InputError
from keras_transformer.zoo.sweep.grid import combinations
from keras_transformer.zoo.sweep.plan import identity, plan
from tests.zoo import tiny
from tests.zoo.sweep.test_sweep import RUN


@pytest.fixture(scope="module")
def given(tables):
    return {"train": tables / "train.tsv", "validation": tables / "validation.tsv", **RUN}


@pytest.mark.parametrize(
    ("vary", "more", "sentence"),
    [
        ({"learnin_rate": [1]}, {}, "among model, .*learning_rate.*got 'learnin_rate'"),
        ({"train": ["a.tsv"]}, {}, "either one value of train or several"),
        ({"digest": ["a"]}, {}, "got 'digest'"),
        ({"epochs": [1, 2]}, {}, "either one value of epochs or several"),
        ({"hidden_dim": [8, 16]}, {}, "either one value of hidden_dim or several"),
        ({"learning_rate": [0.1, -1]}, {}, "learning_rate to be above 0, got learning_rate=-1"),
        ({"learning_rate": [0.1, "x"]}, {}, "learning_rate to be a number, got .*'x'"),
        ({"pooling": ["mean", "median"]}, {}, "median"),
        ({"model": ["bert_tiny"]}, {}, "either one value of model or several"),
        ({"source": ["a"]}, {}, "columns of the task .*source='a'"),
        ({"seed": [1]}, {"seed": None, "trials": 2}, "trials to be from 1 to 1"),
        ({"lora": [0, 2]}, {}, "lora to be 0 where a model is trained from nothing, got lora=2"),
    ],
)
def test_mistakes_are_found_before_any_training(vary, more, sentence, given, tmp_path):
    given = {name: one for name, one in {**given, **more}.items() if one is not None}
    report = tiny.Heard()
    with pytest.raises(InputError, match=sentence):
        kt.sweep("bert_tiny", vary=vary, out=tmp_path / "sweep", report=report, **given)
    assert report.starts == []
    assert list(tmp_path.iterdir()) == []


def test_losses_over_other_tokens_do_not_compare(tmp_path):
    text = tmp_path / "a.txt"
    text.write_text("rain and wind\n" * 30)
    with pytest.raises(InputError, match=r"losses compare.*got vocab_size to vary"):
        kt.sweep(
            "gpt_nano", "language-modeling", train=text, validation=text, out=tmp_path / "sweep",
            vary={"vocab_size": [50, 60]},
        )  # fmt: skip


@pytest.mark.parametrize(
    ("model", "task", "columns", "vary"),
    [
        ("bert_tiny", "similarity", {"text": "text", "text_pair": "second", "label": "number"},
         {"learning_rate": [0.1, 0.2]}),
        ("bert_tiny", "token-classification", {"text": "1", "label": "2"}, {"lowercase": [True]}),
        ("bert_tiny", "regression", {"text": "text", "label": "number"}, {"vocab_size": [9, 10]}),
        ("transformer_tiny", "translation", {"source": "text", "target": "second"},
         {"label_smoothing": [0, 0.1]}),
        (None, "classification", {"text": "text"}, {"model": ["bert_tiny", "bert_mini"]}),
    ],
)  # fmt: skip
def test_what_other_tasks_may_vary(model, task, columns, vary, tables):
    run = {"model": model, "task": task, "train": tables / "train.tsv", **columns}
    wanted = combinations(vary)
    recipe = plan({**run, "validation": tables / "validation.tsv"}, wanted)
    assert recipe.task == ("embedding" if task == "similarity" else task)
    found = identity(recipe, run, vary)
    assert {**found["model"], **found["data"], **found["optimizer"]}.keys().isdisjoint(vary)


def test_objectives_of_different_metrics_do_not_compare(tables):
    run = {"model": "bert_tiny", "task": "similarity", "train": tables / "train.tsv",
           "validation": tables / "validation.tsv", "text_pair": "second"}  # fmt: skip
    with pytest.raises(InputError, match="one metric .* for objective"):
        plan(run, combinations({"objective": ["scores", "ranking"]}))
