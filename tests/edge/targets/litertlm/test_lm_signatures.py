"""The signatures that LiteRT-LM calls, in LiteRT's interpreter against Keras."""

import numpy as np
import pytest
from ai_edge_litert.interpreter import Interpreter

from keras_transformer.edge.convert.convert import Request
from keras_transformer.edge.precision import PRECISIONS
from keras_transformer.edge.targets.litertlm.lm_steps import MASKED, LmSteps
from keras_transformer.edge.targets.registry import TARGETS
from keras_transformer.edge.targets.target import About
from keras_transformer.zoo.errors import InputError
from keras_transformer.zoo.generation.text import TextGenerator
from tests.edge.generators import WRITER_LENGTH, writer

LENGTHS = [16, 64, WRITER_LENGTH]
CACHES = ("kv_cache_k_0", "kv_cache_v_0", "kv_cache_k_1", "kv_cache_v_1")
# Float32 in another order of additions; logits are of size one.
TOLERANCE = {"rtol": 1e-4, "atol": 1e-4}


@pytest.fixture(scope="module")
def graph():
    """The graph that is packed, without its package."""
    litertlm = pytest.importorskip("keras_transformer.edge.targets.litertlm.litertlm")
    writer_of_files = litertlm.LiteRtLm(TARGETS["litertlm"], About())
    request = Request(checkpoint=writer(), precision=PRECISIONS["float32"], lengths=LENGTHS)
    return bytes(writer_of_files.graph(request))


@pytest.fixture(scope="module")
def interpreter(graph):
    return Interpreter(model_content=graph)


def read(interpreter, name, tokens, start, caches, length=None):
    """Calls a signature as the executor does: zeros and masked rows behind the tokens."""
    length = length or len(tokens)
    ids, places = np.zeros((2, length), "int32")
    ids[: len(tokens)] = tokens
    places[: len(tokens)] = start + np.arange(len(tokens))
    mask = np.full((1, 1, length, WRITER_LENGTH), MASKED, "float32")
    for row in range(len(tokens)):
        mask[0, 0, row, : start + row + 1] = 0.0
    return interpreter.get_signature_runner(name)(
        tokens=ids[None], input_pos=places, mask=mask, **caches
    )


@pytest.mark.slow
def test_signatures_are_those_of_the_executor(interpreter):
    cache = (1, WRITER_LENGTH, 2, 8)
    listed = interpreter.get_signature_list()
    assert list(listed) == ["decode", "prefill_16", "prefill_64", "prefill_96"]
    for name in listed:
        length = 1 if name == "decode" else int(name.removeprefix("prefill_"))
        runner = interpreter.get_signature_runner(name)
        inputs = {
            "tokens": ((1, length), np.int32), "input_pos": ((length,), np.int32),
            "mask": ((1, 1, length, WRITER_LENGTH), np.float32),
            **{name: (cache, np.float32) for name in CACHES},
        }  # fmt: skip
        outputs = {name: (cache, np.float32) for name in CACHES}
        if name == "decode":
            outputs["logits"] = ((1, 1, writer().config.vocab_size), np.float32)
        for details, expected in (
            (runner.get_input_details(), inputs), (runner.get_output_details(), outputs),
        ):  # fmt: skip
            found = {
                key: (tuple(detail["shape"].tolist()), detail["dtype"])
                for key, detail in details.items()
            }
            assert found == expected, name


def test_padded_pieces_and_single_tokens_give_the_models_own_logits(interpreter):
    ids = writer().probes["ids"][0]
    reference = np.asarray(writer().model.predict_on_batch({"ids": ids[None]}))[0]
    # What an earlier text left behind is overwritten or masked.
    caches = {name: np.full((1, WRITER_LENGTH, 2, 8), 9.0, "float32") for name in CACHES}
    caches = read(interpreter, "prefill_16", ids[:11], 0, caches, length=16)
    caches = read(interpreter, "prefill_64", ids[11:25], 11, caches, length=64)
    for place in range(25, 40):
        caches = read(interpreter, "decode", ids[place : place + 1], place, caches)
        logits = caches.pop("logits")[0, 0]
        np.testing.assert_allclose(logits, reference[place], **TOLERANCE)


def test_the_mask_hides_what_it_says(interpreter):
    ids = writer().probes["ids"][0, :2]
    empty = {name: np.zeros((1, WRITER_LENGTH, 2, 8), "float32") for name in CACHES}
    caches = read(interpreter, "decode", ids[:1], 0, empty)
    alone = np.full((1, 1, 1, WRITER_LENGTH), MASKED, "float32")
    alone[..., 1] = 0.0
    del caches["logits"]
    inputs = {"tokens": ids[None, 1:], "input_pos": np.array([1], "int32"), "mask": alone}
    decode = interpreter.get_signature_runner("decode")
    # Rotary positions tell distances alone, so that one token sees itself as at the start.
    np.testing.assert_allclose(
        decode(**inputs, **caches)["logits"],
        read(interpreter, "decode", ids[1:], 0, empty)["logits"], **TOLERANCE,
    )  # fmt: skip


def test_what_is_generated_over_the_graph_is_what_keras_generates(graph):
    made = TextGenerator(LmSteps(graph), writer().tokenizer, reads_sources=False)
    # The second is read in pieces: there is no prefill of so many tokens.
    prompts = ["ab cd", " ".join(["ab", "ce", "da"] * 23)]
    assert [one.text for one in made.generate(prompts, max_tokens=24)] == [
        one.text for one in writer().generator().generate(prompts, max_tokens=24)
    ]


def test_no_step_goes_past_the_cache(graph):
    steps = LmSteps(graph)
    cache = steps.prefill(np.full((1, WRITER_LENGTH), 7, "int32"))
    with pytest.raises(InputError, match=f"got T=1 from position={WRITER_LENGTH}"):
        steps.step(np.array([9], "int32"), cache)
