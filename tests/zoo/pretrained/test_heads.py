"""The head that a config.json names: its classes, and what no task here does as it is."""

import json
import re
import shutil

import numpy as np
import pytest
import safetensors.numpy

from keras_transformer.zoo.errors import InputError
from keras_transformer.zoo.pretrained.checkpoints import published_checkpoint
from keras_transformer.zoo.pretrained.load import load_pretrained
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
        assert load_pretrained(classifier(id2label=given)).labels == expected
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
        ({"architectures": ["BertForTokenClassification"]}, "BertForTokenClassification"),
        ({"architectures": ["BertForQuestionAnswering"]}, "BertForQuestionAnswering"),
    ],
)
def test_other_heads_are_trained_anew(classifier, changes, head):
    found = load_pretrained(classifier(**changes))
    assert found.labels == () and head in found.other_head
    with refused("Expected a model that is used as it is", head, "train it with"):
        published_checkpoint(classifier(**changes))
    found.build()  # a new head can be trained


def test_heads_of_pre_training_are_left_out(classifier):
    for kind in ("BertForMaskedLM", "BertForPreTraining", "BertModel"):
        assert load_pretrained(classifier(architectures=[kind])).other_head == ""


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
