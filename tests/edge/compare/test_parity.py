import dataclasses
import functools

import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema

from keras_transformer.edge.compare.layers import find_layers
from keras_transformer.edge.compare.parity import Parity, difference, measure_parity
from keras_transformer.edge.precision import PRECISIONS, get_precision
from keras_transformer.edge.quantize.qat import quantized_model
from keras_transformer.edge.quantize.rounding import round_biases
from keras_transformer.edge.runtime.packed import pack, unpack
from keras_transformer.edge.targets.convert import convert
from keras_transformer.zoo.errors import RunError
from keras_transformer.zoo.models.running.predict import model_inputs
from tests.edge.models import calibration, random_model
from tests.slow import mostly_slow


def parity(**values):
    given = {
        "rows": 9, "agreement": 1.0, "largest": 0.5, "relative": 0.0, "steps": 1.0,
        "most_steps": 1.0,
    }  # fmt: skip
    return Parity(**{**given, **values})


def test_difference_of_classes():
    reference = np.array([[3.0, 0.0], [0.0, 4.0]])
    outputs = np.array([[3.0, 0.5], [4.25, 4.0]])
    assert difference(reference, outputs, 0.5) == Parity(
        rows=2, agreement=0.5, largest=4.25, relative=4.25 / 2.5, steps=8.5, most_steps=8.5,
        departing=0.5,
    )  # fmt: skip


def test_a_choice_half_as_likely_departs():
    reference = np.tile(np.log([[0.5, 0.26, 0.24]]), (3, 1)) + 7.0
    outputs = np.eye(3) * 5.0
    # 0.26 is more than half of 0.5, 0.24 less.
    assert difference(reference, outputs, None).departing == pytest.approx(1 / 3)


def test_a_vector_of_another_direction_departs():
    angles = np.array([0.0, 0.6, 0.7, 3.0])  # cosines 1, 0.83, 0.76, -0.99
    outputs = 3.0 * np.stack([np.cos(angles), np.sin(angles)], axis=1)
    reference = np.tile([[1.0, 0.0]], (4, 1))
    found = difference(reference, outputs, None, vectors=True, direction=0.8)
    assert found.departing == 0.5
    assert difference(reference, outputs, None, vectors=True, direction=0.7).departing == 0.25
    assert found.cosine == pytest.approx(np.cos(3.0))


def test_a_number_off_by_more_than_a_twentieth_of_the_range_departs():
    reference = np.array([[0.0], [10.0], [5.0], [2.0]])
    outputs = reference + [[0.49], [-0.51], [0.6], [0.0]]
    assert difference(reference, outputs, None).departing == 0.5
    assert difference(100 + 2 * reference, 100 + 2 * outputs, None, (100.0, 2.0)).departing == 0.5


@pytest.mark.parametrize(
    ("values", "what"),
    [
        ({}, "choices that the model finds less than half as likely as its own"),
        (
            {"cosine": 0.2, "agreement": None},
            "vectors of a cosine below 0.95 with the model's",
        ),
        ({"agreement": None}, "numbers off by more than 5% of their range"),
    ],
)
def test_a_file_of_which_many_rows_depart_is_refused(values, what):
    spec = get_precision("int8")
    parity(departing=0.05, steps=30.0, most_steps=30.0, **values).check(spec, layers_follow=True)
    with pytest.raises(RunError) as caught:
        parity(departing=0.06, **values).check(spec, layers_follow=True)
    assert str(caught.value) == (
        f"Expected the int8 file to follow the Keras model within 5% of rows, got 6.0% with {what} "
        f"on 9 rows; nothing was written{REMEDY}."
    )


def test_numbers_that_are_none_are_refused():
    with pytest.raises(RunError, match="got 0.0% with choices"):
        parity(largest=np.nan).check(get_precision("int8"), layers_follow=True)


def test_difference_of_floats_in_steps_of_8_bits():
    outputs = np.array([[1.0], [2.5]])
    assert difference(np.array([[1.0], [2.0]]), outputs, None) == Parity(
        rows=2, agreement=None, largest=0.5, relative=0.5 / np.sqrt(2.5), steps=127.5,
        most_steps=127.5, departing=0.5,
    )  # fmt: skip


REMEDY = (
    "; train for it with keras-transformer quantize, or keep the layers float that "
    "keras-transformer sensitivity names, with --keep PATTERN=float32"
)


