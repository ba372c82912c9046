import pytest
from ai_edge_litert.interpreter import Interpreter, OpResolverType

from keras_transformer.edge.runtime.packed import unpack
from keras_transformer.edge.tflite.delegation import find_delegation
from keras_transformer.edge.tflite.schema import count_ops
from keras_transformer.zoo.errors import RunError


def loaded(path, **kwargs):
    interpreter = Interpreter(model_content=unpack(path)[0], **kwargs)
    interpreter.allocate_tensors()
    return interpreter


@pytest.mark.parametrize("precision", ["float32", "float16", "dynamic_int8", "int8"])
def test_ops_inside_a_partition_have_no_memory_and_ops_outside_have(files, precision):
    """The interpreter gives memory to what it runs itself, and to what a partition hands over."""
    interpreter = loaded(files[precision])
    found = find_delegation(interpreter)
    assert found.delegated + found.outside == count_ops(unpack(files[precision])[0])
    assert 1 <= found.partitions <= 6
    assert found.delegated["FULLY_CONNECTED"] == 14
    # The integers of a row, and its scale.
    assert found.outside["GATHER"] == (2 if "int8" in precision else 1)
    for tensor in found.outside_tensors:
        interpreter.get_tensor(tensor)
    for tensor in found.hidden_tensors:
        with pytest.raises(ValueError, match="Tensor data is null"):
            interpreter.get_tensor(tensor)


def test_without_a_delegate_every_op_is_outside(files):
    kind = OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES
    found = find_delegation(loaded(files["int8"], experimental_op_resolver_type=kind))
    assert (found.partitions, found.delegated.total()) == (0, 0)
    assert found.outside == count_ops(unpack(files["int8"])[0])


def test_a_listing_that_means_something_else_is_refused():
    class Listing:
        def _get_ops_details(self):
            return [
                {"op_name": "MUL", "inputs": [0, -1], "outputs": [1]},
                {"op_name": "ADD", "inputs": [1], "outputs": [2]},
                {"op_name": "SUB", "inputs": [1], "outputs": [3]},
                {"op_name": "DELEGATE", "inputs": [0], "outputs": [2]},
            ]

    with pytest.raises(RunError) as caught:
        find_delegation(Listing())
    assert str(caught.value) == "Cannot tell whether SUB runs in the delegate or outside of it."
