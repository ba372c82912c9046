import functools

import pytest

from keras_transformer.normalization import LayerNorm
from keras_transformer.quantization import KernelLayer, Projection, QuantPoint
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


@functools.cache
def rounding(*keep, **settings):
    """Names of the norms and matmuls of block 0, and behind it, that round rows."""
    widths = {"kernel_bits": 8, "row_bits": 8, "activation_bits": 8}
    model = build(CONFIG.replace(pre_norm=True, **settings), TASK, bits=widths, keep=keep)
    return {
        layer.path.removeprefix("encoder/block_0/").replace("sublayer/", "")
        for layer in all_layers(model)
        if isinstance(layer, KernelLayer | LayerNorm) and layer.built and layer.rounds_rows
    }


def beside_floats(keep, **settings):
    """Those that do so for what is kept."""
    return rounding(*keep, **settings) - rounding(**settings)


@pytest.mark.parametrize(
    ("keep", "found"),
    [
        ("encoder/block_0/*/up_point", {"feed_forward/up"}),
        # What is behind a function of the outputs says nothing of them.
        ("encoder/block_0/*/activation_point", set()),
        ("encoder/block_0/feed_forward/norm_point", {"feed_forward/norm", "feed_forward/up"}),
        (
            "encoder/block_0/attention/norm_point",
            {f"attention/{name}" for name in ("norm", "query", "key", "value")},
        ),
        ("encoder/block_0/*/value_point", {"attention/value"}),
        ("encoder/block_0/*/scores_point", set()),
        ("pooler_point", {"pooler"}),
        ("encoder/final_point", {"encoder/final_norm"}),
    ],
)
def test_matmuls_beside_floats_round_the_rows_that_they_read(keep, found):
    assert beside_floats([keep]) == found


def test_what_a_relu_and_low_rank_factors_write():
    point = "encoder/block_0/*/activation_point"
    assert beside_floats([point], activation="relu") == {"feed_forward/up"}
    expand = {f"feed_forward/up/{factor}" for factor in ("reduce", "expand")}
    assert beside_floats(["*block_0/*/up_point"], rank=2) == {"feed_forward/up/expand"}
    assert beside_floats(["*block_0/feed_forward/sublayer/up/reduced_point"], rank=2) == expand


def test_cross_attention_reads_its_keys_and_values_elsewhere():
    config = CONFIG.replace(architecture="encoder-decoder", pre_norm=True, pooler="none")
    widths = {"kernel_bits": 8, "row_bits": 8, "activation_bits": 8}
    model = build(config, bits=widths, keep=["decoder/block_0/cross_attention/norm_point"])
    owner = "decoder/block_0/cross_attention/sublayer"
    rounding = {layer.path: layer.rounds_rows for layer in all_layers(model)
                if isinstance(layer, Projection)}  # fmt: skip
    assert [rounding[f"{owner}/{name}"] for name in ("query", "key", "value")] == [
        True, False, False,
    ]  # fmt: skip


def test_without_row_bits_matmuls_stay_as_they_are():
    model = build(CONFIG.replace(pre_norm=True), TASK, bits=BITS, keep=["*/up_point"])
    layers = [layer for layer in all_layers(model) if isinstance(layer, KernelLayer)]
    assert not any(layer.rounds_rows or layer.stays_dynamic for layer in layers)
