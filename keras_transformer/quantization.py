"""Simulated quantization: a point that rounds a tensor and a projection that rounds its kernel.

Float models, quantization-aware training and export use the same layer classes. Without bits a
`QuantPoint` is the identity and a `Projection` a plain dense layer; with bits they simulate the
values that an integer device stores (Jacob et al. 2018, arXiv:1712.05877, sections 2 and 3).
The module `bits` documents the widths.
"""

import math
from contextlib import ExitStack, contextmanager

import keras
from keras import ops

from keras_transformer.bits import all_bits, check_bounds, check_width
from keras_transformer.decisions import WIDE_BITS, RoundingLayer
from keras_transformer.fake_quant import fake_quant
from keras_transformer.initial import initializer_or
from keras_transformer.rounding import kernel_scale, round_kernel, round_rows, straight_through

_INITIAL_RANGE = 6.0  # replaced by calibration before a point is used
_SMALLEST_RANGE = 1e-6  # a tensor that was always zero still needs a scale


@keras.saving.register_keras_serializable(package="keras_transformer")
class QuantPoint(RoundingLayer):
    """Rounds a tensor to a grid of `2**bits` values between two bounds; the identity without bits.

    The bounds are the non-trainable weights `range_min` and `range_max`, unless `minimum` and
    `maximum` fix them. `tracker`, when set, is called as `tracker(point, inputs, training)`
    instead of the rounding: calibration and training use it to update the bounds. `observer`, when
    set, is called as `observer(point, outputs)`, and its result replaces the outputs.

    Args:
        bits: width of the stored integer, 2 to 16, or None for the identity.
        symmetric: whether the device stores the tensor with zero point 0, as it does any tensor
            of more than 8 bits.
        minimum, maximum: bounds of a fixed range that contains zero.

    Raises:
        ValueError: if the bits are impossible, or the range lacks a bound or does not contain zero.
    """

    def __init__(self, bits=None, *, symmetric=False, minimum=None, maximum=None, **kwargs):
        super().__init__(**kwargs)
        self.supports_masking = True
        check_width("bits", bits)
        check_bounds(minimum, maximum)
        self.bits = bits
        self.symmetric = symmetric or (bits is not None and bits > 8)
        self.minimum = minimum
        self.maximum = maximum
        self.tracker = None
        self.observer = None

    def stay_float(self):
        """Makes the point the identity permanently; its range, if any, is no longer used."""
        self.bits = None
        self.stays_float = True

    @property
    def is_learned(self):
        """Whether the point has a range that calibration has to set."""
        return self.bits is not None and self.minimum is None

    def build(self, input_shape):
        if self.is_learned:
            self.range_min = self._bound("range_min", -_INITIAL_RANGE)
            self.range_max = self._bound("range_max", _INITIAL_RANGE)

    def _bound(self, name, start):
        # TensorFlow records gradients of variables created trainable; `train_range` needs them.
        bound = keras.Variable(
            keras.initializers.Constant(start), shape=(), dtype="float32", autocast=False, name=name
        )
        bound.trainable = False
        return bound

    def train_range(self):
        """Makes the bounds trainable; a `tracker` provides their gradients."""
        self.trains_range = True
        for bound in (self.range_min, self.range_max):
            bound.trainable = True

    def call(self, inputs, training=None):
        outputs = self._rounded(inputs, training)
        return outputs if self.observer is None else self.observer(self, outputs)

    def _rounded(self, inputs, training):
        if self.bits is None:
            return inputs
        if self.tracker is not None:
            return self.tracker(self, inputs, training)
        minimum, maximum = self.minimum, self.maximum
        if minimum is None:
            minimum, maximum = self.range_min, self.range_max
        if keras.config.backend() == "tensorflow":
            # Its op, which the converter knows.
            return keras.quantizers.fake_quant_with_min_max_vars(
                inputs, minimum, maximum, num_bits=self.bits
            )
        return fake_quant(inputs, minimum, maximum, self.bits)

    @property
    def scale(self):
        """The step between neighbouring values of the grid."""
        minimum, maximum = self.minimum, self.maximum
        if minimum is None:
            minimum, maximum = float(self.range_min), float(self.range_max)
        return (maximum - minimum) / (2**self.bits - 1)

    def set_range(self, minimum, maximum):
        """Sets the bounds so that they contain every value from `minimum` to `maximum`, and zero.

        A symmetric range has one more step below zero than above it, as two's complement has.

        Raises:
            ValueError: if a bound is not finite.
        """
        if not (math.isfinite(minimum) and math.isfinite(maximum)):
            raise ValueError(f"Expected a finite range, got minimum={minimum}, maximum={maximum}.")
        minimum, maximum = min(float(minimum), 0.0), max(float(maximum), 0.0)
        if self.symmetric:
            steps = 2 ** (self.bits - 1)
            largest = max(maximum, -minimum * (steps - 1) / steps, _SMALLEST_RANGE)
            minimum, maximum = -largest * steps / (steps - 1), largest
        self.range_min.assign(minimum)
        self.range_max.assign(max(maximum, minimum + _SMALLEST_RANGE))

    def compute_output_shape(self, input_shape):
        return input_shape


