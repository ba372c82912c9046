"""A model that tags words: its training, predictions, evaluation and successors."""

import re

import numpy as np
import pytest

import keras_transformer as kt
from keras_transformer.zoo.checkpoint import Checkpoint
from keras_transformer.zoo.data.batches import NO_TARGET
from keras_transformer.zoo.errors import InputError, RunError
from keras_transformer.zoo.models.build import get_weights
from keras_transformer.zoo.models.heads import Head
from keras_transformer.zoo.pretrained.load import load_pretrained
from keras_transformer.zoo.tagging.decoding import tag_predictions
from keras_transformer.zoo.tagging.windows import TagOutputs
from keras_transformer.zoo.tagging.words import joined
from keras_transformer.zoo.tasks.registry import task_from_json, tasks_for
from keras_transformer.zoo.tasks.tagging.token_classification import TokenClassification
from tests.tagging import LABELS, SETTINGS, conll, sentences, trained
from tests.zoo.pretrained.tiny import REFERENCES
from tests.zoo.tiny import Heard

TEXT = "the  old ship saw Anna Stone, and Lima."


def spans(predicted):
    return [(one.label, one.text, one.start, one.end) for one in predicted.spans]


def test_it_finds_entities_in_raw_text():
    checkpoint = trained()
    assert checkpoint.metrics["validation"]["f1"] > 0.95
    assert checkpoint.task == TokenClassification(labels=LABELS)
    assert checkpoint.model.output_shape == (None, None, 5)
    by_text, by_words, empty = checkpoint.predict([TEXT, ["went", "Paris", "Hill", "."], ""])
    assert spans(by_text) == [("PER", "Anna Stone", 18, 28), ("LOC", "Lima", 34, 38)]
    assert spans(by_words) == [("LOC", "Paris Hill", 5, 15)]
    assert spans(empty) == [] and checkpoint.predict([]) == []
    assert 0.5 < min(one.score for one in by_text.spans) <= 1.0


def test_long_texts_are_read_to_their_end():
    checkpoint = trained()
    count = 30
    [found] = checkpoint.predict(["the ship saw Anna Stone . " * count])
    wanted = [("PER", "Anna Stone", 26 * i + 13, 26 * i + 23) for i in range(count)]
    assert spans(found) == wanted and not found.truncated


def test_evaluation_reads_the_given_words(tmp_path):
    checkpoint, (words, tags) = trained(), sentences(40, 1)
    found = checkpoint.evaluate((words, tags))
    validation = checkpoint.metrics["validation"]
    assert {name: found[name] for name in validation} == validation
    assert (found["rows"], found["truncated"]) == (40, 0)
    path = tmp_path / "a.conll"
    path.write_text(conll(words, tags), encoding="utf-8")
    assert checkpoint.evaluate(path) == found
    wrong = [["B-LOC" if tag == "B-PER" else tag for tag in row] for row in tags]
    assert checkpoint.evaluate((words, wrong))["f1"] < found["f1"]
    with pytest.raises(InputError, match="Expected no beams"):
        checkpoint.evaluate((words, tags), beams=3)
    rows = checkpoint.task.read((words,), labelled=False)
    with pytest.raises(InputError, match="data: expected tags to evaluate on"):
        checkpoint.task.evaluate(checkpoint, rows)


def test_a_saved_checkpoint_is_the_same(tmp_path):
    checkpoint = trained()
    checkpoint.save(tmp_path / "out")
    loaded = Checkpoint.load(tmp_path / "out")
    assert loaded.task == checkpoint.task and loaded.labels == LABELS
    assert [spans(one) for one in loaded.predict([TEXT])] == [
        spans(one) for one in checkpoint.predict([TEXT])
    ]  # fmt: skip


def test_outputs_are_the_logits_at_first_pieces():
    checkpoint = trained()
    words = ["Anna", "oldnesses", "."]
    [scores] = checkpoint.scores([words])
    pieces = [checkpoint.tokenizer.model.ids(word) for word in words]
    assert len(pieces[1]) > 1
    ids = [checkpoint.tokenizer.cls_id, *sum(pieces, []), checkpoint.tokenizer.sep_id]
    logits = checkpoint.model.predict_on_batch({"ids": np.array([ids], "int32")})[0]
    places = np.cumsum([1, len(pieces[0]), len(pieces[1])])
    np.testing.assert_allclose(scores, logits[places], rtol=1e-5, atol=1e-5)


def test_rows_of_other_kinds_are_refused():
    checkpoint = trained()
    with pytest.raises(InputError, match="got one string"):
        checkpoint.predict("a text")
    with pytest.raises(InputError, match="Expected single texts"):
        checkpoint.predict(["a"], ["b"])
    with pytest.raises(TypeError, match="row 1"):
        checkpoint.predict([3])


