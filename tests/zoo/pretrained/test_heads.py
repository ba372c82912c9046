"""The head that a config.json names: its classes, and what no task here does as it is."""

import json
import re
import shutil

import numpy as np
import pytest
import safetensors.numpy

import keras_transformer as kt
from keras_transformer.zoo.errors import InputError
from keras_transformer.zoo.pretrained.checkpoints import published_checkpoint
from keras_transformer.zoo.pretrained.heads import PublishedHead
from keras_transformer.zoo.pretrained.load import load_pretrained
from keras_transformer.zoo.tagging.schemes import entities_of
from keras_transformer.zoo.tagging.words import words_of
from tests.slow import mostly_slow
from tests.zoo.pretrained.tiny import REFERENCES

KIND = "BertForSequenceClassification"


def refused(*parts):
    return pytest.raises(InputError, match=".*".join(map(re.escape, map(str, parts))))


@pytest.fixture
def classifier(tmp_path):
    """Returns the folder of a classifier of twelve classes, with changes of its config.json."""
    folder = tmp_path / "bert"
    shutil.copytree(REFERENCES / "bert", folder)
    path, config = folder / "model.safetensors", folder / "config.json"
    values = json.loads(config.read_text())
    arrays = safetensors.numpy.load_file(path)
    rng = np.random.default_rng(0)
    arrays["classifier.weight"] = rng.normal(size=(12, 16)).astype("float32")
    arrays["classifier.bias"] = rng.normal(size=12).astype("float32")
    safetensors.numpy.save_file(arrays, path)

    def changed(**changes):
        names = {str(i): f"class {i}" for i in range(12)}
        usual = {"architectures": [KIND], "id2label": names, "problem_type": None}
        config.write_text(json.dumps({**values, **usual, **changes}))
        return folder

    return changed


def test_classes_are_in_the_order_of_their_numbers(classifier):
    names = {str(i): f"class {i}" for i in range(12)}
    expected = tuple(names.values())
    # As strings sort: 0, 1, 10, 11, 2.
    for given in (names, dict(sorted(names.items())), dict(reversed(names.items()))):
        assert load_pretrained(classifier(id2label=given)).head.labels == expected
    assert published_checkpoint(classifier()).labels == expected


@pytest.mark.parametrize(
    "names", [{"5": "a", "7": "b"}, {"1": "a", "2": "b"}, {"a": "b"}, {}, ["a", "b"], 3]
)
def test_classes_without_their_numbers(classifier, names):
    path = classifier(id2label=names) / "config.json"
    with refused(f"Expected id2label of {path} to name the classes 0, 1, 2 and so on, got"):
        load_pretrained(path.parent)


@pytest.mark.parametrize(
    ("changes", "head"),
    [
        ({"problem_type": "multi_label_classification"}, "problem_type=multi_label_classification"),
        ({"problem_type": "regression"}, "problem_type=regression"),
        ({"id2label": {"0": "score"}}, "of one output"),
        ({"architectures": ["BertForMultipleChoice"]}, "BertForMultipleChoice"),
        ({"architectures": ["ModernBertForTokenClassification"]}, "ModernBertForTokenClass"),
        ({"architectures": ["BertForTokenClassification"], "id2label": {"0": "O"}}, "one output"),
    ],
)
def test_other_heads_are_trained_anew(classifier, changes, head):
    found = load_pretrained(classifier(**changes))
    assert found.head.labels == () and head in found.head.other
    with refused("Expected a model that is used as it is", head, "train it with"):
        published_checkpoint(classifier(**changes))
    found.build()  # a new head can be trained


def test_heads_of_pre_training_are_left_out(classifier):
    for kind in ("BertForMaskedLM", "BertForPreTraining", "BertModel"):
        assert load_pretrained(classifier(architectures=[kind])).head == PublishedHead()


def test_a_head_needs_the_pooler_that_it_learned_behind(classifier):
    path = classifier() / "model.safetensors"
    arrays = safetensors.numpy.load_file(path)
    kept = {name: array for name, array in arrays.items() if "pooler" not in name}
    assert len(kept) == len(arrays) - 2
    safetensors.numpy.save_file(kept, path)
    with refused("pooler.dense.weight"):
        published_checkpoint(path.parent)
    load_pretrained(path.parent).build()


def test_an_adapter_knows_the_tokenizer_of_its_base(classifier):
    found = load_pretrained(classifier()).provenance["sha256"]
    place = classifier() / "vocab.txt"
    lines = place.read_text().split("\n")
    place.write_text("\n".join([*lines[:5], *reversed(lines[5:-1]), ""]))
    changed = load_pretrained(classifier()).provenance["sha256"]
    assert {name for name in found if found[name] != changed[name]} == {"vocab.txt"}


def test_a_published_tagger_gives_each_word_its_most_probable_tag(tmp_path):
    tagger = kt.load(REFERENCES / "bert_tags")
    assert (tagger.task_name, tagger.labels) == (
        "token-classification", ("O", "B-LOC", "I-LOC", "I-PER")
    )  # fmt: skip
    text = "w1 w2  w9 w30 w4, w7"
    [scores] = tagger.scores([text])
    tags = [tagger.labels[i] for i in scores.argmax(axis=1)]
    words = words_of(text)
    # Some taggers begin entities with I-, here those of PER.
    expected = [
        (one.type, words.places[one.first][0], words.places[one.end - 1][1])
        for one in entities_of(tags)
    ]
    assert "PER" in {kind for kind, *_ in expected}
    tagger.save(tmp_path / "saved")
    (tmp_path / "m.tflite").write_bytes(bytes(kt.convert(tagger, lengths=[6, 12])))
    for one in (tagger, kt.load(tmp_path / "saved"), kt.Runner(tmp_path / "m.tflite")):
        [found] = one.predict([text])
        assert [(span.label, span.start, span.end) for span in found.spans] == expected
        rows = [{"text": text, "spans": [{"start": 0, "end": 2, "label": "PER"}]}]
        assert 0 <= kt.evaluate(one, rows)["f1"] <= 1


@pytest.mark.parametrize(
    "name", mostly_slow(["bert_answers", "distilbert_answers"], ["distilbert_answers"])
)
def test_a_published_model_answers(name, tmp_path):
    reader = kt.load(REFERENCES / name)
    assert (reader.task_name, reader.null_threshold) == ("question-answering", None)
    (tmp_path / "m.tflite").write_bytes(bytes(kt.convert(reader)))
    context = "w5 w9 w13 w4 w6 w11 w2"
    runner = kt.Runner(tmp_path / "m.tflite")
    answers = [one.answer("w1 w3", context) for one in (reader, runner)]
    assert answers[0][:3] == answers[1][:3] and answers[0].text in context
    assert answers[0].text and answers[1].score == pytest.approx(answers[0].score, abs=1e-5)


def test_tags_of_entities_and_others_are_not_used_together(classifier):
    names = {"0": "O", "1": "B-LOC", "2": "other"}
    folder = classifier(architectures=["BertForTokenClassification"], id2label=names)
    with refused("Expected tags of entities", "got 'other'"):
        kt.load(folder)
    load_pretrained(folder)  # a new head can be trained