class QuantizedLayer(RoundingLayer):
    """A layer whose kernels and tensors are stored with given bit widths.

    `output_observer`, when set, is called as `output_observer(layer, outputs)` after each call:
    Keras gives no access to the tensors inside a model's layers.

    Args:
        bits: bit widths by name, see the module `bits`, in a plain dict; None for float.

    Raises:
        ValueError: if a name is unknown or a width is not from 2 to 16.
    """

    def __init__(self, *, bits=None, **kwargs):
        super().__init__(**kwargs)
        self.supports_masking = True
        self.output_observer = None
        self._round_rows = round_rows
        widths = all_bits(bits)
        self.kernel_bits = widths["kernel_bits"]
        self.kernel_block = widths["kernel_block"]
        self.row_bits = widths["row_bits"]
        self.activation_bits = widths["activation_bits"]
        self.inner_bits = widths["inner_bits"]

    @property
    def bits(self):
        """All bit widths by name, as passed to the sublayers."""
        return all_bits({name: getattr(self, name) for name in all_bits()})

    def __call__(self, *args, **kwargs):
        outputs = super().__call__(*args, **kwargs)
        if self.output_observer is not None:
            self.output_observer(self, outputs)
        return outputs

    @property
    def rounds_rows(self):
        """Whether a device rounds the inputs of the matmuls row by row, and stores none."""
        is_stored = self.activation_bits is not None and not self.stays_dynamic
        return self.row_bits is not None and not is_stored

    def rows_read(self, inputs):
        """The inputs of the matmul with a rounded kernel, float32 where the device rounds them."""
        if self.kernel_bits is None or not self.rounds_rows:
            return inputs
        return self._round_rows(inputs, self.row_bits)

    def _rounded_rows(self, inputs):
        """The same with the type of the inputs; the gradient passes straight through."""
        rounded = self.rows_read(inputs)
        if rounded is inputs:
            return inputs
        return straight_through(inputs, ops.cast(rounded, inputs.dtype))

    def _point(self, name, width, **kwargs):
        """Makes and builds a point; further arguments are those of `QuantPoint`."""
        point = QuantPoint(width, dtype=kwargs.pop("dtype", self.dtype_policy), name=name, **kwargs)
        point.build(None)
        return point


