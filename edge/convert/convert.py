"""Conversion pipeline: from a checkpoint to the checked graph of a `.tflite` file."""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import keras
import tensorflow as tf
from keras import ops

from keras_transformer.activations import without_own_gradients
from keras_transformer.edge.convert.marked import Marked, marks_of
from keras_transformer.edge.precision import Precision, kept_patterns, precision_of
from keras_transformer.edge.quantize.qat import grid_weights, quantized_model, weights_on_grid
from keras_transformer.edge.quantize.ranges import learned_points
from keras_transformer.edge.quantize.rounding import round_biases
from keras_transformer.edge.tflite.freed import release_freed_memory
from keras_transformer.edge.tflite.marks import Mark
from keras_transformer.edge.tflite.narrow import with_weights
from keras_transformer.edge.tflite.rewrite import rewrite
from keras_transformer.edge.tflite.schema import check_integers, check_kernels, check_ops
from keras_transformer.edge.tflite.stored import stored_kernels
from keras_transformer.edge.tflite.units import in_units
from keras_transformer.embeddings import TokenEmbedding
from keras_transformer.positions import LearnedPositionalEncoding
from keras_transformer.quantization import KernelLayer
from keras_transformer.zoo.by_position import check_windows
from keras_transformer.zoo.checkpoint import Checkpoint
from keras_transformer.zoo.data.batches import Batches
from keras_transformer.zoo.errors import InputError, RunError
from keras_transformer.zoo.models.build import all_layers, build, set_weights, shared_weights
from keras_transformer.zoo.models.running.predict import model_inputs
from keras_transformer.zoo.models.running.unset import unset_weights
from keras_transformer.zoo.storage.temporary import temporary_folder


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Request:
    """A request to convert: the checkpoint and the options.

    Attributes:
        checkpoint: a float checkpoint, or a quantized one of this precision.
        precision: precision of the file.
        calibration: batches that ranges are calibrated on when a float checkpoint becomes an
            integer file, and that smoothing and rounding are measured on.
        percentile, range_method: percentile or method of the ranges, see `ranges.calibrate`.
        smooth: smoothing of a float checkpoint, see `smoothing.smoothed`.
        rounding: rounding of a float checkpoint's kernels, see `quantized_model`.
        keep: layers of a float checkpoint to keep, such as `encoder/block_0/*=float32`.
        lengths: input lengths in tokens, one signature each; None for the target's default.
        note: told what was smoothed.
    """

    checkpoint: Checkpoint
    precision: Precision
    calibration: Batches | None = None
    percentile: float = 0.0
    range_method: str = "least-error"
    smooth: str = "none"
    rounding: str = "nearest"
    keep: Sequence[str] = ()
    lengths: Sequence[int] | None = None
    note: Callable[[str], None] | None = None


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Graph:
    """A converted model.

    Attributes:
        flatbuffer: its graph, with the converter's tensor names.
        model: the Keras model that it must match.
        kept: patterns of the layers that stay float.
    """

    flatbuffer: bytes
    model: keras.Model
    kept: Sequence[str]


def convert_graph(
    request: Request, length: int, signatures: Callable[[keras.Model], Mapping[str, Callable]],
    custom_ops: Sequence[str] = (),
) -> Graph:  # fmt: skip
    """Converts a model strictly: known ops only, static shapes, kernels as narrow as requested.

    Args:
        request: the model and its precision.
        length: length of the longest input in tokens.
        signatures: function from the model that is converted to the file's functions by name.
        custom_ops: ops besides TFLite's own that the graph may contain.

    Raises:
        InputError: if the precision does not fit the checkpoint, or calibration data is missing.
        RunError: if an op is not allowed, or a kernel has the wrong type.
    """
    spec = request.precision
    model, bits, kept = simulation(request)
    if spec.is_static and not learned_points(model):
        # All that the model multiplies is rounded row by row.
        spec = dataclasses.replace(spec, activation_bits=None)
    # The converter itself computes the integers and the halves of these files from the values.
    is_final = spec.is_static or spec.name == "float16"
    marks = [] if is_final else marks_of(model, length)
    exported = _exported(request.checkpoint, model, bits, kept, length, marks)
    flatbuffer = _to_flatbuffer(
        signatures(exported), exported, marks, spec, allow_custom_ops=bool(custom_ops)
    )
    release_freed_memory(model)
    flatbuffer = rewrite(flatbuffer)
    stored = stored_kernels(model, spec)
    if not is_final:
        weights = weights_on_grid(model)
        flatbuffer = with_weights(
            flatbuffer, marks, lambda path: ops.convert_to_numpy(weights[path]()),
            stored if spec.rounds_kernels else None,
        )  # fmt: skip
    elif spec.row_bits is not None:
        # Kernels between floats: the converter narrows only those between integers.
        flatbuffer = with_weights(flatbuffer, [], dict(weights_on_grid(model)).__getitem__, stored)
    check_ops(flatbuffer, custom_ops)
    try:
        check_kernels(flatbuffer, spec.kernel_type, stored.others)
    except RunError as error:
        if not kept:
            raise
        raise RunError(
            f"{str(error)[:-1]}; the converter leaves a kernel float whose outputs are kept so: "
            f"keep its layer as a whole in place of {', '.join(kept)}."
        ) from error
    if spec.inner_bits is not None:
        check_integers(flatbuffer)
    head = request.checkpoint.task.head()
    if not head.is_standard:
        flatbuffer = in_units(flatbuffer, head)
    return Graph(flatbuffer=flatbuffer, model=model, kept=kept)


