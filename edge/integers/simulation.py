"""Runs a traced graph of the Keras model in the integers of its file, to the last bit.

The float simulation of Keras rounds the right numbers, but computes them in float32: of values near
the middle of two steps one in some ten thousand falls the other way, and after a few blocks some
outputs are several steps off. Here each op between two quantization points is the kernel that a
file runs for it, on the integers of the points before it. Nothing is taken from the file: a file
with the same outputs has the same graph, weights, scales and arithmetic.
"""

import inspect
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import numpy as np
import tensorflow as tf

from keras_transformer.activations import without_own_gradients
from keras_transformer.edge.integers import hard_silu, kernels
from keras_transformer.edge.integers.values import (
    Computed,
    Floats,
    Linear,
    Pointwise,
    Stored,
    Unrounded,
)
from keras_transformer.zoo.errors import RunError

_FAKE_QUANT = "FakeQuantWithMinMaxVars"
# Ops that pass their first input on, and those that move values without changing them.
_SAME = {"Identity", "IdentityN", "StopGradient", "PreventGradient"}
_RESHAPING = {"Reshape", "ExpandDims", "Squeeze"}
_MOVING = {"Transpose", "StridedSlice", "Slice", "GatherV2"}
# Ops that move parts of values -> index of what they split among their inputs.
_SPLITS = {"Split": 1, "SplitV": 0}
# Ops that take some of the stored values.
_LARGEST = {"Max", "MaxPool"}
_PRODUCTS = {"MatMul", "BatchMatMulV2"}
_PAIRS = {
    "AddV2": kernels.add, "Sub": kernels.subtract, "Mul": kernels.multiply,
}  # fmt: skip
_SINGLE = {
    "Rsqrt": kernels.inverse_root, "Softmax": kernels.softmax, "Sigmoid": kernels.sigmoid,
    "Tanh": kernels.tanh,
}  # fmt: skip
# Parts of GELU and of hard SiLU, which a file computes as one op, whichever of them TensorFlow
# writes.
_POINTWISE = {
    "Mul": np.multiply, "RealDiv": np.divide, "AddV2": np.add, "Neg": np.negative,
    "Erf": kernels.erf, "Erfc": kernels.erfc, "Relu6": hard_silu.relu6,
}  # fmt: skip


