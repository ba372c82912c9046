import pytest

from keras_transformer.edge.choose.candidates import Candidate, Workshop, ladder
from keras_transformer.edge.precision import PRECISIONS
from keras_transformer.zoo.errors import InputError
from tests.edge.models import random_model


def test_the_ladder_begins_with_the_reference_and_has_every_precision_once():
    names = [candidate.name for candidate in ladder()]
    assert names == list(PRECISIONS)
    assert [candidate.name for candidate in ladder(precisions=["int8"])] == ["float32", "int8"]


def test_every_combination_has_a_name_of_its_own():
    candidates = ladder(
        precisions=["float16", "int8"], qat=True, sparsities=[0.5, 0.8, 0.5], lengths=[8]
    )
    assert [candidate.name for candidate in candidates] == [
        "float32", "float32-8", "float16", "float16-8", "int8", "int8-8", "int8-qat",
        "int8-qat-8",
        "sparse-0.5-float32", "sparse-0.5-float32-8", "sparse-0.5-float16",
        "sparse-0.5-float16-8", "sparse-0.5-int8", "sparse-0.5-int8-8",
        "sparse-0.5-int8-qat", "sparse-0.5-int8-qat-8",
        "sparse-0.8-float32", "sparse-0.8-float32-8", "sparse-0.8-float16",
        "sparse-0.8-float16-8", "sparse-0.8-int8", "sparse-0.8-int8-8",
        "sparse-0.8-int8-qat", "sparse-0.8-int8-qat-8",
    ]  # fmt: skip
    needing = {candidate.name for candidate in candidates[:8] if candidate.needs_data}
    assert needing == {"int8", "int8-8", "int8-qat", "int8-qat-8"}


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ({"sparsities": [1.0]}, "Expected sparsity to be above 0 and below 1, got 1.0."),
        (
            {"precisions": ["int9"]},
            f"Expected precision to be one of {', '.join(PRECISIONS)}, got 'int9'.",
        ),
    ],
)
def test_impossible_rungs(arguments, sentence):
    with pytest.raises(InputError) as caught:
        ladder(**arguments)
    assert str(caught.value) == sentence


def test_a_failed_training_run_is_not_tried_again(tmp_path, monkeypatch):
    tries = []

    def prune(trained, out, **_):
        tries.append(out.name)
        raise InputError("No such data.")

    monkeypatch.setattr("keras_transformer.edge.choose.candidates.prune", prune)
    workshop = Workshop(random_model(), tmp_path)
    for candidate in (
        Candidate(precision="float32", sparsity=0.5),
        Candidate(precision="int8", sparsity=0.5, qat=True),
    ):
        with pytest.raises(InputError, match="No such data."):
            workshop.make(candidate)
    assert tries == ["sparse-0.5"]


def test_a_training_file_that_is_gone(tmp_path):
    with pytest.raises(InputError) as caught:
        Workshop(random_model(), tmp_path, train=tmp_path / "gone.tsv").check_data()
    assert str(caught.value) == (
        f"There is no file {tmp_path / 'gone.tsv'}, which the checkpoint was trained on; give "
        "--train FILE, or only precisions of --precisions that need no calibration."
    )
