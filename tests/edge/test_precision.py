import pytest

from keras_transformer.edge.precision import PRECISIONS, get_precision
from keras_transformer.zoo.errors import InputError


def test_what_is_stored_how():
    stored = {name: (p.kernel_type, p.is_static, p.bits) for name, p in PRECISIONS.items()}
    floating = {"kernel_bits": None, "activation_bits": None}
    assert stored == {
        "float32": ("FLOAT32", False, floating),
        "float16": ("FLOAT16", False, floating),
        "dynamic_int8": ("INT8", False, floating),
        "int8": ("INT8", True, {"kernel_bits": 8, "activation_bits": 8}),
    }
    assert all(get_precision(name).name == name for name in PRECISIONS)


def test_unknown_precision_lists_the_known_ones():
    with pytest.raises(InputError) as caught:
        get_precision("int7")
    assert str(caught.value) == (
        "Expected precision to be one of float32, float16, dynamic_int8, int8, got 'int7'."
    )
