"""Configs of models of several kinds, and the models that are built of them."""

import json
import re

import numpy as np
import pytest
from keras import ops

from keras_transformer.edge.precision import get_precision
from keras_transformer.zoo.errors import InputError
from keras_transformer.zoo.layer_names import without_prefix
from keras_transformer.zoo.models.build import build, get_weights
from keras_transformer.zoo.models.catalog import get_config
from keras_transformer.zoo.models.fused_config import (
    check_single,
    config_from_json,
    members_of,
    stacks_of,
)
from keras_transformer.zoo.models.heads import Head
from keras_transformer.zoo.models.memory import parameters_of
from keras_transformer.zoo.models.several_config import SeveralConfig
from keras_transformer.zoo.ways import FUSIONS

SMALL = {
    "hidden_dim": 8, "intermediate_dim": 12, "num_layers": 1, "num_heads": 2, "vocab_size": 20,
    "max_length": 6, "image.height": 8, "image.width": 8, "image.convolutions": 2, "dropout": 0.0,
}  # fmt: skip


def config(kind_of_fusion="late", **changes):
    changes = {**SMALL, "fusion": kind_of_fusion, **changes}
    return get_config("cct_2+bert_tiny").replace(**changes)


def inputs(rows=2):
    rng = np.random.default_rng(0)
    ids = rng.integers(1, 20, (rows, 6)).astype("int32")
    ids[0, 4:] = 0
    return {"pixels": rng.integers(0, 256, (rows, 8, 8, 3)).astype("uint8"), "ids": ids}


@pytest.mark.parametrize("fusion", FUSIONS)
def test_the_output_depends_on_every_kind_and_not_on_padding(fusion):
    made = config(fusion)
    assert config_from_json(json.loads(json.dumps(made.to_json()))) == made
    assert (made.modality, made.architecture, made.hidden_dim) == ("image+text", "encoder", 8)
    model = build(made, Head(units=3))
    expected = ops.convert_to_numpy(model(inputs()))
    assert expected.shape == (2, 3)
    for name in ("pixels", "ids"):
        changed = inputs()
        changed[name][:, 1] = 7
        assert np.abs(ops.convert_to_numpy(model(changed)) - expected).max(axis=1).min() > 1e-6
    longer = inputs()
    longer["ids"] = longer["ids"][:1, :4]
    longer["pixels"] = longer["pixels"][:1]
    np.testing.assert_allclose(ops.convert_to_numpy(model(longer)), expected[:1], atol=1e-5)
    # What a checkpoint's config asks for at least.
    numbers = sum(value.size for value in get_weights(model).values())
    assert sum(map(parameters_of, stacks_of(made))) <= numbers


def test_settings_are_of_all_kinds_or_of_one():
    made = config("late", **{"text.num_layers": 2, "pooling": "mean", "image.pooling": "attention"})
    assert [one.num_layers for one in members_of(made)] == [1, 2] and made.num_layers == 3
    assert [one.pooling for one in members_of(made)] == ["attention", "mean"]
    assert made.members["image"].max_length == 4 and made.max_length == 6
    assert config("cross", fusion_layers=3).num_layers == 5 and config("joint").num_layers == 1
    assert made.vocab_size == 20 and not made.share_layers and made.pre_norm
    assert made.members["image"].vocab_size == 0


@pytest.mark.parametrize("memory", ["cct_2", "kwt_tiny"])
def test_the_memory_of_cross_attention_is_stored_and_its_readers_round_no_rows(memory):
    """Rounded twice, keys and values would be off from those of a device, which stores it."""
    sounds = {"audio.samples": 2000, "audio.rate": 8000, "audio.frame": 240, "audio.hop": 80}
    kinds = {name: value for name, value in SMALL.items() if "." not in name}
    kinds |= sounds if memory == "kwt_tiny" else {"image.height": 8, "image.width": 8}
    made = get_config(f"{memory}+bert_tiny").replace(**kinds, fusion="cross")
    model = build(made, Head(units=3), bits=get_precision("int8").bits)
    attention = model.get_layer("cross_encoder").blocks[0].cross_attention.sublayer
    rounds = [getattr(attention, name).rounds_rows for name in ("query", "key", "value")]
    assert rounds == [True, False, False]
    points = {"cct_2": "image_encoder", "kwt_tiny": "cross_memory_point"}
    stored = model.get_layer(points[memory])
    assert getattr(stored, "final_point", stored).bits == 8


def test_names_of_layers_tell_the_kind():
    paths = get_weights(build(config("cross"), Head(units=2)))
    tops = {path.partition("_")[0] for path in paths}
    assert tops == {"image", "text", "cross", "head/kernel", "head/bias"}
    assert without_prefix("image_encoder/block_0") == "encoder/block_0"
    assert without_prefix("cross_encoder/block_0") == "encoder/block_0"


@pytest.mark.parametrize(
    ("changes", "got"),
    [
        ({"fusion": "early"}, "got fusion='early'"),
        ({"fusion_layers": 0}, "got fusion_layers=0"),
        ({"fusion": "late", "fusion_layers": 1}, "got fusion_layers=1 where fusion is late"),
        ({"depth": 3}, "got 'depth'"),
        ({"image.depth": 3}, "got 'depth'"),
        ({"fusion": "joint", "image.hidden_dim": 16}, "got 16 of image, 8 of text"),
        ({"fusion": "joint", "text.positions": "rotary"}, "got positions='rotary'"),
    ],
)
def test_impossible_settings(changes, got):
    with pytest.raises(InputError, match=re.escape(got)):
        config(**changes)


def test_impossible_members():
    one = get_config("cct_2")
    with pytest.raises(InputError, match="got fusion='late' for one of image"):
        one.replace(fusion="late")
    for name, kind in (("bert_tiny+bert_mini", "text"), ("cct_2+cct_2", "image")):
        wanted = f"Expected models of different kinds in {name}, got two of {kind}."
        with pytest.raises(InputError, match=f"^{re.escape(wanted)}$"):
            get_config(name)
    for name in ("cct_2+", "+cct_2", "cct_2++bert_tiny"):
        with pytest.raises(InputError, match=re.escape(f"each +, got {name!r}")):
            get_config(name)
    with pytest.raises(InputError, match="got fusion='cross'"):
        get_config("cct_2+kwt_tiny").replace(fusion="cross")
    with pytest.raises(InputError, match="got encoder of image"):
        SeveralConfig(members={"image": one, "text": one})
    with pytest.raises(InputError, match="an encoder of text as the member text, got decoder"):
        get_config("cct_2+gpt_tiny")
    with pytest.raises(InputError, match="got one of image"):
        check_single(config("late"), "to prune")
    with pytest.raises(InputError, match="got kind='tokens'"):
        build(config("late"), Head(kind="tokens", units=2))
    with pytest.raises(InputError, match="Expected the config of a model of several kinds"):
        config_from_json({**config("late").to_json(), "num_layers": 9})
    with pytest.raises(InputError, match="Expected members of a model of several kinds"):
        config_from_json({"fusion": "late"})
