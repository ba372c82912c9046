"""One model of several members, against the members' own outputs and formulas in NumPy."""

import json

import keras
import numpy as np
import pytest

from keras_transformer.zoo.errors import InputError
from keras_transformer.zoo.layer_names import prefix_of, without_prefix
from keras_transformer.zoo.models.build import build, get_weights, set_weights
from keras_transformer.zoo.models.counts import multiply_adds, parameters
from keras_transformer.zoo.models.fused_config import (
    Combination,
    FusedConfig,
    check_single,
    config_from_json,
)
from keras_transformer.zoo.models.heads import Head, Heads, weights_of_head
from keras_transformer.zoo.models.last_layers import Fused
from tests.zoo import tiny

# Of other widths, depths, positions and pooling; the third reads no segments.
MEMBERS = (
    tiny.config(),
    tiny.config(num_layers=2, hidden_dim=24, positions="sinusoidal", pooling="mean"),
    tiny.config(pre_norm=True, positions="rotary", num_segments=0, max_length=16),
)
WEIGHTS = (0.5, 0.2, 0.3)


def fused_of(combine, members=MEMBERS, weights=WEIGHTS):
    return FusedConfig(members=members, outputs=Combination(combine=combine, weights=weights))


def built(config, head):
    """The fused model and its members alone, with the same random weights."""
    keras.utils.set_random_seed(3)
    alone = [build(member, head) for member in config.members]
    for model in alone:
        rng = np.random.default_rng(len(model.weights))
        for weight in model.weights:
            weight.assign(rng.normal(0, 0.3, weight.shape))
    together = build(config, head)
    set_weights(
        together,
        {
            f"{prefix_of(number)}{path}": value
            for number, model in enumerate(alone)
            for path, value in get_weights(model).items()
        },
    )
    return together, alone


def inputs_of(model, rows=6):
    rng = np.random.default_rng(0)
    ids = rng.integers(1, 20, (rows, 9)).astype("int32")
    ids[np.arange(9)[None] >= rng.integers(2, 10, rows)[:, None]] = 0
    found = {"ids": ids, "segment_ids": (np.arange(9)[None] > 3) * (ids > 0)}
    return {one.name: found[one.name].astype("int32") for one in model.inputs}


def softmax(x):
    exponents = np.exp(x.astype("float64") - x.max(axis=1, keepdims=True))
    return exponents / exponents.sum(axis=1, keepdims=True)


@pytest.mark.parametrize("pair", [False, True])
def test_probabilities_are_averaged(pair):
    together, alone = built(fused_of("probabilities"), Head(units=3, pair=pair))
    assert {one.name for one in together.inputs} == ({"ids", "segment_ids"} if pair else {"ids"})
    found = together.predict_on_batch(inputs_of(together))
    members = [softmax(model.predict_on_batch(inputs_of(model))) for model in alone]
    expected = sum(weight * one for weight, one in zip(WEIGHTS, members, strict=True))
    np.testing.assert_allclose(softmax(found), expected, rtol=1e-5)
    # The outputs are logarithms of probabilities, and so logits whose softmax needs no constant.
    np.testing.assert_allclose(found, np.log(expected), rtol=1e-4, atol=1e-6)


def test_calibrated_probabilities_are_averaged():
    temperatures = (0.5, 1.0, 3.0)
    one = Combination(combine="probabilities", weights=WEIGHTS, temperatures=temperatures)
    together, alone = built(FusedConfig(members=MEMBERS, outputs=one), Head(units=3))
    found = together.predict_on_batch(inputs_of(together))
    members = [
        softmax(model.predict_on_batch(inputs_of(model)) / temperature)
        for model, temperature in zip(alone, temperatures, strict=True)
    ]
    expected = sum(weight * one for weight, one in zip(WEIGHTS, members, strict=True))
    np.testing.assert_allclose(softmax(found), expected, rtol=1e-5)


def test_each_head_is_combined_as_one_of_its_own():
    """A member without a weight in a head is not read for it."""
    outputs = {
        "kind": Combination(
            combine="votes", weights=(0.5, 0.5, 0.0), temperatures=(1.0, 2.0, 0.7)
        ),
        "score": Combination(combine="numbers", weights=WEIGHTS),
    }
    config = FusedConfig(members=MEMBERS, outputs=outputs)
    assert config_from_json(json.loads(json.dumps(config.to_json()))) == config
    assert config.to_json()["heads"]["score"] == {"combine": "numbers", "weights": list(WEIGHTS)}
    heads = {"kind": Head(units=3), "score": Head(units=1, mean=2.0, deviation=3.0)}
    together, alone = built(config, Heads(heads=heads))
    found = together.predict_on_batch(inputs_of(together))
    inner = [model.predict_on_batch(inputs_of(model)) for model in alone]
    expected = sum(weight * one["score"] for weight, one in zip(WEIGHTS, inner, strict=True))
    np.testing.assert_allclose(found["score"], expected, rtol=1e-5)
    for name, head in heads.items():
        own = build(config.of_head(name), head)
        weights = weights_of_head(get_weights(together), name, get_weights(own))
        set_weights(own, weights)
        np.testing.assert_allclose(
            own.predict_on_batch(inputs_of(own)), found[name], rtol=1e-5, atol=1e-6
        )
    kinds = [softmax(one["kind"] / t) for one, t in zip(inner[:2], (1.0, 2.0), strict=True)]
    votes = [one.argmax(1)[:, None] == np.arange(3) for one in kinds]
    np.testing.assert_allclose(
        softmax(found["kind"]), (votes[0] + votes[1] + np.mean(kinds, axis=0)) / 3, rtol=1e-5
    )
    with pytest.raises(InputError, match="^Expected the heads kind, score of .*, got kind,"):
        build(config, Heads(heads={"kind": Head(units=3), "other": Head(units=1)}))


