import pytest

from keras_transformer.edge.precision import (
    PRECISIONS,
    TRAINED_PRECISIONS,
    get_precision,
    kept_patterns,
    precision_of,
)
from keras_transformer.zoo.errors import InputError


def test_what_is_stored_how():
    stored = {name: (p.kernel_type, p.is_static, p.bits) for name, p in PRECISIONS.items()}
    assert stored == {
        "float32": ("FLOAT32", False, {}),
        "float16": ("FLOAT16", False, {}),
        "dynamic_int8": ("INT8", False, {"kernel_bits": 8, "row_bits": 8}),
        "int8": ("INT8", True, {"kernel_bits": 8, "row_bits": 8, "activation_bits": 8}),
        "static_int8": ("INT8", True, {"kernel_bits": 8, "activation_bits": 8}),
        "integer": ("INT8", True, {"kernel_bits": 8, "activation_bits": 8, "inner_bits": 8}),
        "int16x8": ("INT8", True, {"kernel_bits": 8, "activation_bits": 16}),
        "int4": ("INT4", False, {"kernel_bits": 4, "kernel_block": 32, "row_bits": 8}),
        "channel_int4": ("INT4", False, {"kernel_bits": 4, "row_bits": 8}),
    }
    assert all(get_precision(name).name == name for name in PRECISIONS)


def test_unknown_precision_lists_the_known_ones():
    with pytest.raises(InputError) as caught:
        get_precision("int7")
    assert str(caught.value) == (
        "Expected precision to be one of float32, float16, dynamic_int8, int8, static_int8, "
        "integer, int16x8, int4, channel_int4, got 'int7'."
    )


@pytest.mark.parametrize("name", TRAINED_PRECISIONS)
def test_a_checkpoint_says_its_precision_by_its_widths(name):
    assert precision_of(dict(get_precision(name).bits)).name == name


def test_widths_of_no_precision_are_refused():
    with pytest.raises(InputError, match="'kernel_bits': 3"):
        precision_of({"kernel_bits": 3})


@pytest.mark.parametrize("name", TRAINED_PRECISIONS)
def test_what_is_kept_is_said_by_patterns(name):
    keep = ["head=float32", "encoder/*=float32", "head=float32"]
    assert kept_patterns(get_precision(name), keep) == ("encoder/*", "head")
    assert kept_patterns(get_precision(name), []) == ()


@pytest.mark.parametrize("name", ["int4", "channel_int4"])
def test_kernels_stay_in_int8_among_narrower_ones(name):
    keep = ["*/down=int8", "head=float32"]
    assert kept_patterns(get_precision(name), keep) == ("*/down=int8", "head")


@pytest.mark.parametrize(
    ("precision", "keep", "message"),
    [
        ("int8", "head=int8",
         "Expected what is kept as PATTERN=float32, such as encoder/block_0/*=float32, got "
         "'head=int8' (int8 is for kernels of int4)."),
        ("int4", "head=int16",
         "Expected what is kept as PATTERN=float32 or PATTERN=int8, such as "
         "encoder/block_0/*=float32, got 'head=int16'."),
        ("float16", "head=float32",
         "Expected a precision that rounds kernels where layers are to be kept, got "
         "precision=float16."),
        ("int8", "head=int16",
         "Expected what is kept as PATTERN=float32, such as encoder/block_0/*=float32, got "
         "'head=int16'."),
        ("int8", "head",
         "Expected what is kept as PATTERN=float32, such as encoder/block_0/*=float32, got "
         "'head'."),
    ],
)  # fmt: skip
def test_contradictory_widths_are_refused(precision, keep, message):
    with pytest.raises(InputError) as caught:
        kept_patterns(get_precision(precision), [keep])
    assert str(caught.value) == message
