"""A model that answers questions: its data, training, answers and evaluation."""

import json
import re

import keras
import numpy as np
import pytest

import keras_transformer as kt
from keras_transformer.zoo.answering.windows import BEGINS, ENDS, MAY_BEGIN, MAY_END
from keras_transformer.zoo.checkpoint import Checkpoint
from keras_transformer.zoo.errors import InputError
from keras_transformer.zoo.tasks.answering.question_answering import QuestionAnswering
from keras_transformer.zoo.tasks.registry import task_from_json
from tests.answering import SETTINGS, questions, trained
from tests.zoo.tiny import Heard

TASK = QuestionAnswering()
CONTEXT = "Ada lived in London."
LINES = [
    {"question": "Where?", "context": CONTEXT,
     "answers": {"text": ["London", "in London"], "answer_start": [13, 10]}},
    {"question": "When?", "context": CONTEXT, "answers": {"text": [], "answer_start": []}},
]  # fmt: skip
SQUAD = {"version": "v2.0", "data": [{"title": "Ada", "paragraphs": [{"context": CONTEXT, "qas": [
    {"id": "1", "question": "Where?",
     "answers": [{"text": "London", "answer_start": 13},
                 {"text": "in London", "answer_start": 10}]},
    {"id": "2", "question": "When?", "answers": [], "is_impossible": True,
     "plausible_answers": [{"text": "Ada", "answer_start": 0}]},
]}]}]}  # fmt: skip


@pytest.fixture
def write(tmp_path):
    def write(value, name="a.json"):
        path = tmp_path / name
        text = value
        if not isinstance(value, str):
            lines = value if name.endswith("l") else [value]
            text = "".join(f"{json.dumps(one)}\n" for one in lines)
        path.write_text(text, encoding="utf-8")
        return path

    return write


def test_one_set_of_questions_from_everywhere(write):
    columns = tuple([one[key] for one in LINES] for key in ("question", "context", "answers"))
    renamed = {"text": "q", "text_pair": "c", "label": "a"}
    for examples in (
        TASK.read(write(SQUAD)), TASK.read(write(LINES, "a.jsonl")), TASK.read(LINES),
        TASK.read(columns),
        TASK.read(dict(zip("qca", columns, strict=True)), renamed),
    ):  # fmt: skip
        assert examples.questions == ["Where?", "When?"]
        assert [one.text for one in examples.contexts] == [CONTEXT] * 2
        assert examples.targets == [[("London", 13), ("in London", 10)], []]
        assert len(examples.take([1])) == 1
        assert list(examples.rows())[0] == ("Where?", CONTEXT, "London", 13, "in London", 10)
    unlabelled = TASK.read(write(LINES, "b.jsonl"), labelled=False)
    assert unlabelled.targets is None and len(unlabelled) == 2


def changed(**changes):
    return [{**LINES[0], **changes}]


@pytest.mark.parametrize(
    ("value", "name", "said"),
    [
        (changed(answers=[{"text": "Paris", "answer_start": 13}]), "a.jsonl",
         "line 1: expected an answer that stands in its context, got 'Paris' at "
         "answer_start=13."),
        (changed(answers=[{"text": "London", "answer_start": "13"}]), "a.jsonl",
         "answer_start='13'"),
        (changed(answers={"text": ["London"], "answer_start": []}), "a.jsonl",
         "line 1: expected answers with as many text as answer_start"),
        (changed(answers="London"), "a.jsonl", "line 1: expected a list of answers, got 'London'."),
        (changed(question=" "), "a.jsonl", "line 1: expected a question of some words, got ' '."),
        (changed(context=3), "a.jsonl", "line 1: expected a context of some words, got 3."),
        ([{"question": "a", "context": "b"}], "a.jsonl", "line 1: expected the key 'answers'"),
        ({"data": [{"paragraphs": [{"context": "b", "qas": [{"id": "7", "question": "a",
                                                             "answers": 3}]}]}]},
         "a.json", "question '7': expected a list of answers, got 3."),
        ({"x": 3}, "a.json", "a.json: expected SQuAD's form, an object with a list of 'data'."),
        ({"data": [{"paragraphs": []}, []]}, "a.json", "a.json, data[1]: expected SQuAD's form"),
        (
            {"data": [{"paragraphs": [{"context": "a", "qas": [3]}]}]}, "a.json",
            "data[0], paragraphs[0], qas[0]: expected an object of a question, got 3.",
        ),
        ({"data": []}, "a.json", "expected at least one question, got none."),
        ("{", "a.json", "bad JSON"), ("", "a.jsonl", "expected at least one question, got none."),
        ("a\n", "a.csv", "expected a name that ends in .json or .jsonl"),
    ],
)  # fmt: skip
def test_bad_data(write, value, name, said):
    path = write(value, name)
    with pytest.raises(InputError, match=re.escape(said)) as error:
        TASK.read(path)
    assert str(error.value).startswith(str(path))


