"""The operands of a layer's product, for who computes it in parts."""

from keras import ops

from keras_transformer.embeddings import TokenEmbedding
from keras_transformer.low_rank import LowRankProjection


def last_product(layer, inputs):
    """Returns what a float layer multiplies and adds last: its output is `x table^T + bias`.

    Args:
        layer: `TokenEmbedding`, of which these are the logits, or a projection with the factor 1.
        inputs: vectors (B, T, D).

    Returns:
        The vectors x (B, T, D'), of the layer's inner width where it has one; the table (V, D'),
        in the dtype of its weight; and the bias (V,), or None.
    """
    if isinstance(layer, TokenEmbedding):
        x, table = inputs, _value(layer.embeddings)
        bias = layer.bias if layer.logits_bias else None
    else:
        x = inputs
        if isinstance(layer, LowRankProjection):
            x, layer = layer.reduce(inputs), layer.expand
        table = ops.transpose(_value(layer.kernel))
        bias = layer.bias if layer.use_bias else None
    bias = None if bias is None else _value(bias)
    return ops.cast(x, layer.compute_dtype), table, bias


def _value(variable):
    # TensorFlow's own variables are no arguments of a function with gradients of its own.
    return ops.copy(ops.convert_to_tensor(variable))