class KernelLayer(QuantizedLayer):
    """A layer that multiplies by a kernel (..., units), optionally rounded with a scale per unit.

    With `kernel_bits` the forward pass uses `round_kernel(W)`, with `row_bits` too the inputs that
    `rows_read` returns, and the gradient passes straight through the rounding. `observer`, when
    set, is called as `observer(layer, inputs)` before each forward pass.

    Args:
        units: width of the output.
        use_bias: whether there is a bias.
        factor: constant factor, which the converter folds into the kernel and the bias.
        kernel_initializer: initializer of the kernel.
        bits: bit widths; `kernel_bits` and `kernel_block` of the kernel, `row_bits` of the inputs
            of a rounded kernel where there are no `activation_bits`.
    """

    def __init__(
        self, units, *, use_bias=True, factor=1.0, kernel_initializer="glorot_uniform", bits=None,
        **kwargs,
    ):  # fmt: skip
        super().__init__(bits=bits, **kwargs)
        self.units = units
        self.use_bias = use_bias
        self.factor = factor
        self.observer = None
        self._once_rounded = None
        self.kernel_initializer = kernel_initializer

    def _add_kernel(self, shape):
        # Rounded before the cast: the grid is that of the stored kernel.
        self.kernel = self.add_weight(
            name="kernel", shape=shape, autocast=False,
            initializer=initializer_or(self.kernel_initializer),
        )  # fmt: skip
        if self.use_bias:
            self.bias = self.add_weight(name="bias", shape=(self.units,), initializer="zeros")

    def stay_float(self):
        """Permanently disables rounding of the kernel."""
        self.kernel_bits = None
        self.stays_float = True

    def _used_kernel(self):
        kernel = ops.convert_to_tensor(self.kernel)
        if self.kernel_bits is None:
            return kernel
        return straight_through(kernel, self.rounded_kernel(kernel))

    def _multiplied(self):
        """The kernel that the forward pass multiplies by."""
        kernel = self._used_kernel() if self._once_rounded is None else self._once_rounded
        return ops.cast(kernel, self.compute_dtype)

    @contextmanager
    def rounded_once(self, rows=round_rows):
        """Rounds the kernel once for all calls in the context, in which it must not change.

        Args:
            rows: function that rounds the inputs meanwhile, with the results of `round_rows`.
        """
        self._once_rounded, self._round_rows = self._used_kernel(), rows
        try:
            yield
        finally:
            self._once_rounded, self._round_rows = None, round_rows

    @property
    def scale(self):
        """The scales (width / block, 1, units) of the stored kernel of as many inputs."""
        return kernel_scale(self.kernel.value, self.kernel_bits, self.kernel_block, self.factor)

    def rounded_kernel(self, kernel):
        """Returns the kernel (..., units) on the grid of this layer."""
        return round_kernel(kernel, self.kernel_bits, self.kernel_block, self.factor)


@keras.saving.register_keras_serializable(package="keras_transformer")
class Projection(KernelLayer):
    """`y = (x W + b) factor` over the last axis, with an optionally rounded kernel (width, units).

    The arguments are those of `KernelLayer`.

    Raises:
        ValueError: if the bits are impossible, or the block does not divide the inputs' width.
    """

    def __init__(self, units, **kwargs):
        super().__init__(units, **kwargs)
        self.adapter = None

    def build(self, input_shape):
        if self.kernel_block is not None and input_shape[-1] % self.kernel_block:
            raise ValueError(
                f"Expected kernel_block to divide the inputs' width of {self.name}, "
                f"got width={input_shape[-1]}, kernel_block={self.kernel_block}."
            )
        self._add_kernel((input_shape[-1], self.units))

    def call(self, inputs):
        if self.observer is not None:
            self.observer(self, inputs)
        outputs = ops.matmul(self._rounded_rows(inputs), self._multiplied())
        outputs = outputs + self.bias if self.use_bias else outputs
        if self.adapter is not None:
            outputs = outputs + self.adapter(inputs)
        return outputs if self.factor == 1.0 else outputs * self.factor

    def adapt(self, adapter):
        """Adds an adapter's outputs to those of the projection, before the factor."""
        # Keras locks the state of a built layer; its own `enable_lora` unlocks it likewise.
        self._tracker.unlock()
        self.adapter = adapter
        self._tracker.lock()
        with ExitStack() as scopes:
            for name in self.path.split("/"):
                scopes.enter_context(keras.name_scope(name))
            adapter.build((None, self.kernel.shape[0]))

    def stay_wide(self):
        """Permanently rounds the kernel to 8 bits, with a scale for each output."""
        self.kernel_bits, self.kernel_block = WIDE_BITS, None
        self.stays_wide = True

    def compute_output_shape(self, input_shape):
        return (*input_shape[:-1], self.units)