def test_it_answers_or_says_that_there_is_no_answer():
    checkpoint = trained()
    assert checkpoint.metrics["validation"]["f1"] > 0.95
    answer = checkpoint.answer("where ?", "Anna saw Bob in  Oslo, Carla")
    assert (answer.text, answer.start, answer.end) == ("Oslo", 17, 21)
    nothing = checkpoint.answer("where ?", "Anna Bob Carla Dora")
    assert (nothing.text, nothing.start, nothing.end) == ("", None, None)
    assert 0 < nothing.score < 1 and not nothing.truncated
    both = checkpoint.predict(["where ?"] * 2, ["Emil Lima Bob", "Rome Anna"])
    assert [one.text for one in both] == ["Lima", "Rome"]
    with pytest.raises(InputError, match="Expected pairs of texts"):
        checkpoint.predict(["where ?"])


def test_an_answer_far_behind_the_models_length_is_found():
    checkpoint = trained()
    context = "Anna Bob Carla Dora " * 20 + "Lima " + "Emil " * 30
    answer = checkpoint.answer("where ?", context)
    assert (answer.text, answer.start) == ("Lima", context.index("Lima"))


def test_evaluation_uses_the_stored_threshold(tmp_path):
    checkpoint, rows = trained(), questions(50, 1, unanswerable=0.3)
    validation = checkpoint.metrics["validation"]
    assert checkpoint.null_threshold == validation["null_threshold"]
    found = checkpoint.evaluate(rows)
    names = ("f1", "exact_match", "unanswerable_f1")
    assert [found[name] for name in names] == [validation[name] for name in names]
    checkpoint.save(tmp_path / "out")
    loaded = Checkpoint.load(tmp_path / "out")
    assert loaded.null_threshold == checkpoint.null_threshold and loaded.task == TASK
    loaded.metrics["validation"]["null_threshold"] = -1e9
    assert loaded.evaluate(rows)["unanswerable_f1"] == 1.0
    assert loaded.answer("where ?", "Rome Anna").text == ""
    loaded.metrics["validation"]["null_threshold"] = "x"
    with pytest.raises(InputError, match="null_threshold to be a number, got 'x'"):
        loaded.answer("where ?", "Rome Anna")


def test_the_loss_is_that_of_open_positions():
    rng = np.random.default_rng(0)
    logits = rng.normal(size=(2, 5, 2)).astype("float32")
    codes = np.array([
        [MAY_BEGIN | MAY_END, 0, MAY_BEGIN | BEGINS, MAY_END | ENDS, MAY_BEGIN | MAY_END],
        [MAY_BEGIN | MAY_END | BEGINS | ENDS, 0, MAY_BEGIN | MAY_END, -1, -1],
    ])  # fmt: skip
    expected = []
    for row, rights in ((0, (2, 3)), (1, (0, 0))):
        for end, bit in ((0, MAY_BEGIN), (1, MAY_END)):
            places = [i for i, code in enumerate(codes[row]) if code >= 0 and code & bit]
            shares = np.exp(logits[row, places, end])
            expected.append(-np.log(np.exp(logits[row, rights[end], end]) / shares.sum()))
    assert float(TASK.loss()(codes, logits)) == pytest.approx(np.mean(expected), rel=1e-5)
    assert float(TASK.output_difference(codes, logits, logits, 2.0)) == pytest.approx(0, abs=1e-6)
    closed = logits.copy()
    closed[1, 3:] += 50.0
    assert float(TASK.output_difference(codes, logits, closed, 2.0)) == pytest.approx(0, abs=1e-6)
    other = logits + rng.normal(size=logits.shape).astype("float32")
    assert float(TASK.output_difference(codes, logits, other, 2.0)) > 0.01
    with pytest.raises(InputError, match="label_smoothing to be 0"):
        TASK.loss(0.1)
    assert keras.saving.deserialize_keras_object(
        keras.saving.serialize_keras_object(TASK.loss())
    )  # fmt: skip


