"""Outputs of a Keras model and of a file for the rows that a checkpoint keeps for comparisons."""

from collections.abc import Mapping, Sequence

import keras
import numpy as np
from keras import ops

from keras_transformer.edge.graphs.shared_blocks import shared_blocks
from keras_transformer.zoo.checkpoint import Checkpoint
from keras_transformer.zoo.generation.text import Model
from keras_transformer.zoo.masking.masking import mask_id
from keras_transformer.zoo.models.running.predict import PREDICT_TOKENS, model_inputs
from keras_transformer.zoo.outputs import MASKS
from keras_transformer.zoo.predictor import Predictor


def keras_outputs(model: keras.Model, inputs: Mapping[str, np.ndarray]) -> np.ndarray:
    """Returns the model's outputs, computed eagerly.

    Tracing and compiling a whole graph takes many times what it would save for inputs that run
    once; for those that run one after another see `shared_blocks`.
    """
    return ops.convert_to_numpy(model(inputs, training=False))


def at_positions(
    outputs: np.ndarray, predictor: Predictor, inputs: Mapping[str, np.ndarray]
) -> np.ndarray:
    """Returns outputs as rows (rows, outputs) of which each has a choice.

    Of outputs (rows, T, outputs) each position is one, padding left out, which nothing reads; of
    logits of masked pieces each [MASK]. Of spans (rows, T, 2) the logits (T,) of each begin and
    each end are one; padding has the lowest.
    """
    if outputs.ndim == 2:
        return outputs
    if predictor.output_kind == MASKS:
        return outputs[inputs["ids"] == mask_id(predictor.tokenizer)]
    is_real = np.arange(outputs.shape[1]) < predictor.modality.num_real(inputs)[:, None]
    if not predictor.answers_questions:
        return outputs[is_real]
    ends, is_real = np.concatenate([outputs[..., 0], outputs[..., 1]]), np.tile(is_real, (2, 1))
    lowest = np.where(is_real, ends, np.inf).min(axis=1, keepdims=True)
    return np.where(is_real, ends, lowest)


def model_outputs(model: keras.Model, checkpoint: Checkpoint, length: int) -> np.ndarray:
    """Returns a model's outputs (rows, outputs) for the probes, of which a file's are compared."""
    if not checkpoint.task.generates:
        inputs = probe_inputs(checkpoint, length)
        outputs = keras_outputs(model, model_inputs(model, inputs))
        return at_positions(outputs, checkpoint, inputs)
    probes = cut_probes(checkpoint.probes, length)
    found = []
    with shared_blocks(model):
        for row, first, last in _written(probes):
            # Row by row: the logits of a large vocabulary take more than the model.
            logits = keras_outputs(model, {name: rows[row][None] for name, rows in probes.items()})
            found.append(logits[0, first:last])
    return np.concatenate(found)


def probe_inputs(checkpoint: Checkpoint, length: int) -> dict[str, np.ndarray]:
    """Returns the probes as a file of a length reads them."""
    # Both get the same padding: padded positions are rounded and clipped too.
    return {spec.name: spec.fit(checkpoint.probes[spec.name], length) for spec in checkpoint.inputs}


def cut_probes(
    columns: Mapping[str, Sequence[np.ndarray]], length: int
) -> dict[str, list[np.ndarray]]:
    """Returns rows of a model that generates as a file of a length reads them: their first ids."""
    return {
        name: [row if row.dtype.kind == "f" else row[:length] for row in rows]
        for name, rows in columns.items()
    }


def sources_of(columns: Mapping[str, Sequence[np.ndarray]]) -> str | None:
    """Returns the name of the column of sources among a generating model's inputs, if any."""
    return next((name for name in columns if name != "ids"), None)


def unpadded(row: np.ndarray) -> np.ndarray:
    """Returns ids without the padding behind them; samples as they are."""
    return row if row.dtype.kind == "f" else np.trim_zeros(row, "b")


def padded_outputs(
    checkpoint: Checkpoint, inputs: Mapping[str, np.ndarray], length: int
) -> np.ndarray:
    """Returns the outputs (rows, outputs) for inputs (rows, T, ...), padding included.

    Batches are not trimmed: quantization rounds padded positions too, and the file reads them all.
    """
    inputs = model_inputs(checkpoint.model, inputs)
    count, rows = len(next(iter(inputs.values()))), max(1, PREDICT_TOKENS // length)
    parts = []
    for start in range(0, count, rows):
        part = {name: array[start : start + rows] for name, array in inputs.items()}
        parts.append(np.asarray(checkpoint.model.predict_on_batch(part)))
    return np.concatenate(parts)


def _written(probes):
    """The number of each row, of the first of its tokens that are compared, and of its tokens.

    `prefill` reads a longer part of each next probe, so that every signature runs.
    """
    for row, ids in enumerate(probes["ids"]):
        num_tokens = int(np.count_nonzero(ids))
        first = 0 if sources_of(probes) else row * num_tokens // len(probes["ids"])
        yield row, first, num_tokens


def next_tokens(
    model: keras.Model, checkpoint: Checkpoint, steps: Model
) -> tuple[np.ndarray, np.ndarray]:
    """Returns the logits (positions, V) after each token of the probes.

    The model's are computed all at once, the file's step by step.
    """
    expected = model_outputs(model, checkpoint, steps.cache_length)
    return expected, stepwise_outputs(checkpoint, steps)


def stepwise_outputs(checkpoint: Checkpoint, steps: Model) -> np.ndarray:
    """Returns the logits (positions, V) after each token of the probes, computed step by step."""
    outputs, probes = [], cut_probes(checkpoint.probes, steps.cache_length)
    sources = sources_of(probes)
    for row, first, num_tokens in _written(probes):
        ids = probes["ids"][row]
        if sources is not None:
            cache = steps.encode([unpadded(probes[sources][row])])
        else:
            cache = steps.prefill(ids[None, :first])
        for place in range(first, num_tokens):
            found, cache = steps.step(ids[place : place + 1], cache)
            outputs.append(found[0])
    return np.array(outputs)