class IntegerGraph:
    """A function of the Keras model with static shapes, run in integers.

    Args:
        function: the function, see `graphs.static`; its quantization points are FakeQuant ops of 8
            bits.

    Attributes:
        shapes: shapes of the inputs by name.

    Raises:
        RunError: if the graph computes with stored integers what no kernel here does.
    """

    def __init__(self, function: tf.types.experimental.GenericFunction):
        with without_own_gradients():
            concrete = function.get_concrete_function()
        graph = concrete.graph
        self._inputs = {
            tensor.op.name: tensor.op.get_attr("_user_specified_name").decode()
            for tensor in concrete.inputs[: len(concrete.inputs) - len(concrete.captured_inputs)]
        }  # fmt: skip
        self.shapes = {
            name: tuple(graph.get_tensor_by_name(f"{place}:0").shape)
            for place, name in self._inputs.items()
        }
        self._outputs = {name: one.name for name, one in concrete.structured_outputs.items()}
        # What does not depend on the inputs is computed once.
        self._fixed: dict[str, Any] = {
            inside.name: outside for outside, inside in graph.captures
        }
        self._steps, self._calls, self._ready = [], {}, {}
        needed = _needed(concrete.structured_outputs.values())
        free = set()
        for op in graph.get_operations():
            if op.name not in needed:
                continue
            if op.type == "Placeholder":
                if op.name in self._inputs:
                    free.add(op.outputs[0].name)
            elif any(one.name in free for one in op.inputs):
                free |= {one.name for one in op.outputs}
                self._steps.append(op)
            else:
                self._compute(op, self._fixed)

    def run(
        self, inputs: Mapping[str, np.ndarray], points: dict[str, np.ndarray] | None = None
    ) -> dict[str, np.ndarray]:  # fmt: skip
        """Runs the graph.

        Args:
            inputs: inputs by name.
            points: receives the float32 values of each FakeQuant by the op's name.

        Returns:
            The outputs by name; stored ones as float32.
        """
        values = dict(self._fixed)
        values |= {f"{place}:0": np.asarray(inputs[name]) for place, name in self._inputs.items()}
        for op in self._steps:
            self._compute(op, values)
            if points is not None and op.type == _FAKE_QUANT:
                points[op.name] = values[op.outputs[0].name].floats()
        return {name: _floats(values[place]) for name, place in self._outputs.items()}

    def _compute(self, op, values):
        found = self._result(op, [values[one.name] for one in op.inputs])
        several = found if isinstance(found, list) else [found]
        values |= {one.name: value for one, value in zip(op.outputs, several, strict=True)}

    def _executed(self, op, inputs):
        """The result of an op on arrays."""
        if op.type == "Const":
            return tf.make_ndarray(op.get_attr("value"))
        if op.name not in self._calls:
            self._calls[op.name] = _call_of(op)
        return self._calls[op.name](inputs)

    def _result(self, op, inputs):
        if op.type in _SAME:
            return inputs[: len(op.outputs)]
        if op.type == _FAKE_QUANT:
            grid = _grid(op, *inputs[1:])
            if isinstance(inputs[0], Stored | Unrounded):
                return _rounded(inputs[0], grid)
            # The converter, too, computes a constant by the op itself.
            values = self._executed(op, inputs)
            source = Floats(values=inputs[0])
            return Stored(integers=grid.nearest(values), grid=grid, source=source)
        if not any(isinstance(one, Stored | Unrounded) for one in inputs):
            return self._executed(op, inputs)
        first = inputs[0]
        if op.type in _RESHAPING:
            return first.moved(lambda integers: integers.reshape(op.outputs[0].shape))
        if op.type in _MOVING or (op.type in _LARGEST and isinstance(first, Stored)):
            return first.moved(lambda integers: self._executed(op, [integers, *inputs[1:]]))
        if op.type in _SPLITS:
            return _parts(op, inputs)
        if op.type == "Pad" and isinstance(first, Stored):
            if first.grid.zero:
                # Padding has the value 0.
                return first.joined(np.pad, inputs[1], constant_values=first.grid.zero)
            return first.moved(lambda integers: np.pad(integers, inputs[1]))
        if op.type == "ConcatV2" and _on_one_grid(inputs[:-1]):
            parts = [one.integers for one in inputs[1:-1]]
            axis = int(inputs[-1])
            return first.joined(lambda integers: np.concatenate([integers, *parts], axis))
        if op.type == "XlaDynamicUpdateSlice":  # a cache is float between two calls
            return _updated(*map(_floats, inputs))
        if op.type == "Cast" and isinstance(first, Stored):  # of the outputs
            return first
        computed = _kernel(op, inputs, self._ready)
        if computed is None:
            shapes = ", ".join(str(tuple(one.shape)) for one in op.inputs)
            raise RunError(
                f"Expected ops that have an integer kernel, got {op.type} of {shapes} in {op.name}."
            )
        return computed


def _parts(op, inputs):
    """The parts of a tensor along an axis, one for each output."""
    x, axis = inputs[_SPLITS[op.type]], int(inputs[-1] if op.type == "SplitV" else inputs[0])
    ends = np.cumsum([one.shape[axis] for one in op.outputs])

    def part(place):
        return x.moved(lambda integers: np.split(integers, ends[:-1], axis)[place])

    return [part(place) for place in range(len(ends))]


def _on_one_grid(tensors) -> bool:
    """Whether all are stored, with the same scale and zero."""
    return all(isinstance(one, Stored) for one in tensors) and (
        len({(float(one.grid.scale), one.grid.zero) for one in tensors}) == 1
    )


def _call_of(op) -> Callable:
    """A function of an op's input arrays, which TensorFlow computes."""
    function, arguments = getattr(tf.raw_ops, op.type), op.op_def.input_arg
    # In the order of the op's definition, in which some inputs have other names.
    names = [name for name in inspect.signature(function).parameters if name != "name"]
    attributes = {name: op.get_attr(name) for name in names[len(arguments) :]}
    counts = [one.number_attr and op.get_attr(one.number_attr) for one in arguments]

    def call(inputs):
        given, left = {}, list(inputs)
        for name, count in zip(names, counts, strict=False):
            given[name] = left[:count] if count else left[0]
            del left[: count or 1]
        outputs = function(**given, **attributes)
        return [_array(one) for one in outputs] if isinstance(outputs, list) else _array(outputs)

    return call