def test_targets_of_training_rows():
    rows = TASK.read([{"question": "where ?", "context": "Anna Oslo, Bob",
                       "answers": [{"text": "Oslo", "answer_start": 5}]}])  # fmt: skip
    heard = Heard()
    data = TASK.run_data(rows, rows, trained().modality)
    data.report_cuts(heard)
    assert heard.notes == []
    [batch] = data.batches(batch_tokens=64, bucket=4, seed=0).epoch(0)
    [begin], [end] = (np.flatnonzero(batch.targets[0] & bit * (batch.targets[0] >= 0))
                      for bit in (BEGINS, ENDS))  # fmt: skip
    ids = batch.inputs["ids"][0]
    assert ids[begin : end + 1].tolist() == trained().tokenizer.model.ids("Oslo")
    assert batch.inputs["segment_ids"][0, begin] == 1


def test_contexts_of_which_nothing_is_read_are_an_error():
    odd = TASK.read([{"question": "where ?", "context": "\u00ad", "answers": []}], name="odd")
    data = TASK.run_data(odd, odd, trained().modality)
    with pytest.raises(InputError, match="^odd: expected a word that the tokenizer reads, got"):
        data.batches(batch_tokens=64, bucket=4, seed=0)


def test_the_task_is_read_back_from_json():
    value = TASK.to_json()
    assert value == {"name": "question-answering", "pair": True}
    assert task_from_json(value, ()) == TASK
    with pytest.raises(InputError, match="Expected pairs of texts"):
        QuestionAnswering(pair=False)


@pytest.mark.slow
@pytest.mark.parametrize(
    "of",
    [
        lambda checkpoint: kt.quantize(checkpoint, epochs=1),
        lambda checkpoint: kt.prune(checkpoint, heads=2, epochs=2),
        lambda checkpoint: kt.distill(checkpoint, checkpoint, epochs=1),
    ],
    ids=["int8", "pruned", "distilled"],
)
def test_what_goes_on_from_it_stays_as_good(of):
    assert of(trained()).metrics["validation"]["f1"] > 0.8


def test_scores_are_those_of_rows_alone():
    with pytest.raises(InputError, match="got one of question-answering; predict gives its ans"):
        trained().scores(["where ?"], ["Oslo"])


def test_a_stride_belongs_to_the_model():
    value = QuestionAnswering(stride=7).to_json()
    assert value == {**TASK.to_json(), "stride": 7} and task_from_json(value, ()).stride == 7
    assert QuestionAnswering(stride=7).options() == {"stride": 7} and TASK.options() == {}
    with pytest.raises(InputError, match="^Expected stride to be a number .* got stride=-1.$"):
        task_from_json({**value, "stride": -1}, ())
    with pytest.raises(InputError, match="^Expected no stride for classification, got stride=7.$"):
        kt.train("bert_tiny", train=(["a", "b"], [0, 1]), validation=0.5, stride=7)
    given = {"train": questions(20, 0), "validation": questions(9, 1), "settings": SETTINGS,
             "max_length": 16, "vocab_size": 60, "report": kt.Report()}  # fmt: skip
    made = kt.train("bert_tiny", "question-answering", **given, stride=5, epochs=1)
    assert (made.stride, made.task.stride, made.recipe.data.stride) == (5, 5, 5)
    with pytest.raises(InputError, match="^Expected stride to be below 7, .* got stride=7.$"):
        kt.train("bert_tiny", "question-answering", **given, stride=7)
