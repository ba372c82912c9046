import dataclasses

import numpy as np
import pytest

from keras_transformer.edge.compare.compare import compare
from keras_transformer.edge.runtime.runner import Runner
from keras_transformer.zoo.errors import InputError


def test_int8_beside_its_simulation_on_all_rows(runs, files):
    [int8] = compare(runs.quantized, [files["int8"]], runs.examples)
    assert (int8.path, int8.precision, int8.metric) == (str(files["int8"]), "int8", "accuracy")
    assert int8.size == files["int8"].stat().st_size
    assert int8.value == runs.value_of(Runner(files["int8"]))
    assert int8.parity.rows == len(runs.examples.texts)
    assert int8.parity.agreement == 1.0
    # Values next to the middle of two steps fall either way, and later layers carry that on.
    assert 0.0 <= int8.parity.steps <= 3.0
    assert int8.num_truncated == 0


def test_files_in_the_order_given(runs, files):
    names = ["float16", "float32", "dynamic_int8"]
    compared = compare(runs.trained, [files[name] for name in names], runs.examples)
    assert [comparison.precision for comparison in compared] == names
    accuracy = runs.value_of(runs.trained)
    assert {comparison.checkpoint_value for comparison in compared} == {accuracy}
    assert [comparison.parity.agreement for comparison in compared] == [1.0, 1.0, 1.0]
    assert all(comparison.parity.steps < 2.0 for comparison in compared)
    float16, float32, dynamic = (comparison.parity.relative for comparison in compared)
    assert float32 < 1e-5 < float16 < dynamic < 0.5


def test_a_float_checkpoint_is_its_own_reference(runs, files):
    [int8] = compare(runs.trained, [files["int8"]], runs.examples)
    assert int8.checkpoint_value == runs.value_of(runs.trained)
    assert int8.parity.steps > 2.0
    # It was made from another checkpoint, which is this one trained on.
    assert int8.same_weights is False
    assert compare(runs.trained, files["float32"], runs.examples)[0].same_weights is True


def test_as_json(runs, files):
    [compared] = compare(runs.trained, [files["float32"]], runs.examples)
    value = compared.to_json()
    assert list(value) == [
        "path", "precision", "size", "metric", "value", "checkpoint_value", "parity",
        "num_truncated", "metric_signature", "same_weights",
    ]  # fmt: skip
    assert list(value["parity"]) == [
        "rows", "agreement", "largest", "relative", "steps", "most_steps", "cosine",
        "departing",
    ]  # fmt: skip


def test_a_folder_and_the_bytes_of_a_file(runs, files):
    data = runs.folder / "validation.tsv"
    found = compare(runs.folder / "float", files["float32"].read_bytes(), data)
    [expected] = compare(runs.trained, [files["float32"]], runs.examples)
    assert found == [dataclasses.replace(expected, path="the file", parity=found[0].parity)]
    lines = repr(found).splitlines()
    assert lines[0] == "90 rows"
    assert lines[1].startswith("file      precision  accuracy  checkpoint's accuracy  agreement")


@pytest.mark.parametrize(
    ("changes", "kind", "sentence"),
    [
        ({"checkpoint": None}, TypeError, "^Expected a checkpoint or the path .*, got None"),
        ({"files": []}, InputError, "^Expected at least one file to compare."),
        ({"files": None}, TypeError, "^Expected the path of a .tflite file, .*, got None"),
        ({"data": None}, TypeError, "^Expected data to be a path, columns or rows, got NoneType"),
        ({"beams": 2}, InputError, "^Expected no beams to measure a .*classification, got beams=2"),
        ({"beam": 2}, TypeError, "^Expected options of generation among .*, got beam=2"),
        ({"source": "a"}, InputError, "^Expected columns of classification .*, got source='a'"),
    ],
    ids=str,
)
def test_what_cannot_be_compared(changes, kind, sentence, runs, files):
    given = {
        "checkpoint": runs.trained, "files": files["float32"],
        "data": runs.folder / "validation.tsv", **changes,
    }  # fmt: skip
    with pytest.raises(kind, match=sentence):
        compare(**given)


def test_the_file_of_another_checkpoint_is_refused(runs, files):
    labels = ("food", "music", "sport")
    task = dataclasses.replace(runs.trained.task, labels=labels)
    other = dataclasses.replace(runs.trained, task=task)
    with pytest.raises(InputError) as caught:
        compare(other, [files["float32"]], runs.examples)
    assert str(caught.value) == (
        f"{files['float32']} was converted from another checkpoint: they differ in labels."
    )


def test_rows_without_labels_are_refused(runs, files):
    unlabelled = dataclasses.replace(runs.examples, targets=None)
    with pytest.raises(InputError) as caught:
        compare(runs.trained, [files["float32"]], unlabelled)
    assert str(caught.value) == (
        f"{runs.examples.path}: expected a label column to compare on."
    )


def test_rows_longer_than_the_file_are_counted(runs, files):
    texts = [f"{text} today" * 9 for text in runs.examples.texts]
    longer = dataclasses.replace(runs.examples, texts=texts)
    [compared] = compare(runs.trained, [files["float32"]], longer)
    assert compared.num_truncated == len(texts)
    assert np.isfinite(compared.parity.largest)
