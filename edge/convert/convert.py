"""From a checkpoint to a `.tflite` file that is shown to be the same model."""

import dataclasses
import tempfile
from collections.abc import Mapping, Sequence
from typing import Any

import keras
import tensorflow as tf

from keras_transformer.edge.compare.parity import Parity
from keras_transformer.edge.convert.provenance import provenance
from keras_transformer.edge.precision import Precision, get_precision, kept_patterns, precision_of
from keras_transformer.edge.quantize.qat import grid_weights, quantized_model
from keras_transformer.edge.quantize.rounding import round_biases
from keras_transformer.edge.runtime.packed import pack
from keras_transformer.edge.targets.target import Target
from keras_transformer.edge.tflite.compact import compact
from keras_transformer.edge.tflite.narrow import narrow, stored_kernels
from keras_transformer.edge.tflite.rewrite import rewrite
from keras_transformer.edge.tflite.schema import (
    check_integers,
    check_kernels,
    output_step,
)
from keras_transformer.embeddings import TokenEmbedding
from keras_transformer.positions import LearnedPositionalEncoding
from keras_transformer.quantization import Projection
from keras_transformer.zoo.checkpoint import Checkpoint
from keras_transformer.zoo.data.batches import Batches
from keras_transformer.zoo.errors import InputError
from keras_transformer.zoo.models.build import all_layers, build, set_weights
from keras_transformer.zoo.models.predict import model_inputs


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Converted:
    """A converted model.

    Attributes:
        data: the bytes of the file.
        precision: its precision.
        parity: how closely it follows the Keras model on the checkpoint's probes.
        description: what the file says of itself.
    """

    data: bytes
    precision: str
    parity: Parity
    description: Mapping[str, Any]


def convert(
    checkpoint: Checkpoint,
    precision: str,
    *,
    calibration: Batches | None = None,
    percentile: float = 100.0,
    keep: Sequence[str] = (),
    lengths: Sequence[int] | None = None,
    target: Target | None = None,
) -> Converted:
    """Converts a model, strictly: TFLite builtins only, static shapes, kernels as narrow as asked.

    Args:
        checkpoint: a float checkpoint, or a quantized one of this precision.
        precision: see `precision`.
        calibration: batches that set the ranges when a float checkpoint becomes one of integers.
        percentile: see `ranges.calibrate`.
        keep: layers of a float checkpoint that stay float, such as `encoder/block_0/*=float32`.
        lengths: tokens of the file's inputs, a signature each; the longest is that of the caches
            of a model that generates. The checkpoint's own length by default.
        target: the host that the file is for; by default one that calls signatures with ids.

    Raises:
        InputError: for an unknown precision, one that does not fit the checkpoint or the target,
            or missing calibration data.
        RunError: an op or a kernel is not as it has to be, or the file does not follow the model.
    """
    spec = get_precision(precision)
    lengths = checked_lengths(checkpoint, lengths)
    target = Target() if target is None else target
    target.check(checkpoint, spec, lengths)
    model, bits, kept = _simulation(checkpoint, spec, calibration, percentile, keep)
    exported = _exported(checkpoint, model, bits, kept, lengths[-1])
    signatures = target.signatures(checkpoint, exported, lengths, spec)
    flatbuffer = _to_flatbuffer(signatures, spec, allow_custom_ops=bool(target.custom_ops))
    flatbuffer = rewrite(flatbuffer)
    stored = stored_kernels(model, spec)
    if spec.rounds_kernels and not spec.is_static:
        flatbuffer = narrow(flatbuffer, stored)
    target.check_graph(flatbuffer)
    check_kernels(flatbuffer, spec.kernel_type, stored.others)
    if spec.inner_bits is not None:
        check_integers(flatbuffer)
    facts = target.facts(flatbuffer)
    flatbuffer = target.finish(compact(flatbuffer))
    description = {
        "bundle": target.name,
        "output": target.output(checkpoint),
        "custom_ops": list(target.custom_ops),
        "about": dataclasses.asdict(target.about),
        "task": checkpoint.task.to_json(),
        "precision": precision,
        "max_length": lengths[-1],
        "lengths": lengths,
        "model": checkpoint.config.to_json(),
        "recipe": checkpoint.recipe.model.name,
        "columns": checkpoint.columns,
        "output_step": output_step(flatbuffer),
        "layers": target.layers(checkpoint, model, flatbuffer, lengths[-1], precision),
        "metrics": _plain(checkpoint.metrics),
        "provenance": provenance(checkpoint),
        **facts,
    }
    files = {
        **checkpoint.tokenizer_files(),
        **target.files(),
        "labels.txt": "".join(f"{label}\n" for label in checkpoint.labels).encode(),
    }
    data = pack(flatbuffer, description, files, is_stored=target.is_stored)
    parity = target.parity(model, checkpoint, data)
    parity.check(spec, float_output=bool(kept) and description["output_step"] is None)
    return Converted(data=data, precision=precision, parity=parity, description=description)


