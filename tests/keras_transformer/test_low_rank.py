import pytest

from keras_transformer import FeedForward, LowRankProjection, MultiHeadAttention, Projection
from keras_transformer.low_rank import make_projection
from tests import reference
from tests.keras_transformer.checks import (
    assert_close,
    built,
    check_precision,
    check_round_trip,
    normal,
    values,
)

X = normal(2, 3, 8)


def product(w):
    """A projection's weights with its factors multiplied."""
    whole = {"kernel": w["reduce"]["kernel"] @ w["expand"]["kernel"]}
    return {**whole, **{name: w["expand"][name] for name in w["expand"] if name == "bias"}}


@pytest.mark.parametrize("use_bias", [False, True])
def test_equals_the_product_of_its_factors(use_bias):
    layer = built(LowRankProjection(6, rank=3, use_bias=use_bias), X)
    w = values(layer)
    assert ("bias" in w["expand"]) == use_bias and set(w["reduce"]) == {"kernel"}
    assert_close(layer(X), reference.projection(product(w), X))


def test_factors_stand_where_they_are_smaller():
    # A kernel (8, 12) holds 96 numbers, factors of rank 4 hold 80 and of rank 5 100.
    assert isinstance(make_projection(12, 8, rank=4), LowRankProjection)
    assert isinstance(make_projection(12, 8, rank=5), Projection)
    assert isinstance(make_projection(12, 8), Projection)


def test_attention_and_feed_forward_of_a_rank():
    layer = built(MultiHeadAttention(2, rank=3), X)
    w = {name: product(factors) for name, factors in values(layer).items()}
    assert_close(layer(X), reference.attention(w, X, num_heads=2)[0])
    layer = built(FeedForward(12, rank=4, gated=True), X)
    w = {name: product(factors) for name, factors in values(layer).items()}
    assert_close(layer(X), reference.feed_forward(w, X, gated=True))


def test_round_trip(tmp_path):
    check_round_trip(
        tmp_path, LowRankProjection(6, rank=3, bits={"kernel_bits": 8, "activation_bits": 8}), X
    )


@pytest.mark.parametrize("policy", ["mixed_bfloat16", "mixed_float16"])
def test_half_precision(policy):
    check_precision(policy, lambda **kwargs: LowRankProjection(6, rank=3, **kwargs), X)