def test_votes_are_counted_and_probabilities_decide_ties():
    layer = Fused("votes", WEIGHTS)
    rng = np.random.default_rng(1)
    outputs = [rng.normal(0, 2, (400, 4)).astype("float32") for _ in WEIGHTS]
    found = np.asarray(layer(outputs))
    members = [softmax(one) for one in outputs]
    mean = sum(weight * one for weight, one in zip(WEIGHTS, members, strict=True))
    chosen = np.stack([one.argmax(1) for one in members], axis=1)
    votes = np.stack([(chosen == label).sum(1) for label in range(4)], axis=1)
    np.testing.assert_allclose(softmax(found), (votes + mean) / 4, rtol=1e-5)
    ties = 0
    for row in range(400):
        most = np.flatnonzero(votes[row] == votes[row].max())
        ties += len(most) > 1
        assert found[row].argmax() == most[mean[row][most].argmax()]
    assert ties > 50


def test_numbers_are_averaged_in_their_units():
    head = Head(units=1, mean=40.0, deviation=5.0)
    together, alone = built(fused_of("numbers"), head)
    members = [model.predict_on_batch(inputs_of(model)) for model in alone]
    expected = sum(weight * one for weight, one in zip(WEIGHTS, members, strict=True))
    np.testing.assert_allclose(
        together.predict_on_batch(inputs_of(together)), expected, rtol=1e-5
    )


def test_unit_vectors_are_averaged():
    members = (MEMBERS[0], tiny.config(num_layers=2, pooling="mean"))
    for normalize in (True, False):
        head = Head(kind="vector", normalize=normalize)
        together, alone = built(fused_of("vectors", members, (0.4, 0.6)), head)
        found = [model.predict_on_batch(inputs_of(model)) for model in alone]
        units = [one / np.linalg.norm(one, axis=1, keepdims=True) for one in found]
        expected = 0.4 * units[0] + 0.6 * units[1]
        if normalize:
            expected /= np.linalg.norm(expected, axis=1, keepdims=True)
        vectors = together.predict_on_batch(inputs_of(together))
        np.testing.assert_allclose(vectors, expected, rtol=1e-4, atol=1e-6)


def test_probabilities_of_labels_are_averaged_each():
    rng = np.random.default_rng(2)
    outputs = [rng.normal(0, 3, (50, 4)).astype("float32") for _ in WEIGHTS]
    outputs[0][0], outputs[1][0], outputs[2][0] = 40.0, 30.0, 25.0
    found = np.asarray(Fused("label_probabilities", WEIGHTS)(outputs))
    members = [1 / (1 + np.exp(-one.astype("float64"))) for one in outputs]
    others = [1 / (1 + np.exp(one.astype("float64"))) for one in outputs]
    mean, other = (
        sum(weight * one for weight, one in zip(WEIGHTS, part, strict=True))
        for part in (members, others)
    )
    np.testing.assert_allclose(found, np.log(mean) - np.log(other), rtol=1e-4, atol=1e-5)


def test_a_mask_of_the_members_is_none_of_the_outputs():
    layer = Fused("probabilities", (0.5, 0.5))
    assert layer.supports_masking and layer.compute_mask([None, None], [None, True]) is None


def test_extreme_logits_stay_finite():
    found = np.asarray(Fused("probabilities", (0.5, 0.5))([np.array([[500.0, 0.0]])] * 2))
    np.testing.assert_allclose(found, [[0.0, np.log(1e-30)]], rtol=1e-5)


def test_the_layer_is_saved_with_its_arguments():
    layer = Fused("votes", np.array(WEIGHTS), name="fused")
    again = Fused.from_config(json.loads(json.dumps(layer.get_config())))
    outputs = [np.array([[0.0, 1.0]]), np.array([[2.0, 0.5]]), np.array([[0.0, 0.1]])]
    np.testing.assert_array_equal(np.asarray(again(outputs)), np.asarray(layer(outputs)))
    assert again.compute_output_shape([(None, 2)] * 3) == (None, 2)


