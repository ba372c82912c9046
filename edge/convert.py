"""From a checkpoint to a `.tflite` file that is shown to be the same model."""

import dataclasses
import tempfile
from collections.abc import Mapping
from typing import Any

import keras
import tensorflow as tf

from keras_transformer.edge.bundle import pack
from keras_transformer.edge.compact import compact
from keras_transformer.edge.flatbuffer import check_kernels, check_ops, output_step
from keras_transformer.edge.parity import Parity, measure_parity
from keras_transformer.edge.precision import Precision, get_precision
from keras_transformer.edge.qat import grid_weights, quantized_model
from keras_transformer.edge.runtime import SIGNATURE
from keras_transformer.zoo.batches import Batches
from keras_transformer.zoo.errors import InputError
from keras_transformer.zoo.models import build, set_weights
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
    max_length: int | None = None,
) -> Converted:
    """Converts a model, strictly: TFLite builtins only, static shapes, kernels as narrow as asked.

    Args:
        trained: a float checkpoint, or a quantized one for `int8`.
        precision: see `precision`.
        calibration: batches that set the ranges when a float checkpoint becomes `int8`.
        max_length: tokens of the file's input, the checkpoint's by default.

    Raises:
        InputError: for an unknown precision, one that does not fit the checkpoint, or missing
            calibration data.
        RunError: an op or a kernel is not as it has to be, or the file does not follow the model.
    """
    spec = get_precision(precision)
    length = max_length or trained.max_length
    if length > trained.config.max_length:
        raise InputError(
            f"Expected max_length to be at most the model's {trained.config.max_length}, "
            f"got max_length={length}."
        )
    if trained.is_quantized and not spec.is_static:
        raise InputError(
            f"Expected precision int8 for a quantized checkpoint, got precision={precision}; "
            "convert the float checkpoint that it was made from."
        )
    model = _simulation(trained, spec, calibration)
    flatbuffer = _to_flatbuffer(_exported(trained, model, spec), trained, spec, length)
    check_ops(flatbuffer)
    check_kernels(flatbuffer, spec.kernel_type, spec.smallest_kernel)
    flatbuffer = compact(flatbuffer)
    description = {
        "task": trained.task_spec.to_json(),
        "precision": precision,
        "max_length": length,
        "model": trained.config.to_json(),
        "recipe": trained.recipe.model,
        "columns": {
            name: getattr(trained.recipe, name) for name in ("text", "text_pair", "label")
        },
        "output_step": output_step(flatbuffer),
        "metrics": _plain(trained.metrics),
    }
    files = {
        **trained.tokenizer.to_files(),
        "labels.txt": "".join(f"{label}\n" for label in trained.labels).encode(),
    }
    data = pack(flatbuffer, description, files)
    parity = measure_parity(model, trained, data, length)
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
    return quantized_model(trained, calibration)


def _exported(trained: Trained, model: keras.Model, spec: Precision) -> keras.Model:
    """The model whose graph is converted.

    For int8 its kernels lie on their grid and are not rounded in the graph: the converter finds
    the same scales from the values, and rejects a per-channel FakeQuant on a kernel.
    """
    if not spec.is_static:
        return model
    exported = build(trained.config, trained.task_spec, activation_bits=spec.activation_bits)
    set_weights(exported, grid_weights(model))
    return exported


def _to_flatbuffer(
    model: keras.Model, trained: Trained, spec: Precision, length: int
) -> bytes:
    """Runs the converter on one signature with a batch of 1 and a static length."""
    names = model_inputs(trained.task_spec, {"ids": None, "segment_ids": None})
    signature = {name: tf.TensorSpec((1, length), tf.int32, name=name) for name in names}

    @tf.function(input_signature=[signature], autograph=False)
    def predict(inputs):
        return {"output": model(inputs, training=False)}

    module = tf.Module()
    module.variables_of_model = [variable.value for variable in model.variables]
    module.predict = predict
    with tempfile.TemporaryDirectory() as folder:
        concrete = predict.get_concrete_function()
        tf.saved_model.save(module, folder, signatures={SIGNATURE: concrete})
        converter = tf.lite.TFLiteConverter.from_saved_model(folder, signature_keys=[SIGNATURE])
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
