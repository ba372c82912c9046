"""The loss in chunks beside the ordinary one, of whole batches."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_transformer.embeddings import TokenEmbedding
from keras_transformer.low_rank import make_projection
from keras_transformer.zoo.losses.chunked import ChunkedLoss, chunked_token_loss
from keras_transformer.zoo.losses.losses import TokenLoss, token_loss

ROWS, LENGTH, WIDTH, SIZE = 3, 7, 5, 11


def drawn(seed=0):
    rng = np.random.default_rng(seed)
    targets = rng.integers(0, SIZE, (ROWS, LENGTH)).astype("int32")
    targets[0, 4:] = targets[2, 0] = -1
    shapes = (ROWS, LENGTH, WIDTH), (SIZE, WIDTH), (SIZE,)
    return targets, [tf.constant(rng.normal(size=shape), "float32") for shape in shapes]


def with_gradients(loss, values):
    # Of unknown length, as Keras traces batches of several lengths.
    @tf.function(input_signature=[tf.TensorSpec((None, None, WIDTH)), tf.TensorSpec((SIZE, WIDTH)),
                                  tf.TensorSpec((SIZE,))])  # fmt: skip
    def run(*values):
        with tf.GradientTape() as tape:
            tape.watch(values)
            found = 3.0 * loss(*values)
        return found, *tape.gradient(found, values)

    return [value.numpy() for value in run(*values)]


@pytest.mark.parametrize("label_smoothing", [0.0, 0.1])
def test_chunks_of_any_size_have_the_same_gradients(label_smoothing):
    targets, values = drawn()

    def plain(vectors, table, bias):
        logits = keras.ops.matmul(vectors, keras.ops.transpose(table)) + bias
        return token_loss(targets, logits, label_smoothing)

    expected = with_gradients(plain, values)
    # A position of each row, some that divide the length or not, and more than there are.
    for chunk in (1, 6, 9, 100):
        def chunked(*values, chunk=chunk):
            return chunked_token_loss(
                targets, *values, chunk=chunk, label_smoothing=label_smoothing
            )

        for ours, theirs in zip(with_gradients(chunked, values), expected, strict=True):
            np.testing.assert_allclose(ours, theirs, rtol=1e-5, atol=1e-6)


def test_a_batch_without_targets_has_no_loss():
    _, values = drawn()
    nothing = np.full((ROWS, LENGTH), -1, "int32")
    for one in with_gradients(lambda *v: chunked_token_loss(nothing, *v, chunk=6), values):
        np.testing.assert_array_equal(one, np.zeros_like(one))


@pytest.mark.parametrize("kind", ["tied", "tied with a bias", "projection", "low rank"])
@pytest.mark.parametrize("dtype", ["float32", "mixed_bfloat16"])
def test_the_loss_of_a_layer_is_that_of_its_logits(kind, dtype):
    targets, (vectors, _, _) = drawn()
    tied = kind.startswith("tied")
    if tied:
        layer = TokenEmbedding(SIZE, WIDTH, logits_bias=kind != "tied", dtype=dtype)
    else:
        layer = make_projection(SIZE, WIDTH, rank=2 if kind == "low rank" else 0, dtype=dtype)
    layer.build((None, None) if tied else (None, None, WIDTH))
    rng = np.random.default_rng(1)
    layer.set_weights([rng.normal(size=weight.shape) for weight in layer.weights])
    vectors = tf.cast(vectors, layer.compute_dtype)

    def run(loss, made):
        variables = [variable.value for variable in layer.trainable_variables]
        with tf.GradientTape() as tape:
            tape.watch(vectors)
            found = loss(targets, made(vectors))
        return [found, *tape.gradient(found, [vectors, *variables])]

    expected = run(TokenLoss(0.1), lambda x: layer(x, logits=True) if tied else layer(x))
    ours = run(ChunkedLoss(layer, 6, 0.1), lambda x: x)
    # In bfloat16, numbers of 8 bits, the ordinary loss rounds gradients once more.
    tolerance = 1e-5 if dtype == "float32" else 0.02
    for one, other in zip(ours, expected, strict=True):
        one, other = (tf.convert_to_tensor(x).numpy().astype("float32") for x in (one, other))
        np.testing.assert_allclose(one, other, rtol=tolerance, atol=tolerance * abs(other).max())