def test_it_counts_what_its_members_count():
    decoders = tuple(
        tiny.config("decoder", num_segments=0, num_layers=layers, tied_head=layers > 1)
        for layers in (1, 2)
    )
    together, alone = built(fused_of("probabilities", decoders, (0.5, 0.5)), Head(kind="tied"))
    assert parameters(together) == sum(map(parameters, alone))
    assert multiply_adds(together, 8) == sum(multiply_adds(model, 8) for model in alone)
    together, alone = built(fused_of("probabilities"), Head(units=3))
    assert parameters(together) == sum(map(parameters, alone))
    assert multiply_adds(together, 8) == sum(multiply_adds(model, 8) for model in alone)


def test_json_and_values_of_all_members():
    config = fused_of("votes")
    assert config_from_json(json.loads(json.dumps(config.to_json()))) == config
    assert config_from_json(MEMBERS[0].to_json()) == MEMBERS[0]
    assert (config.max_length, config.num_layers, config.positions) == (12, 4, "learned")
    assert (config.hidden_dim, config.pre_norm, config.share_layers) == (24, True, False)
    shorter = config.replace(max_length=5, dropout=0.0)
    assert [(one.max_length, one.dropout) for one in shorter.members] == [(5, 0.0)] * 3
    check_single(MEMBERS[0], "to prune")
    with pytest.raises(InputError, match="^Expected one model to prune, got 3 that answer as one"):
        check_single(config, "to prune")
    writers = tuple(
        tiny.config("encoder-decoder", num_segments=0, source_vocab_size=30, num_layers=layers)
        for layers in (1, 3)
    )
    config = fused_of("probabilities", writers, (0.5, 0.5))
    assert config_from_json(json.loads(json.dumps(config.to_json()))) == config
    assert (config.architecture, config.source_vocab_size) == ("encoder-decoder", 30)
    vectors = fused_of("vectors", MEMBERS[::2], (0.5, 0.5)).to_json()
    assert vectors["hidden_dim"] == 16 and config_from_json(vectors).to_json() == vectors
    assert without_prefix("member_12_encoder/block_0") == "encoder/block_0"
    assert without_prefix("encoder/member_1_x") == "encoder/member_1_x"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"combine": "product"}, "^Expected combine to be one of probabilities, .*'product'"),
        ({"members": MEMBERS[:1], "weights": (1.0,)}, "at least two members.*got 1 members"),
        ({"weights": (0.5, 0.5)}, r"a weight each, got 3 members and weights=\[\[0.5, 0.5\]\]"),
        ({"weights": (0.5, 0.5, 0.5)}, r"a sum of 1, got weights=\[0.5, 0.5, 0.5\]"),
        ({"weights": (1.5, -0.5, 0.0)}, "not negative with a sum of 1, got weights="),
        (
            {"members": (*MEMBERS[:2], tiny.config(vocab_size=9))},
            "members of one vocab_size, got 20 and 9",
        ),
        (
            {"members": (*MEMBERS[:2], tiny.config("decoder", num_segments=0))},
            "members of one architecture, got 'encoder' and 'decoder'",
        ),
        ({"combine": "vectors"}, "members of one hidden_dim, got 16 and 24"),
        ({"temperatures": (1.0, 2.0)}, r"a temperature of each .*temperatures=\[1.0, 2.0\]"),
        ({"combine": "numbers", "temperatures": (1.0,) * 3}, "for probabilities or .*numbers"),
        ({"temperatures": (1.0, 0.0, 1.0)}, "temperature=0.0"),
        (
            {"members": (tiny.config("decoder", num_segments=0),) * 3, "combine": "votes"},
            "combine to be probabilities for members of architecture='decoder', got votes",
        ),
    ],
)
def test_what_cannot_be_one_config(changes, message):
    given = {"members": MEMBERS, "combine": "probabilities", "weights": WEIGHTS, **changes}
    with pytest.raises(InputError, match=message):
        FusedConfig(members=given.pop("members"), outputs=Combination(**given))


@pytest.mark.parametrize(
    "changes",
    [
        {"members": []}, {"members": 3}, {"weights": None}, {"weights": ["a", 0.5, 0.5]},
        {"combine": []}, {"num_layers": 7}, {"other": 1},
        {"members": [fused_of("votes").to_json()]}, {"temperatures": 3}, {"heads": 3},
        {"heads": {"one": 3}}, {"heads": {}},
    ],
    ids=str,
)  # fmt: skip
def test_json_of_no_config(changes):
    with pytest.raises(InputError):
        config_from_json({**fused_of("votes").to_json(), **changes})


def test_what_cannot_be_built():
    with pytest.raises(InputError, match="^Expected a head whose .* as probabilities .*'vector'"):
        build(fused_of("probabilities"), Head(kind="vector"))
    members = (MEMBERS[0], tiny.config(num_layers=2))
    with pytest.raises(InputError, match="^Expected a precision with floats .*inner_bits=8"):
        build(
            fused_of("probabilities", members, (0.5, 0.5)), Head(units=3),
            bits={"kernel_bits": 8, "activation_bits": 8, "inner_bits": 8},
        )  # fmt: skip