def _simulation(
    checkpoint: Checkpoint, spec: Precision, calibration: Batches | None, percentile: float,
    keep: Sequence[str],
) -> tuple[keras.Model, Mapping[str, Any], Sequence[str]]:  # fmt: skip
    """The model that the file has to follow, its widths, and the patterns of what stays float."""
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
        return checkpoint.model, checkpoint.bits, checkpoint.keep
    patterns = kept_patterns(spec, keep)
    if not spec.rounds_kernels:
        return checkpoint.model, spec.bits, patterns
    if spec.is_static and calibration is None:
        raise InputError(
            f"Expected calibration data to convert a float checkpoint to {spec.name}; give "
            "--calibration FILE, or train it on with keras-transformer quantize first."
        )
    model = quantized_model(checkpoint, calibration, spec.name, keep, percentile=percentile)
    if spec.is_static:
        round_biases(model, model_inputs(checkpoint.task, checkpoint.probes))
    return model, spec.bits, patterns


def _exported(
    checkpoint: Checkpoint, model: keras.Model, bits: Mapping[str, Any], keep: Sequence[str],
    length: int,
) -> keras.Model:  # fmt: skip
    """The model whose graph is converted: its tables of positions end where the file's inputs do.

    Its kernels lie on their grid and are not rounded in the graph: the converter finds the same
    scales from the values, and rejects a per-channel FakeQuant on a kernel.
    """
    shape = checkpoint.config.replace(max_length=length)
    exported = build(shape, checkpoint.task, bits=bits, keep=keep)
    weights = grid_weights(model)
    for layer in exported.layers:
        if isinstance(layer, LearnedPositionalEncoding):
            path = layer.embeddings.path
            weights[path] = weights[path][:length]
    set_weights(exported, weights)
    for layer in all_layers(exported):
        if isinstance(layer, Projection | TokenEmbedding):
            layer.stay_float()
    return exported


def checked_lengths(checkpoint: Checkpoint, lengths: Sequence[int] | None) -> list[int]:
    """Returns the lengths of a file in ascending order, each once; the checkpoint's own by default.

    Raises:
        InputError: the model has fewer positions, or a length is below 1.
    """
    lengths = sorted(set(lengths or [checkpoint.max_length]))
    for length in (lengths[0], lengths[-1]):
        if not 1 <= length <= checkpoint.config.max_length:
            raise InputError(
                f"Expected lengths from 1 to the model's {checkpoint.config.max_length}, "
                f"got length={length}."
            )
    return lengths


def _to_flatbuffer(
    signatures: Mapping[str, tf.types.experimental.GenericFunction], spec: Precision, *,
    allow_custom_ops: bool,
) -> bytes:  # fmt: skip
    """Runs the converter on signatures, which share their weights."""
    module = tf.Module()
    module.functions = list(signatures.values())
    concrete = {name: function.get_concrete_function() for name, function in signatures.items()}
    # The variables that a function closes over are saved only if the module holds them.
    module.captured = [one.variables for one in concrete.values()]
    with tempfile.TemporaryDirectory() as folder:
        tf.saved_model.save(module, folder, signatures=concrete)
        converter = tf.lite.TFLiteConverter.from_saved_model(folder, signature_keys=list(concrete))
        converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS]
        converter.allow_custom_ops = allow_custom_ops
        if spec.is_static or spec.name == "float16":
            converter.optimizations = [tf.lite.Optimize.DEFAULT]
        if spec.name == "float16":
            converter.target_spec.supported_types = [tf.float16]
        return converter.convert()


def _plain(metrics: Mapping[str, Any]) -> dict[str, Any]:
    """Validation metrics without the table by class."""
    validation = metrics.get("validation") or {}
    return {name: value for name, value in validation.items() if not isinstance(value, dict)}
