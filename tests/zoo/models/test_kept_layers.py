import pytest

from keras_transformer.quantization import Projection, QuantPoint
from keras_transformer.zoo.errors import InputError
from keras_transformer.zoo.models.build import all_layers, build
from keras_transformer.zoo.models.config import TransformerConfig
from keras_transformer.zoo.tasks.classification import Classification

CONFIG = TransformerConfig(
    architecture="encoder", vocab_size=20, max_length=8, hidden_dim=8, intermediate_dim=16,
    num_layers=2, num_heads=2,
)  # fmt: skip
TASK = Classification(labels=("a", "b"))
BITS = {"kernel_bits": 8, "activation_bits": 8}


def rounded(keep=(), bits=BITS):
    """Paths of the points and projections that round."""
    model = build(CONFIG, TASK, bits=bits, keep=keep)
    return {
        layer.path
        for layer in all_layers(model)
        if (isinstance(layer, QuantPoint) and layer.bits is not None)
        or (isinstance(layer, Projection) and layer.kernel_bits is not None)
    }


@pytest.mark.parametrize("pattern", ["encoder/block_0", "encoder/block_0/*", "encoder/block_[0]/*"])
def test_a_block_is_kept_but_for_what_its_neighbours_read(pattern):
    left = {path for path in rounded() if path.startswith("encoder/block_0/")}
    # Six kernels, and the points of both sublayers.
    assert len(left) == 6 + 12
    stream = {f"encoder/block_0/{part}/norm_point" for part in ("attention", "feed_forward")}
    assert rounded() - rounded([pattern]) == left - stream


def test_a_kernel_or_a_point_is_kept_by_its_name():
    query = "encoder/block_1/attention/sublayer/query"
    point = "encoder/block_0/feed_forward/norm_point"
    assert rounded() - rounded([query]) == {query}
    assert rounded() - rounded([query, point]) == {query, point}
    assert rounded() - rounded([f"{query}*"]) == {query, f"{query}_point"}


def test_kernels_alone_are_kept():
    kernels = {"kernel_bits": 8}
    every = rounded(bits=kernels)
    assert {path.rpartition("/")[2] for path in every} == {
        "query", "key", "value", "output", "up", "down", "pooler", "head",
    }  # fmt: skip
    assert rounded(["*/feed_forward"], kernels) == {
        path for path in every if "feed_forward" not in path
    }


def test_a_pattern_has_to_match():
    with pytest.raises(InputError, match="^Expected the pattern 'encoder/block_7/\\*' to match "):
        rounded(["encoder/block_0", "encoder/block_7/*"])


def test_kernels_stay_wide_among_narrow_ones():
    model = build(CONFIG, TASK, bits={"kernel_bits": 4, "kernel_block": 8, "row_bits": 8},
                  keep=["*/down=int8", "head", "head=int8"])  # fmt: skip
    widths = {
        layer.path.rpartition("/")[2]: (layer.kernel_bits, layer.kernel_block)
        for layer in all_layers(model) if isinstance(layer, Projection)
    }  # fmt: skip
    assert widths["down"] == (8, None) and widths["head"] == (None, None)
    assert {widths[name] for name in ("query", "key", "value", "output", "up")} == {(4, 8)}


def test_only_a_narrow_kernel_stays_wide():
    with pytest.raises(InputError, match="kernel of fewer than 8 bits, such as encoder/block_0/"):
        rounded(["*/down=int8"])
    with pytest.raises(InputError, match="'\\*/point' to match the path of a kernel"):
        rounded(["*/point=int8"], {"kernel_bits": 4, "kernel_block": 8, "row_bits": 8})
