import pytest

from keras_transformer.edge.compare import layer_groups
from keras_transformer.edge.compare.layer_groups import BETWEEN, ENDS, OUTPUT, groups_of
from keras_transformer.edge.precision import PRECISIONS, TRAINED_PRECISIONS
from keras_transformer.embeddings import TokenEmbedding
from keras_transformer.quantization import Projection, QuantPoint
from keras_transformer.zoo.models.build import all_layers, build
from keras_transformer.zoo.models.kept_layers import keep_layers
from tests.slow import mostly_slow
from tests.zoo import tiny

SUBLAYERS = {
    "encoder": ["encoder/block_0/attention", "encoder/block_0/feed_forward"],
    "decoder": ["decoder/block_0/attention", "decoder/block_0/feed_forward"],
    "encoder-decoder": [
        "encoder/block_0/attention", "encoder/block_0/feed_forward", "decoder/block_0/attention",
        "decoder/block_0/cross_attention", "decoder/block_0/feed_forward",
    ],
}  # fmt: skip
# Logits that are tied to the embeddings have no kernel of their own, and int8 leaves them float.
HEADS = {"encoder": ["head", OUTPUT], "decoder": [], "encoder-decoder": []}


def made(architecture, bits, **changes):
    if architecture != "encoder":
        changes |= {"positions": "sinusoidal", "num_segments": 0}
    task = tiny.TASK if architecture == "encoder" else None
    return build(tiny.config(architecture, **changes), task, bits=bits)


def rounded(model):
    """Paths of what is rounded."""
    kinds = {QuantPoint: "bits", Projection: "kernel_bits", TokenEmbedding: "kernel_bits"}
    layers = [layer for layer in all_layers(model) if type(layer) in kinds and layer.built]
    return {layer.path for layer in layers if getattr(layer, kinds[type(layer)]) is not None}


@pytest.mark.parametrize("pre_norm", [False, True])
@pytest.mark.parametrize("architecture", SUBLAYERS)
def test_groups_stand_as_data_flows(architecture, pre_norm):
    groups = groups_of(made(architecture, PRECISIONS["int8"].bits, pre_norm=pre_norm))
    # What post-norms write is float.
    between = [BETWEEN] if pre_norm else []
    assert [group.name for group in groups] == [
        "embedding", *SUBLAYERS[architecture], *between, *HEADS[architecture],
    ]  # fmt: skip
    keepable = [group for group in groups if group.is_keepable]
    outputs = [name for name in HEADS[architecture] if name == OUTPUT]
    assert [one.name for one in groups if one not in keepable] == [*between, *outputs]
    in_blocks = [one.patterns for one in keepable if one.name not in ENDS]
    assert in_blocks == [(f"{name}/*",) for name in SUBLAYERS[architecture]]


@pytest.mark.parametrize("pre_norm", [False, True])
@pytest.mark.parametrize("precision", mostly_slow(TRAINED_PRECISIONS, ["int8"]))
@pytest.mark.parametrize("architecture", SUBLAYERS)
def test_each_rounded_layer_is_in_one_group(architecture, precision, pre_norm):
    changes = {"hidden_dim": 32, "positions": "learned", "pre_norm": pre_norm}
    bits = PRECISIONS[precision].bits
    model = made(architecture, bits, **changes)
    groups, everything, seen = groups_of(model), rounded(model), []
    for group in groups:
        if group.name in ENDS:
            assert not [path for path in group.patterns if path.startswith(layer_groups.STACKS)]
        before = rounded(model)
        keep_layers(model, group.patterns)
        seen += before - rounded(model)
    assert rounded(model) == set()
    assert sorted(seen) == sorted(everything)


def test_blocks_stand_in_the_order_of_their_numbers():
    names = ["head", "encoder/block_10/attention", "encoder/block_9/feed_forward", "embedding"]
    assert sorted(names, key=layer_groups._order) == names[::-1]


def test_the_head_is_what_follows_the_last_block():
    model = made("encoder", PRECISIONS["int8"].bits)
    by_name = {group.name: group.patterns for group in groups_of(model)}
    assert set(by_name["head"]) == {"pooler", "pooler_point", "pooled_point", "head"}
    assert by_name["embedding"] == ("token_embedding",)