@pytest.mark.parametrize(
    ("precision", "values", "limit", "got", "remedy"),
    [
        ("float32", {"relative": 2e-4}, "0.0001 of the outputs' size", "0.0002", ""),
        ("float16", {"relative": 0.03}, "0.02 of the outputs' size", "0.03", ""),
        ("int16x8", {"relative": 0.03}, "0.02 of the outputs' size", "0.03", REMEDY),
        *(
            (
                precision, {"steps": 19.0, "most_steps": 17.0},
                f"{steps} output steps in 99% of rows", "17.0 there and 19.0 at most", REMEDY,
            )
            for precision, steps in (
                ("int8", 8), ("static_int8", 8), ("dynamic_int8", 8), ("int4", 8), ("integer", 16)
            )
        ),
        ("float32", {"largest": np.nan}, "0.0001 of the outputs' size", "0", ""),
    ],
)  # fmt: skip
def test_a_file_that_does_not_follow_is_refused(precision, values, limit, got, remedy):
    with pytest.raises(RunError) as caught:
        parity(**values).check(get_precision(precision))
    assert str(caught.value) == (
        f"Expected the {precision} file to follow the Keras model within {limit}, got {got} on "
        f"9 rows; nothing was written{remedy}."
    )


def test_a_file_that_follows_is_accepted():
    parity(relative=1e-5).check(get_precision("float32"))
    parity(steps=3.0).check(get_precision("int8"))


def test_one_row_of_a_hundred_may_be_an_outlier():
    reference = np.zeros((200, 3))
    for count, follows in ((2, True), (3, False)):
        outputs = reference.copy()
        outputs[:count, 1] = 40.0
        found = difference(reference, outputs, 1.0)
        assert (found.steps, found.most_steps) == (40.0, 0.0 if follows else 40.0)
        if follows:
            found.check(get_precision("int8"))
        else:
            with pytest.raises(RunError, match="40.0 there and 40.0 at most on 200 rows"):
                found.check(get_precision("int8"))
    with pytest.raises(RunError, match="9.0 there and 9.0 at most on 64 rows"):
        difference(reference[:64], np.eye(64, 3) * [9.0, 0, 0], 1.0).check(get_precision("int8"))


@functools.cache
def checkpoint_for(precision):
    """A random model as it is stored in a precision."""
    trained, spec = random_model(num_layers=2), get_precision(precision)
    if not spec.rounds_kernels:
        return trained
    model = quantized_model(trained, calibration() if spec.is_static else None, precision)
    if spec.is_static:
        round_biases(model, model_inputs(model, trained.probes))
    return dataclasses.replace(trained, model=model, bits=spec.bits)


@functools.cache
def file_for(precision):
    """The bytes of its file."""
    return bytes(convert(checkpoint_for(precision), precision))


def disturbed(flatbuffer, steps, block):
    """The flatbuffer with one row of a block's kernel of shape (64, 32) moved towards zero."""
    data = bytearray(flatbuffer)
    model = schema.Model.GetRootAs(data, 0)
    graph = model.Subgraphs(0)
    read = [graph.Operators(i).InputsAsNumpy() for i in range(graph.OperatorsLength())]
    tensors = [graph.Tensors(place) for places in read for place in places if place >= 0]
    kernels = [tensor for tensor in tensors if tensor.ShapeAsNumpy().tolist() == [64, 32]]
    buffers = {
        kernel.Buffer(): kernel for kernel in kernels if model.Buffers(kernel.Buffer()).DataLength()
    }
    first, last = buffers.values()
    kernel = last if block else first
    values = model.Buffers(kernel.Buffer()).DataAsNumpy()
    kind = schema.TensorType
    if kernel.Type() == kind.INT4:
        row = values[:16]
        row[:] = row & 0xF0 | (row + steps) & 0x0F  # every second weight
    elif kernel.Type() == kind.INT8:
        row = values.view(np.int8)[:32]
        row -= (np.sign(row) * steps).astype(np.int8)
    else:
        row = values.view({kind.FLOAT32: np.float32, kind.FLOAT16: np.float16}[kernel.Type()])[:32]
        row -= np.sign(row) * steps * np.abs(row).max() / 127
    return bytes(data)


@pytest.mark.parametrize("block", [0, 1])
@pytest.mark.parametrize("precision", mostly_slow(PRECISIONS, ["int8"]))
def test_a_file_with_a_disturbed_row_of_one_kernel_is_refused(precision, block):
    trained = checkpoint_for(precision)
    flatbuffer, description, rest = unpack(file_for(precision))
    find_layers(trained, trained.model, flatbuffer, trained.max_length, precision)
    steps = 1 if precision == "int4" else 4
    other = disturbed(flatbuffer, steps, block)
    with pytest.raises(RunError, match=f"of the {precision} file|Expected the {precision} file"):
        find_layers(trained, trained.model, other, trained.max_length, precision)
        data = pack(other, description, rest)
        measure_parity(trained.model, trained, data).check(get_precision(precision))


def test_another_models_file_does_not_follow(runs, files):
    data = files["float32"].read_bytes()
    assert measure_parity(runs.trained.model, runs.trained, data).relative < 1e-4
    flatbuffer, description, rest = unpack(files["int8"])
    other = pack(flatbuffer, {**description, "output_step": None}, rest)
    far = measure_parity(runs.trained.model, runs.trained, other)
    with pytest.raises(RunError, match="Expected the float32 file to follow the Keras model"):
        far.check(get_precision("float32"))
