"""Files of models that tag words: the same tags on the device, and hosts that cannot give them."""

import dataclasses

import numpy as np
import pytest

import keras_transformer as kt
from keras_transformer.edge.compare.probes import at_positions, probe_inputs
from keras_transformer.edge.demo.demo import check_files
from keras_transformer.edge.runtime.packed import pack, unpack
from keras_transformer.zoo.errors import InputError
from tests.edge.converted import converter
from tests.tagging import sentences, trained

TEXTS = ["the  old ship saw Anna Stone, and Lima.", "", "the ship saw Anna Stone . " * 12]
SLOW = [pytest.param(one, marks=pytest.mark.slow) for one in ("dynamic_int8", "float16", "integer")]


@pytest.fixture(scope="module")
def file():
    """Converts to a precision, each only once; float32 has several lengths."""
    return converter(trained, sentences(40, 0), lengths=[8, 20])


def spans(predicted):
    return [[(one.label, one.text, one.start, one.end) for one in row.spans] for row in predicted]


@pytest.mark.parametrize("precision", ["float32", "int8", *SLOW])
def test_a_file_finds_the_checkpoints_entities(file, precision):
    runner = kt.Runner(file(precision))
    assert (runner.task, runner.output_kind, runner.labels) == (
        "token-classification", "tags", trained().labels
    )  # fmt: skip
    assert spans(runner.predict(TEXTS)) == spans(trained().predict(TEXTS))
    found = kt.evaluate(runner, sentences(40, 1))
    assert found["f1"] == pytest.approx(trained().evaluate(sentences(40, 1))["f1"], abs=0.03)
    assert file(precision).parity.agreement > 0.98


def test_outputs_are_those_of_keras_at_each_real_position(file):
    runner, checkpoint = kt.Runner(file("float32")), trained()
    inputs = probe_inputs(checkpoint, 20)
    expected, found = checkpoint.model.predict_on_batch(inputs), runner.run(inputs)
    assert found.shape == expected.shape == (*inputs["ids"].shape, 5)
    real = inputs["ids"] != 0
    np.testing.assert_allclose(found[real], expected[real], atol=1e-4)
    # The rows that fit ran in the signature of 8 tokens.
    short = real.sum(1) <= 8
    assert short.any() and not short.all()
    np.testing.assert_array_equal(found[short, 8:], 0)
    np.testing.assert_array_equal(
        at_positions(found, runner, inputs), found[real]
    )


def test_several_processes_find_the_same(file):
    texts = TEXTS * 40
    alone, together = kt.Runner(file("float32")), kt.Runner(file("float32"), workers=2)
    assert spans(together.predict(texts)) == spans(alone.predict(texts))


def test_compare_counts_positions_and_the_tasks_metric(file):
    [one] = kt.compare(trained(), file("dynamic_int8"), sentences(40, 1))
    assert one.metric == "f1" and one.parity.agreement > 0.98
    assert one.checkpoint_value == trained().evaluate(sentences(40, 1))["f1"]
    encoded = trained().task.inputs(trained().task.read(sentences(40, 1)), trained().modality)
    assert one.parity.rows == sum(map(len, encoded["ids"]))


def test_the_card_says_what_it_does(file):
    card = file("float32").card()
    assert "token-classification" in card and "f1 " in card
    assert "what is longer is read in several windows, by Runner" in card


@pytest.mark.parametrize("target", ["mediapipe", "text"])
def test_hosts_of_one_answer_refuse_it(target):
    said = f"target {target}, whose host reads no more, got one at each position"
    with pytest.raises(InputError, match=said):
        kt.convert(trained(), target=target)


@pytest.mark.slow
def test_a_saved_model_gives_the_logits_of_each_position():
    made = kt.convert(trained(), target="saved_model")
    assert made.parity.rows == int((trained().probes["ids"] != 0).sum())
    assert made.description["graphs"]["predict"]["outputs"][0]["shape"] == ["B", "T", 5]


def test_the_demo_page_takes_it(file, tmp_path):
    path = tmp_path / "tagger.tflite"
    path.write_bytes(bytes(file("float32")))
    check_files([path])


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"output": "embedding"}, "expected logits of texts where output_kind='tags'"),
        ({"output_kind": "classes"}, "expected output of predict"),
    ],
)
def test_a_file_of_another_kind_is_refused(file, changes, said):
    flatbuffer, description, attached = unpack(bytes(file("dynamic_int8")))
    changed = pack(flatbuffer, {**description, **changes}, attached)
    with pytest.raises(InputError, match=said):
        kt.Runner(changed)


def test_labels_of_another_number_are_refused(file):
    flatbuffer, description, attached = unpack(bytes(file("dynamic_int8")))
    changed = pack(flatbuffer, description, {**attached, "labels.txt": b"O\nB-X\n"})
    with pytest.raises(InputError, match="expected as many labels as the 5 outputs, got 2"):
        kt.Runner(changed)


def test_a_shorter_file_reads_more_windows():
    """A length below that of training: the same words, read in more windows."""
    runner = kt.Runner(kt.convert(trained(), lengths=[12]))
    count = len(spans(runner.predict(TEXTS[2:]))[0])
    assert count == 12
    shorter = dataclasses.replace(trained().modality, max_length=12)
    rows = trained().task.read(([["the", "ship"] * 12], [["O"] * 24]))
    assert trained().task.windows(rows, shorter).num_split == 1


def test_lengths_without_room_beside_the_stride_are_refused():
    changed = dataclasses.replace(
        trained(), task=dataclasses.replace(trained().task, stride=9), rows={}
    )
    # Two of its tokens are special.
    assert kt.Runner(kt.convert(changed, lengths=[12])).predict([["Ada"] * 30])
    with pytest.raises(InputError, match="below 9, .* max_length=11 has room for, got stride=9"):
        kt.convert(changed, lengths=[4, 11])
    with pytest.raises(InputError, match="^Expected max_length to be at least 3, got max_length=2"):
        kt.convert(trained(), lengths=[2])


def test_a_file_has_the_stride_of_its_windows():
    changed = dataclasses.replace(
        trained(), task=dataclasses.replace(trained().task, stride=9), rows={}
    )
    runner = kt.Runner(kt.convert(changed))
    assert (runner.stride, changed.stride, kt.Runner(kt.convert(trained())).stride) == (9, 9, 0)
    rows = [sentences(1, seed)[0][0] * 6 for seed in range(3)]
    for one, other in zip(runner.scores(rows), changed.scores(rows), strict=True):
        np.testing.assert_allclose(one, other, atol=1e-4)
    assert any(
        np.abs(one - other).max() > 1e-3
        for one, other in zip(changed.scores(rows), trained().scores(rows), strict=True)
    )