def simulation(
    request: Request,
) -> tuple[keras.Model, Mapping[str, Any], Sequence[str]]:
    """Returns the model that the file must match, its widths, and the patterns of float layers.

    Raises:
        InputError: if the precision does not fit the checkpoint, or calibration data is missing.
    """
    checkpoint, spec, keep = request.checkpoint, request.precision, request.keep
    if checkpoint.is_quantized:
        ready = precision_of(checkpoint.bits).name
        if spec.name != ready:
            raise InputError(
                f"Expected precision {ready}, for which this checkpoint was quantized, got "
                f"precision={spec.name}; convert the float checkpoint that it was made from."
            )
        if keep:
            raise InputError(
                f"Expected nothing to keep of a quantized checkpoint, got {', '.join(keep)}; "
                "say it to keras-transformer quantize."
            )
        return checkpoint.model, spec.bits, checkpoint.keep
    patterns = kept_patterns(spec, keep)
    if not spec.rounds_kernels:
        return checkpoint.model, spec.bits, patterns
    if spec.is_static and request.calibration is None:
        raise InputError(
            f"Expected calibration data to convert a float checkpoint to {spec.name}; give "
            "--calibration FILE, or train it on with keras-transformer quantize first."
        )
    model = quantized_model(
        checkpoint, request.calibration, spec.name, keep, percentile=request.percentile,
        range_method=request.range_method, smooth=request.smooth, rounding=request.rounding,
        note=request.note,
    )  # fmt: skip
    if spec.is_static and learned_points(model):
        round_biases(model, model_inputs(model, checkpoint.probes))
    elif spec.is_static and request.note is not None:
        request.note(
            f"This model stores no activations in {spec.name}: each matmul rounds its inputs row "
            "by row, as in dynamic_int8, which needs no calibration."
        )
    return model, spec.bits, patterns


def _exported(
    checkpoint: Checkpoint, model: keras.Model, bits: Mapping[str, Any], keep: Sequence[str],
    length: int, marks: Sequence[Mark],
) -> keras.Model:  # fmt: skip
    """The model whose graph is converted, with position tables cut to the file's input length.

    Its kernels are not rounded in the graph: the converter rejects a per-channel FakeQuant on a
    kernel. Those without a mark are on their grid, from which the converter derives the same
    scales. Its outputs are standardized, see `in_units`.
    """
    shape = checkpoint.config.replace(max_length=length)
    with unset_weights():
        exported = build(shape, checkpoint.task.head().standard(), bits=bits, keep=keep)
    marked = {path for mark in marks for path in mark.paths}
    weights = shared_weights(model) | grid_weights(model, without=marked)
    for layer in exported.layers:
        if isinstance(layer, LearnedPositionalEncoding):
            path = layer.embeddings.path
            weights[path] = weights[path][:length]
    set_weights(exported, weights)
    for layer in all_layers(exported):
        if isinstance(layer, KernelLayer | TokenEmbedding):
            layer.stay_float()
    return exported


def checked_lengths(checkpoint: Checkpoint, lengths: Sequence[int] | None) -> list[int]:
    """Returns the lengths of a file in ascending order, each once; the checkpoint's own by default.

    Raises:
        InputError: if a length is below 1, above the model's positions, or above the learned
            positions that training reached, or the longest has no room beside the stride of the
            windows that a text is read in.
    """
    given, own = lengths, checkpoint.max_length
    lengths = sorted(set(lengths or [own]))
    if lengths != [own] and not any(spec.is_variable for spec in checkpoint.inputs):
        raise InputError(
            f"Expected no lengths for inputs of {checkpoint.modality.name}, which have one shape, "
            f"got lengths={','.join(map(str, given))}."
        )
    for length in (lengths[0], lengths[-1]):
        if not 1 <= length <= checkpoint.config.max_length:
            raise InputError(
                f"Expected lengths from 1 to the model's {checkpoint.config.max_length}, "
                f"got length={length}."
            )
    if lengths[-1] > checkpoint.longest:
        raise InputError(
            f"Expected lengths up to the {checkpoint.longest} tokens that the model was trained "
            f"on, as it learned no positions beyond them, got length={lengths[-1]}; train "
            "it with a larger max_length."
        )
    for task in getattr(checkpoint.task, "tasks", {"": checkpoint.task}).values():
        check_windows(task.output, checkpoint.modality, lengths[-1], getattr(task, "stride", 0))
    return lengths


def _to_flatbuffer(
    signatures: Mapping[str, tf.types.experimental.GenericFunction], model: keras.Model,
    marks: Sequence[Mark], spec: Precision, *, allow_custom_ops: bool,
) -> bytes:  # fmt: skip
    """Runs the converter on signatures that share their weights."""
    with temporary_folder() as folder:
        _save(signatures, model, marks, str(folder))
        # The traced graphs are many times as large as what was saved.
        release_freed_memory(model)
        converter = tf.lite.TFLiteConverter.from_saved_model(
            str(folder), signature_keys=list(signatures)
        )
        converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS]
        converter.allow_custom_ops = allow_custom_ops
        # `compact` drops it, and to add it the converter reads and writes the whole file once more.
        converter.exclude_conversion_metadata = True
        if spec.is_static or spec.name == "float16":
            converter.optimizations = [tf.lite.Optimize.DEFAULT]
        if spec.name == "float16":
            converter.target_spec.supported_types = [tf.float16]
        return converter.convert()


def _save(signatures, model, marks, folder):
    """Traces signatures and saves them."""
    module, marked = tf.Module(), Marked(model, marks)
    with without_own_gradients():
        concrete = {name: marked.traced(function) for name, function in signatures.items()}
    # Variables that a function closes over are saved only if the module refers to them.
    module.captured = [one.variables for one in concrete.values()]
    tf.saved_model.save(module, folder, signatures=concrete)
