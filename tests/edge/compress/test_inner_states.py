import numpy as np
import pytest
import scipy.special

from keras_transformer.edge.compress.inner_states import (
    hidden_difference,
    listening,
    matched_blocks,
    matched_projections,
    relation_difference,
)
from keras_transformer.zoo.errors import InputError
from keras_transformer.zoo.models.build import build
from tests.zoo import tiny

RNG = np.random.default_rng(0)
IDS = np.array([[2, 7, 9, 0, 0], [5, 6, 7, 8, 9]], "int32")


def normal(*shape):
    return RNG.normal(size=shape).astype("float32")


def encoder(**changes):
    return build(tiny.config(**changes), tiny.TASK)


def paths(pairs):
    """Places of blocks, or names of projections, in both models."""
    return [tuple(layer.path.split("/", 1)[1] for layer in (p.own, p.other)) for p in pairs]


@pytest.mark.parametrize(
    ("own", "other", "expected"),
    [(2, 4, [1, 3]), (2, 3, [1, 2]), (3, 3, [0, 1, 2]), (4, 2, [0, 0, 1, 1]), (1, 3, [2])],
)
def test_blocks_follow_evenly(own, other, expected):
    pairs = matched_blocks(encoder(num_layers=own), encoder(num_layers=other, hidden_dim=8))
    assert paths(pairs) == [(f"block_{i}", f"block_{j}") for i, j in enumerate(expected)]
    assert {(p.stack, p.widths, p.reads) for p in pairs} == {("encoder", (16, 8), "ids")}


def test_shared_blocks_have_no_hidden_states_of_their_own():
    with pytest.raises(InputError, match="got share_layers=True in encoder"):
        matched_blocks(encoder(num_layers=2), encoder(num_layers=2, share_layers=True))


def test_both_stacks_and_cross_attention_follow():
    models = [
        build(tiny.config("encoder-decoder", num_segments=0, **shape))
        for shape in ({"num_heads": 4, "num_key_value_heads": 2}, {"num_heads": 2, "num_layers": 2})
    ]
    assert [(p.stack, p.reads) for p in matched_blocks(*models)] == [
        ("encoder", "source_ids"), ("decoder", "ids")
    ]  # fmt: skip
    pairs = matched_projections(*models)
    assert paths(pairs) == [
        tuple(f"{block}/{kind}/sublayer/{name}" for block in ("block_0", "block_1"))
        for kind in ("attention", "attention", "cross_attention")
        for name in ("query", "key", "value")
    ]
    assert [p.reads for p in pairs] == [
        *["source_ids"] * 3, *["ids"] * 3, "ids", "source_ids", "source_ids"
    ]  # fmt: skip
    assert {p.heads for p in pairs} == {2}


def test_listening_changes_nothing():
    model = encoder(num_layers=2)
    blocks = model.get_layer("encoder").blocks
    outputs, (first, last) = listening(model, blocks)({"ids": IDS})
    np.testing.assert_array_equal(outputs, model({"ids": IDS}))
    np.testing.assert_array_equal(last, blocks[1](first, bias=_bias()))
    assert not any("call" in vars(block) for block in blocks)


def _bias():
    return np.where(IDS != 0, 0.0, -3e4).astype("float32")[:, None, None, :]


def test_the_difference_of_outputs():
    own, other = normal(2, 4, 5), 3 * normal(2, 4, 5)
    real = np.array([[1, 1, 0, 0], [1, 1, 1, 0]], "float32")
    chosen = real.astype(bool)
    expected = np.square(own - other)[chosen].sum() / np.square(other)[chosen].sum()
    assert float(hidden_difference(own, other, real)) == pytest.approx(expected, rel=1e-5)
    own[~chosen], other[~chosen] = 100.0, -100.0
    assert float(hidden_difference(own, other, real)) == pytest.approx(expected, rel=1e-5)


def relations(x, heads):
    """Log probabilities (heads, T, T) of vectors (T, W)."""
    parts = np.stack(np.split(x, heads, axis=-1))
    products = parts @ parts.transpose(0, 2, 1) / np.sqrt(parts.shape[-1])
    return scipy.special.log_softmax(products, axis=-1)


def test_the_difference_of_relations():
    """Of other widths; rows of 3 and of 5 real positions count by position."""
    own, other, heads = normal(2, 5, 8), normal(2, 5, 12), 2
    real = (IDS != 0).astype("float32")
    total = 0.0
    for row, length in enumerate((3, 5)):
        ours, theirs = (relations(x[row, :length], heads) for x in (own, other))
        total += (np.exp(theirs) * (theirs - ours)).sum()
    found = float(relation_difference(own, other, heads, real))
    assert found == pytest.approx(total / (heads * 8), rel=1e-4)
    own[0, 3:] = 100.0
    assert float(relation_difference(own, other, heads, real)) == pytest.approx(found, rel=1e-5)
    # Not the order of the vectors' coordinates counts, but how positions are related.
    turned = other.reshape(2, 5, 2, 6)[..., ::-1].reshape(2, 5, 12)
    assert float(relation_difference(turned, other, heads, real)) == pytest.approx(0.0, abs=1e-6)