def test_targets_stand_at_first_pieces_alone():
    checkpoint = trained()
    task = checkpoint.task
    rows = task.read(([["Anna", "oldnesses"]], [["B-PER", "O"]]))
    data = task.run_data(rows, rows, checkpoint.modality)
    [batch] = data.batches(batch_tokens=64, bucket=4, seed=0).epoch(0)
    first = len(checkpoint.tokenizer.model.ids("Anna"))
    expected = np.full(batch.targets.shape[1], NO_TARGET)
    expected[1], expected[1 + first] = LABELS.index("B-PER"), LABELS.index("O")
    np.testing.assert_array_equal(batch.targets[0], expected)
    assert batch.num_targets == 2
    sampled = data.batches(batch_tokens=64, bucket=4, seed=0, piece_dropout=0.5)
    for epoch in range(3):
        [batch] = sampled.epoch(epoch)
        assert batch.num_targets == 2


def test_the_loss_is_the_cross_entropy_of_real_targets():
    rng = np.random.default_rng(0)
    logits = rng.normal(size=(2, 4, 5)).astype("float32")
    targets = np.array([[-1, 3, -1, 0], [2, -1, -1, -1]])
    logs = logits - np.log(np.exp(logits).sum(-1, keepdims=True))
    real = targets != -1
    nats = -np.take_along_axis(logs, np.maximum(targets, 0)[..., None], -1)[..., 0]
    task = TokenClassification(labels=LABELS)
    assert float(task.loss()(targets, logits)) == pytest.approx(nats[real].mean(), rel=1e-5)
    smooth = 0.9 * nats - 0.1 * logs.mean(-1)
    assert float(task.loss(0.1)(targets, logits)) == pytest.approx(smooth[real].mean(), rel=1e-5)
    others = rng.normal(size=(2, 4, 5)).astype("float32")
    found = others - np.log(np.exp(others).sum(-1, keepdims=True))
    expected = (np.exp(logs) * (logs - found)).sum(-1)[real].mean()
    value = task.output_difference(targets, logits, others, 1.0)
    assert float(value) == pytest.approx(expected, rel=1e-5)


@pytest.mark.slow
def test_plain_tags_are_measured_by_accuracy():
    words, tags = sentences(60, 2)
    plain = [[{"O": "X"}.get(tag, tag[2:]) for tag in row] for row in tags]
    checkpoint = kt.train(
        "bert_tiny", "token-classification", train=(words, plain), validation=0.2, epochs=1,
        settings=SETTINGS, max_length=20, tokenizer="characters", batch_tokens=512,
    )  # fmt: skip
    assert checkpoint.labels == ("LOC", "PER", "X")
    assert checkpoint.task.metric.name == "accuracy"
    assert "f1" not in checkpoint.metrics["validation"]
    [found] = checkpoint.predict(["a b."])
    assert [(one.text, one.start, one.end) for one in found.spans] == [
        ("a", 0, 1), ("b", 2, 3), (".", 3, 4)
    ]  # fmt: skip
    assert {one.label for one in found.spans} <= {"LOC", "PER", "X"}
    truth = checkpoint.evaluate((words, plain))
    row_words = [word for row in words for word in row]
    labels = [one.label for row in checkpoint.predict(words) for one in row.spans]
    flat = [tag for row in plain for tag in row]
    assert len(labels) == len(row_words)
    assert truth["accuracy"] == pytest.approx(np.mean(np.array(labels) == flat))


def test_what_is_split_repaired_or_unread_is_reported():
    task = trained().task
    words = [["the"] * 30, ["Anna", "\u00ad", "went"], ["Anna" * 30]]
    tags = [["O"] * 30, ["I-PER", "O", "O"], ["O"]]
    rows, heard = task.read((words, tags)), Heard()
    task.run_data(rows, rows.take([0]), trained().modality).report_cuts(heard)
    assert heard.notes == [
        "data: 1 rows are longer than 20 tokens and are read in several windows.",
        "data: 1 words are empty to the tokenizer and are not read.",
        "data: 1 tags break the rules of their scheme; they are read as conlleval does.",
        "data: 1 rows are longer than 20 tokens and are read in several windows.",
    ]


def test_a_share_of_the_rows_has_its_own_counts_and_no_note_of_its_own():
    task = trained().task
    words = [["Anna", f"went{i}"] for i in range(8)] + [["the"] * 30]
    tags = [["I-PER", "O"]] * 8 + [["O"] * 30]
    rows, heard = task.read((words, tags)), Heard()
    train, validation = task.split(rows, 0.5)
    assert 0 < sum(train.repairs) < 8 and sum(train.repairs) + sum(validation.repairs) == 8
    task.run_data(train, validation, trained().modality).report_cuts(heard)
    assert heard.notes == [
        "data: 1 rows are longer than 20 tokens and are read in several windows.",
        "data: 8 tags break the rules of their scheme; they are read as conlleval does.",
    ]


def test_rows_of_which_nothing_is_read_are_an_error_of_their_file(tmp_path):
    path = tmp_path / "odd.conll"
    path.write_text("\u00ad\tO\n", encoding="utf-8")
    rows = trained().task.read(([["a"]], [["O"]])), trained().task.read(path)
    with pytest.raises(InputError, match=f"^{re.escape(str(path))}: expected a word that the"):
        trained().task.run_data(*rows, trained().modality).validator()


