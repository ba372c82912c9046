"""From a checkpoint to a `.tflite` file that is shown to be the same model."""

import dataclasses
import tempfile
from collections.abc import Mapping, Sequence
from typing import Any

import keras
import tensorflow as tf

from keras_transformer.edge.biases import round_biases
from keras_transformer.edge.bundle import pack
from keras_transformer.edge.compact import compact
from keras_transformer.edge.flatbuffer import check_kernels, check_ops, output_step
from keras_transformer.edge.layers import find_layers
from keras_transformer.edge.parity import Parity, measure_parity
from keras_transformer.edge.precision import Precision, get_precision
from keras_transformer.edge.qat import grid_weights, quantized_model
from keras_transformer.edge.signatures import make_signatures
from keras_transformer.positions import LearnedPositionalEncoding
from keras_transformer.zoo.batches import Batches
from keras_transformer.zoo.errors import InputError
from keras_transformer.zoo.models import build, get_weights, set_weights
from keras_transformer.zoo.trained import Trained, model_inputs


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Converted:
    """A converted model.

    Attributes:
        data: the bytes of the file.
        precision: its precision.
        parity: how closely it follows the Keras model on the checkpoint's probes.
    """

    data: bytes
    precision: str
    parity: Parity


def convert(
    trained: Trained,
    precision: str,
    *,
    calibration: Batches | None = None,
    lengths: Sequence[int] | None = None,
) -> Converted:
    """Converts a model, strictly: TFLite builtins only, static shapes, kernels as narrow as asked.

    Args:
        trained: a float checkpoint, or a quantized one for `int8`.
        precision: see `precision`.
        calibration: batches that set the ranges when a float checkpoint becomes `int8`.
        lengths: tokens of the file's inputs, a signature each; the longest is that of the caches
            of a model that generates. The checkpoint's own length by default.

    Raises:
        InputError: for an unknown precision, one that does not fit the checkpoint, or missing
            calibration data.
        RunError: an op or a kernel is not as it has to be, or the file does not follow the model.
    """
    spec = get_precision(precision)
    lengths = _lengths(trained, lengths)
    if trained.is_quantized and not spec.is_static:
        raise InputError(
            f"Expected precision int8 for a quantized checkpoint, got precision={precision}; "
            "convert the float checkpoint that it was made from."
        )
    model = _simulation(trained, spec, calibration)
    signatures = make_signatures(trained, _exported(trained, model, spec, lengths[-1]), lengths)
    flatbuffer = _to_flatbuffer(signatures, spec)
    check_ops(flatbuffer)
    check_kernels(flatbuffer, spec.kernel_type, spec.smallest_kernel)
    flatbuffer = compact(flatbuffer)
    description = {
        "task": trained.task_spec.to_json(),
        "precision": precision,
        "max_length": lengths[-1],
        "lengths": lengths,
        "model": trained.config.to_json(),
        "recipe": trained.recipe.model,
        "columns": trained.columns,
        "output_step": output_step(flatbuffer),
        "layers": find_layers(trained, model, flatbuffer, lengths[-1], precision),
        "metrics": _plain(trained.metrics),
    }
    files = {
        **trained.tokenizer_files(),
        "labels.txt": "".join(f"{label}\n" for label in trained.labels).encode(),
    }
    data = pack(flatbuffer, description, files)
    parity = measure_parity(model, trained, data)
    parity.check(spec)
    return Converted(data=data, precision=precision, parity=parity)


def _simulation(trained: Trained, spec: Precision, calibration: Batches | None) -> keras.Model:
    if not spec.is_static or trained.is_quantized:
        return trained.model
    if calibration is None:
        raise InputError(
            "Expected calibration data to convert a float checkpoint to int8; give --calibration "
            "FILE, or train it on with keras-transformer quantize first."
        )
    model = quantized_model(trained, calibration)
    round_biases(model, model_inputs(trained.task_spec, trained.probes))
    return model


def _exported(
    trained: Trained, model: keras.Model, spec: Precision, length: int
) -> keras.Model:
    """The model whose graph is converted: its tables of positions end where the file's inputs do.

    For int8 its kernels lie on their grid and are not rounded in the graph: the converter finds
    the same scales from the values, and rejects a per-channel FakeQuant on a kernel.
    """
    config = trained.config.replace(max_length=length)
    if spec.is_static:
        exported = build(config, trained.task_spec, activation_bits=spec.activation_bits)
        weights = grid_weights(model)
    else:
        exported = build(config, trained.task_spec)
        weights = get_weights(model)
    for layer in exported.layers:
        if isinstance(layer, LearnedPositionalEncoding):
            path = layer.embeddings.path
            weights[path] = weights[path][:length]
    set_weights(exported, weights)
    return exported


def _lengths(trained: Trained, lengths: Sequence[int] | None) -> list[int]:
    """The lengths in ascending order, each once."""
    lengths = sorted(set(lengths or [trained.max_length]))
    for length in (lengths[0], lengths[-1]):
        if not 1 <= length <= trained.config.max_length:
            raise InputError(
                f"Expected lengths from 1 to the model's {trained.config.max_length}, "
                f"got length={length}."
            )
    return lengths


def _to_flatbuffer(
    signatures: Mapping[str, tf.types.experimental.GenericFunction], spec: Precision
) -> bytes:
    """Runs the converter on signatures of static shapes, which share their weights."""
    module = tf.Module()
    module.functions = list(signatures.values())
    concrete = {name: function.get_concrete_function() for name, function in signatures.items()}
    # The variables that a function closes over are saved only if the module holds them.
    module.captured = [one.variables for one in concrete.values()]
    with tempfile.TemporaryDirectory() as folder:
        tf.saved_model.save(module, folder, signatures=concrete)
        converter = tf.lite.TFLiteConverter.from_saved_model(folder, signature_keys=list(concrete))
        converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS]
        if spec.name != "float32":
            converter.optimizations = [tf.lite.Optimize.DEFAULT]
        if spec.name == "float16":
            converter.target_spec.supported_types = [tf.float16]
        return converter.convert()


def _plain(metrics: Mapping[str, Any]) -> dict[str, Any]:
    """Validation metrics without the table by class."""
    validation = metrics.get("validation") or {}
    return {name: value for name, value in validation.items() if not isinstance(value, dict)}
