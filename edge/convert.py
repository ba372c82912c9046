"""From a checkpoint to a `.tflite` file that is shown to be the same model."""

import dataclasses
import tempfile
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import keras
import tensorflow as tf

from keras_transformer.edge.biases import round_biases
from keras_transformer.edge.bundle import pack
from keras_transformer.edge.compact import compact
from keras_transformer.edge.flatbuffer import (
    check_integers,
    check_kernels,
    check_ops,
    output_step,
)
from keras_transformer.edge.layers import find_layers
from keras_transformer.edge.narrow import narrow, stored_kernels
from keras_transformer.edge.parity import Parity, measure_parity
from keras_transformer.edge.precision import Precision, get_precision, mixed_bits, precision_of
from keras_transformer.edge.qat import grid_weights, quantized_model
from keras_transformer.edge.rewrite import rewrite
from keras_transformer.edge.signatures import make_signatures
from keras_transformer.embeddings import TokenEmbedding
from keras_transformer.positions import LearnedPositionalEncoding
from keras_transformer.quantization import Projection
from keras_transformer.zoo.batches import Batches
from keras_transformer.zoo.errors import InputError
from keras_transformer.zoo.models import all_layers, build, set_weights
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


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Graph:
    """A TFLite graph and the model that it has to follow.

    Attributes:
        flatbuffer: the graph.
        model: the Keras model; of a quantized file the one that simulates it.
        spec: the precision.
        bits: the scalars that the model is built with.
    """

    flatbuffer: bytes
    model: keras.Model
    spec: Precision
    bits: Mapping[str, Any]

    def check(self, parity: Parity) -> None:
        """Raises RunError when the graph differs from the model by more than rounding explains."""
        is_float = bool(self.bits.get("keep")) and output_step(self.flatbuffer) is None
        parity.check(self.spec, float_output=is_float)


def convert(
    trained: Trained,
    precision: str,
    *,
    calibration: Batches | None = None,
    percentile: float = 100.0,
    keep: Sequence[str] = (),
    lengths: Sequence[int] | None = None,
) -> Converted:
    """Converts a model, strictly: TFLite builtins only, static shapes, kernels as narrow as asked.

    Args:
        trained: a float checkpoint, or a quantized one of this precision.
        precision: see `precision`.
        calibration: batches that set the ranges when a float checkpoint becomes one of integers.
        percentile: see `ranges.calibrate`.
        keep: layers of a float checkpoint that stay float, such as `encoder/block_0/*=float32`.
        lengths: tokens of the file's inputs, a signature each; the longest is that of the caches
            of a model that generates. The checkpoint's own length by default.

    Raises:
        InputError: for an unknown precision, one that does not fit the checkpoint, or missing
            calibration data.
        RunError: an op or a kernel is not as it has to be, or the file does not follow the model.
    """
    lengths = checked_lengths(trained, lengths)
    graph = to_graph(
        trained, precision, calibration=calibration, percentile=percentile, keep=keep,
        lengths=lengths,
    )  # fmt: skip
    flatbuffer = graph.flatbuffer
    description = {
        "task": trained.task_spec.to_json(),
        "precision": precision,
        "max_length": lengths[-1],
        "lengths": lengths,
        "model": trained.config.to_json(),
        "recipe": trained.recipe.model,
        "columns": trained.columns,
        "output_step": output_step(flatbuffer),
        "layers": find_layers(trained, graph.model, flatbuffer, lengths[-1], precision),
        "metrics": _plain(trained.metrics),
    }
    files = {
        **trained.tokenizer_files(),
        "labels.txt": "".join(f"{label}\n" for label in trained.labels).encode(),
    }
    data = pack(flatbuffer, description, files)
    parity = measure_parity(graph.model, trained, data)
    graph.check(parity)
    return Converted(data=data, precision=precision, parity=parity)


def to_graph(
    trained: Trained,
    precision: str,
    *,
    lengths: Sequence[int],
    calibration: Batches | None = None,
    percentile: float = 100.0,
    keep: Sequence[str] = (),
    signatures: Callable = make_signatures,
) -> Graph:
    """Converts a model without what a file of ours holds beside its graph.

    Args:
        trained, precision, calibration, percentile, keep: see `convert`.
        lengths: what `checked_lengths` returned.
        signatures: makes the entry points, see `make_signatures`.

    Raises:
        InputError: see `convert`.
        RunError: an op or a kernel is not as it has to be.
    """
    spec = get_precision(precision)
    model, bits = _simulation(trained, spec, calibration, percentile, keep)
    exported = _exported(trained, model, bits, lengths[-1])
    flatbuffer = _to_flatbuffer(signatures(trained, exported, lengths), spec)
    check_ops(flatbuffer)
    flatbuffer = rewrite(flatbuffer)
    stored = stored_kernels(model, spec)
    if spec.rounds_kernels and not spec.is_static:
        flatbuffer = narrow(flatbuffer, stored)
    check_kernels(flatbuffer, spec.kernel_type, stored.others)
    if spec.inner_bits is not None:
        check_integers(flatbuffer)
    return Graph(flatbuffer=compact(flatbuffer), model=model, spec=spec, bits=bits)


def _simulation(
    trained: Trained, spec: Precision, calibration: Batches | None, percentile: float,
    keep: Sequence[str],
) -> tuple[keras.Model, Mapping[str, Any]]:  # fmt: skip
    """The model that the file has to follow, and the scalars that it is built with."""
    if trained.is_quantized:
        ready = precision_of(trained.bits).name
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
        return trained.model, trained.bits
    bits = mixed_bits(spec, keep)
    if not spec.rounds_kernels:
        return trained.model, bits
    if spec.is_static and calibration is None:
        raise InputError(
            f"Expected calibration data to convert a float checkpoint to {spec.name}; give "
            "--calibration FILE, or train it on with keras-transformer quantize first."
        )
    model = quantized_model(trained, calibration, spec.name, keep, percentile=percentile)
    if spec.is_static:
        round_biases(model, model_inputs(trained.task_spec, trained.probes))
    return model, bits


def _exported(
    trained: Trained, model: keras.Model, bits: Mapping[str, Any], length: int
) -> keras.Model:
    """The model whose graph is converted: its tables of positions end where the file's inputs do.

    Its kernels lie on their grid and are not rounded in the graph: the converter finds the same
    scales from the values, and rejects a per-channel FakeQuant on a kernel.
    """
    exported = build(trained.config.replace(max_length=length), trained.task_spec, **bits)
    weights = grid_weights(model)
    for layer in exported.layers:
        if isinstance(layer, LearnedPositionalEncoding):
            path = layer.embeddings.path
            weights[path] = weights[path][:length]
    set_weights(exported, weights)
    for layer in all_layers(exported):
        if isinstance(layer, Projection | TokenEmbedding):
            layer.kernel_bits = None
    return exported


def checked_lengths(trained: Trained, lengths: Sequence[int] | None) -> list[int]:
    """Returns the lengths of a file in ascending order, each once; the checkpoint's own by default.

    Raises:
        InputError: the model has fewer positions, or a length is below 1.
    """
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
        if spec.is_static or spec.name == "float16":
            converter.optimizations = [tf.lite.Optimize.DEFAULT]
        if spec.name == "float16":
            converter.target_spec.supported_types = [tf.float16]
        return converter.convert()


def _plain(metrics: Mapping[str, Any]) -> dict[str, Any]:
    """Validation metrics without the table by class."""
    validation = metrics.get("validation") or {}
    return {name: value for name, value in validation.items() if not isinstance(value, dict)}