def _needed(tensors) -> set[str]:
    """Names of the ops that tensors are computed from; a gradient's are not."""
    ahead, found = [tensor.op for tensor in tensors], set()
    while ahead:
        op = ahead.pop()
        if op.name not in found:
            found.add(op.name)
            ahead += [one.op for one in op.inputs]
    return found


def _kernel(op, inputs, ready) -> Unrounded | None:
    """The result of an arithmetic op before it is rounded, or None if there is no kernel."""
    kind = op.type
    match inputs:
        case [Stored() as x, np.ndarray() as kernel] if kind in _PRODUCTS:
            return Linear(x=x, kernel=kernel, ready=ready, name=op.name)
        case [Stored() as x, np.ndarray() as kernel] if kind == "Conv2D" and _is_plain(op):
            *size, _, units = kernel.shape
            return Linear(
                x=x, kernel=kernel.reshape(-1, units), ready=ready, name=op.name,
                window=(*size, op.get_attr("strides")[1]),
            )  # fmt: skip
        case [Stored() as x, Stored() as y] if kind == "MatMul" and y.grid.zero == 0:
            return Linear(x=x, kernel=_turned(op, y), ready=ready, name=op.name)
        case [Stored() as x, Stored() as y] if kind in _PRODUCTS:
            return Computed(kernel=kernels.matmul, inputs=(x, _turned(op, y)))
        case [Linear() as linear, np.ndarray() as bias] if kind == "AddV2":
            return linear.plus(bias)
        case [Linear() as linear, np.ndarray() as factor] if kind == "Mul":
            return linear.times(factor)
        case [Linear() as linear] | [Stored(source=Linear() as linear)] if kind == "Relu":
            return linear.clipped()
        case [Stored() as x, Stored() as y] if kind == "BiasAdd" and _ends_with_channels(op):
            # A sum outside of Keras' layers, with a vector such as the mask of one row.
            return Computed(kernel=kernels.add, inputs=(x, y))
        case [Stored() as x, Stored() as y] if kind in _PAIRS:
            return Computed(kernel=_PAIRS[kind], inputs=(x, y))
        case [Stored() as x, np.ndarray() as y] if kind == "Mul":
            return Computed(kernel=kernels.multiply, inputs=(x, Stored.constant(y)))
        case [Stored() as x, np.ndarray() as axis] if kind == "Mean" and axis.size == 1:
            shape = op.outputs[0].shape
            return Computed(
                kernel=partial(kernels.mean, axis.item()), inputs=(x,),
                moves=(lambda integers: integers.reshape(shape),),
            )  # fmt: skip
        case [Stored() as x] if kind in _SINGLE:
            return Computed(kernel=_SINGLE[kind], inputs=(x,))
    return Pointwise.of(_POINTWISE[kind], inputs) if kind in _POINTWISE else None


def _ends_with_channels(op):
    return op.get_attr("data_format") == b"NHWC"


def _is_plain(op):
    """Whether a convolution is one of images, channels last, with one stride and padding."""
    strides, dilations = op.get_attr("strides"), op.get_attr("dilations")
    return (
        op.get_attr("padding") == b"SAME" and _ends_with_channels(op)
        and strides[1] == strides[2] and set(dilations) == {1}
    )  # fmt: skip


def _turned(op, y):
    """The second of two matrices as it is multiplied."""
    return y.transposed() if op.get_attr("transpose_b" if op.type == "MatMul" else "adj_y") else y


def _grid(op, minimum, maximum):
    if op.get_attr("num_bits") != 8 or op.get_attr("narrow_range"):
        raise RunError(f"Expected points of 8 bits, got {op.get_attr('num_bits')} in {op.name}.")
    return kernels.Grid.of(float(minimum), float(maximum))


def _rounded(value, grid):
    # The op before a stored tensor stores its result on the grid of the last point at once.
    return (value.source if isinstance(value, Stored) else value).rounded(grid)


def _array(tensor):
    return tensor if tensor.dtype == tf.resource else np.asarray(tensor.numpy())


def _updated(cache, part, start):
    last = np.array(cache.shape) - part.shape
    first = np.clip(start, 0, last)
    cache = cache.copy()
    cache[tuple(slice(a, a + size) for a, size in zip(first, part.shape, strict=True))] = part
    return cache


def _floats(value):
    return value.floats() if isinstance(value, Stored) else np.asarray(value)
