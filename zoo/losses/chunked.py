"""The cross entropy of tokens whose logits are never held all at once."""

import keras
from keras import ops

from keras_transformer.last_product import last_product
from keras_transformer.zoo.data.batches import NO_TARGET


class ChunkedLoss(keras.losses.Loss):
    """`TokenLoss` of targets (B, T) and of the vectors (B, T, D) that the logits are made of.

    Args:
        layer: float layer that makes the logits, see `last_product`.
        chunk, label_smoothing: see `chunked_token_loss`.
    """

    def __init__(
        self, layer: keras.layers.Layer, chunk: int, label_smoothing: float = 0.0,
        name="chunked_loss", **kwargs,
    ):  # fmt: skip
        super().__init__(name=name, **kwargs)
        self._layer, self._chunk, self._label_smoothing = layer, chunk, label_smoothing

    def call(self, y_true, y_pred):
        return chunked_token_loss(
            y_true, *last_product(self._layer, y_pred), chunk=self._chunk,
            label_smoothing=self._label_smoothing,
        )  # fmt: skip


def chunked_token_loss(targets, vectors, table, bias=None, *, chunk, label_smoothing=0.0):
    """`token_loss` of targets and of the logits `vectors table^T + bias`, in chunks of tokens.

    A chunk's logits become its share of the gradients at once, and are gone before the next one's:
    memory for (chunk, V) in place of (B T, V), and no product is computed twice (as in Liger
    Kernel, Hsu et al. 2024, arXiv:2410.10989, section 3.2). It is meant for training: a loss
    without gradients costs as much.

    A chunk has the same positions of all rows, so that rows which devices share stay where they
    are.

    Args:
        targets: ids (B, T), `NO_TARGET` where a position is ignored.
        vectors: (B, T, D), in the dtype of the products.
        table: (V, D).
        bias: (V,), or None.
        chunk: number of tokens of a chunk; at least one position of each row.
        label_smoothing: fraction of each target that is spread over the vocabulary.

    Returns:
        The mean in nats, float32.
    """
    targets = ops.cast(targets, "int32")
    num_real = ops.sum(ops.cast(ops.not_equal(targets, NO_TARGET), "float32"))
    rows, length = ops.shape(vectors)[:2]
    size, width = table.shape
    part = ops.maximum(1, chunk // rows) if ops.is_tensor(rows) else max(1, chunk // rows)
    count = -(-length // part)
    missing = count * part - length
    targets = ops.pad(targets, ((0, 0), (0, missing)), constant_values=NO_TARGET)
    if bias is None:
        bias = ops.zeros((size,), table.dtype)

    @ops.custom_gradient
    def total_nats(vectors, table, bias):
        dtype = vectors.dtype
        kernel, offset = ops.cast(table, dtype), ops.cast(bias, dtype)
        padded = ops.pad(vectors, ((0, 0), (0, missing), (0, 0)))

        def add(number, state):
            nats, of_vectors, of_table, of_bias = state
            start = number * part
            x = ops.slice(padded, (0, start, 0), (rows, part, width))
            ids = ops.slice(targets, (0, start), (rows, part))
            is_real = ops.cast(ops.not_equal(ids, NO_TARGET), "float32")
            logits = ops.matmul(x, ops.transpose(kernel)) + offset
            logits = ops.reshape(ops.cast(logits, "float32"), (-1, size))
            own = ops.one_hot(ops.reshape(ops.maximum(ids, 0), (-1,)), size, dtype="float32")
            share = own * (1.0 - label_smoothing) + label_smoothing / size
            log_sum = ops.logsumexp(logits, axis=-1, keepdims=True)
            is_real = ops.reshape(is_real, (-1, 1))
            nats = nats + ops.sum((log_sum - ops.sum(share * logits, -1, keepdims=True)) * is_real)
            slope = ops.cast((ops.exp(logits - log_sum) - share) * is_real, dtype)
            flat = ops.reshape(x, (-1, width))
            of_x = ops.reshape(ops.matmul(slope, kernel), (rows, part, width))
            of_vectors = ops.slice_update(of_vectors, (0, start, 0), of_x)
            of_table = of_table + ops.cast(ops.matmul(ops.transpose(slope), flat), "float32")
            of_bias = of_bias + ops.sum(ops.cast(slope, "float32"), axis=0)
            return nats, of_vectors, of_table, of_bias

        nats, of_vectors, of_table, of_bias = ops.fori_loop(
            0, count, add,
            (ops.zeros(()), ops.zeros_like(padded), ops.zeros((size, width)), ops.zeros((size,))),
        )  # fmt: skip

        def gradient(*args, upstream=None):
            upstream = args[0] if upstream is None else upstream
            return tuple(
                ops.cast(upstream * ops.cast(one, "float32"), kept.dtype)
                for one, kept in ((of_vectors[:, :length], vectors), (of_table, table),
                                  (of_bias, bias))
            )  # fmt: skip

        return nats, gradient

    return total_nats(vectors, table, bias) / ops.maximum(num_real, 1.0)