def test_rows_without_entities_are_decided_by_accuracy():
    task = TokenClassification(labels=LABELS)
    rows = task.read(([["a", "b"]], [["O", "O"]]))
    assert task.undefined(rows) == {"f1": "no row has an entity", "recall": "no row has an entity"}
    assert task.defined(task.metric, rows).name == "accuracy"
    assert task.notes(task.metric, rows) == [
        "data: F1 and recall are not defined: no row has an entity; accuracy decides."
    ]


def test_outputs_that_are_not_finite_are_an_error():
    task = TokenClassification(labels=LABELS)
    rows = task.read(([["a"]], [["O"]]))
    outputs = TagOutputs([np.full((1, 5), np.nan)], [np.ones(1, bool)], rows.texts, [False])
    with pytest.raises(RunError, match="others in 1 of 1 rows"):
        task.metrics(rows, outputs)


def test_the_head_is_one_of_positions():
    head = TokenClassification(labels=LABELS).head()
    assert head == Head(kind="tokens", units=5)
    assert "token-classification" in tasks_for("encoder")
    for architecture in ("decoder", "encoder-decoder"):
        with pytest.raises(InputError, match="Expected a tokens head on encoder"):
            head.check(architecture)
    with pytest.raises(InputError, match="Expected units of a pooled or tokens head"):
        Head(kind="tokens")
    with pytest.raises(InputError, match="Expected labels"):
        TokenClassification().head()


def test_the_task_is_read_back_from_json():
    task = TokenClassification(labels=LABELS)
    value = task.to_json()
    assert value == {"name": "token-classification", "pair": False}
    assert task_from_json(value, LABELS) == task
    with pytest.raises(TypeError, match="list of names"):
        TokenClassification(labels="O")
    with pytest.raises(InputError, match="Expected each label once"):
        TokenClassification(labels=["O", "O"])


@pytest.mark.slow
@pytest.mark.parametrize(
    "of",
    [
        lambda checkpoint: kt.quantize(checkpoint, epochs=1),
        lambda checkpoint: kt.quantize(checkpoint, "integer", epochs=1),
        lambda checkpoint: kt.prune(checkpoint, heads=1, epochs=2),
        lambda checkpoint: kt.distill(
            checkpoint, "bert_tiny", epochs=6, settings={**SETTINGS, "hidden_dim": 12},
            hidden_weight=1.0,
        ),
    ],
    ids=["int8", "integer", "pruned", "distilled"],
)
def test_what_goes_on_from_it_stays_as_good(of):
    assert of(trained()).metrics["validation"]["f1"] > 0.8


@pytest.mark.parametrize("family", ["bert", "roberta", "distilbert", "modernbert"])
def test_published_encoders_keep_their_weights_below_the_head(family):
    published = load_pretrained(REFERENCES / family)
    weights = get_weights(published.build())
    found = get_weights(published.build(TokenClassification(labels=LABELS)))
    assert {path for path in found if path not in weights} == {"head/kernel", "head/bias"}
    for path, value in found.items():
        if not path.startswith("head/"):
            np.testing.assert_array_equal(value, weights[path], err_msg=path)


def test_a_stride_belongs_to_the_model():
    task = TokenClassification(labels=LABELS, stride=3)
    again = task_from_json(task.to_json(), LABELS)
    assert again.stride == 3 and again.labels == LABELS
    assert task.options() == {"stride": 3, "labels": LABELS}
    assert "stride" not in TokenClassification(labels=LABELS).to_json()


def test_tags_that_keep_to_no_rules():
    """A model that learned IOB1 begins entities with I-."""
    task = TokenClassification(labels=LABELS, constrained=False)
    assert task_from_json(task.to_json(), LABELS) == task
    scores = np.full((3, 5), -5.0, "float32")
    scores[[0, 1, 2], [4, 4, 0]] = 5.0  # I-PER I-PER O
    outputs = TagOutputs([scores], [np.ones(3, bool)], [joined(["a", "b", "c"])], [False])
    [free] = tag_predictions(LABELS, outputs, constrained=False)
    [kept] = tag_predictions(LABELS, outputs)
    assert [(one.label, one.text) for one in free.spans] == [("PER", "a b")]
    assert free.spans[0].score > 0.99 > sum(one.score for one in kept.spans)
    with pytest.raises(InputError, match="^Expected constrained to be true or false, got .*=1.$"):
        task_from_json({**task.to_json(), "constrained": 1}, LABELS)
    assert task.read(([["a", "b"]], [["I-LOC", "O"]])).tags() == [["B-LOC", "O"]]
    lacking = TokenClassification(labels=("O", "I-LOC", "B-PER", "I-PER"))
    assert lacking.read(([["a", "b"]], [["B-LOC", "O"]])).tags() == [["I-LOC", "O"]]
