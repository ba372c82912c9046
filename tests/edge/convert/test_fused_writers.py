"""Translators and language models in one file: the caches of all, and one next token."""

import numpy as np
import pytest
from ai_edge_litert.interpreter import Interpreter

from keras_transformer.edge.distill.distill import distill
from keras_transformer.edge.precision import PRECISIONS
from keras_transformer.edge.runtime.names import cache_names, memory_names
from keras_transformer.edge.runtime.packed import unpack
from keras_transformer.edge.runtime.runner import Runner
from keras_transformer.edge.targets.convert import convert
from keras_transformer.zoo.errors import InputError
from keras_transformer.zoo.fusion.fuse import fuse
from tests.edge import generators
from tests.slow import mostly_slow

# Members of other shapes, caches and kinds of positions.
MEMBERS = {
    "decoder": (("gpt", {}), ("llama", {"num_layers": 1, "hidden_dim": 64, "num_heads": 8})),
    "encoder-decoder": (("transformer", {"num_layers": 1}), ("t5", {"hidden_dim": 64})),
}
SMALL = {"num_layers": 1, "hidden_dim": 16, "intermediate_dim": 32, "num_heads": 2}
TEXTS = ["abc de", "xyz"]
DECODINGS = ({}, {"beams": 2}, {"temperature": 0.8, "top_k": 5, "seed": 1})


@pytest.fixture(scope="module")
def together():
    """Random models of each kind as one, whose probabilities differ by position and token."""
    rows = {"decoder": ["some text to measure"], "encoder-decoder": (["one"], ["eno"])}
    return {
        kind: fuse(
            [generators.generator(name, intermediate_dim=64, **one) for name, one in members],
            data=rows[kind],
        )
        for kind, members in MEMBERS.items()
    }  # fmt: skip


def softmax(x):
    exponents = np.exp(x.astype("float64") - x.max(axis=-1, keepdims=True))
    return exponents / exponents.sum(axis=-1, keepdims=True)


IDS = generators.random_ids([9], seed=5)[0]
SOURCE = generators.random_ids([6], seed=6)[0]


def expected_shares(kind):
    """The mean (positions, V) of the members' own probabilities of the next token."""
    inputs = {"ids": IDS[None]}
    if kind == "encoder-decoder":
        inputs["source_ids"] = SOURCE[None]
    members = [
        generators.generator(name, intermediate_dim=64, **one) for name, one in MEMBERS[kind]
    ]
    found = [softmax(np.asarray(one.model(inputs, training=False))[0]) for one in members]
    return np.mean(found, axis=0)[FIRST[kind] :]


# Number of tokens that `prefill` reads.
FIRST = {"decoder": 4, "encoder-decoder": 0}


def next_shares(steps, kind):
    """The probabilities (positions, V) of the next token, step by step."""
    first = FIRST[kind]
    cache = steps.prefill(IDS[None, :first]) if first else steps.encode([SOURCE])
    found = []
    for token in IDS[first:]:
        logits, cache = steps.step(np.array([token]), cache)
        found.append(softmax(logits[0]))
    return np.array(found)


def calibration(kind):
    return generators.calibration(MEMBERS[kind][0][0])


PRECISE = [
    (kind, precision) for kind in MEMBERS
    for precision in ("float32", "float16", "dynamic_int8", "int8", "int4", "static_int8")
]  # fmt: skip


@pytest.mark.parametrize(
    ("kind", "precision"),
    mostly_slow(PRECISE, []),
)
def test_one_file_writes_as_all_members(kind, precision, together):
    """`convert` compares each layer, and what is most probable in 95 % of the positions."""
    one = together[kind]
    is_static = PRECISIONS[precision].is_static
    runner = Runner(convert(one, precision, calibration=calibration(kind) if is_static else None))
    signature = Interpreter(model_content=unpack(runner)[0]).get_signature_list()["decode"]
    names = {"ids", "position", *cache_names(3)}
    if kind == "encoder-decoder":
        names |= {*memory_names(3), "memory_mask"}
    assert set(signature["inputs"]) == names
    assert set(signature["outputs"]) == {"logits", *cache_names(3)}
    shares = next_shares(runner.steps, kind)
    np.testing.assert_allclose(shares.sum(axis=1), 1.0, rtol=1e-4)
    # Rounded weights move a random model's probabilities, but none of them by much.
    tolerance = {"float32": 1e-4, "float16": 5e-3}.get(precision, 0.1)
    np.testing.assert_allclose(shares, expected_shares(kind), atol=tolerance)
    if precision == "float32":
        for decoding in DECODINGS:
            expected = one.generate(TEXTS, max_tokens=12, **decoding)
            assert runner.generate(TEXTS, max_tokens=12, **decoding) == expected


@pytest.mark.slow
def test_one_small_translator_is_made_of_several(together):
    one = together["encoder-decoder"]
    pairs = (["ab", "cd", "abc", "d"], ["ba", "dc", "cba", "d"])
    made = distill(
        one, "transformer_tiny", settings=SMALL, epochs=1, train=pairs, validation=pairs, beams=2,
        max_length=16,
    )  # fmt: skip
    assert (made.recipe.model.name, made.config.num_layers) == ("transformer_tiny", 1)
    assert made.metrics["teacher"] == one.metrics["validation"]
    assert made.generate(["ab"])[0] is not None


@pytest.mark.slow
def test_several_are_one_file_for_litert_lm():
    """`convert` compares its steps, and what LiteRT-LM writes where that is installed."""
    pytest.importorskip("keras_transformer.edge.targets.litertlm.litertlm")
    members = [generators.writer("llama"), generators.writer("gpt", num_layers=1)]
    made = convert(fuse(members, data=["a ab b"]), target="litertlm")
    assert made.parity.agreement == 1.0 and made.parity.relative < 1e-5


def test_files_of_integers_alone_are_refused(together):
    sentence = "^Expected a precision with floats for several .* distill for files of integers"
    with pytest.raises(InputError, match=sentence):
        convert(together["decoder"], "integer", calibration=calibration("decoder"))
