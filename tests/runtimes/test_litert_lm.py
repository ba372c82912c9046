"""LiteRT-LM runs what `convert --target litertlm` writes, and writes what Keras writes."""

import dataclasses
import json
import subprocess
import sys

import numpy as np
import pytest

from keras_transformer.edge.targets.convert import convert
from keras_transformer.edge.targets.litertlm import lm_parity
from keras_transformer.edge.targets.litertlm.lm_replay import MODEL
from keras_transformer.zoo.errors import RunError
from keras_transformer.zoo.models.build import build, get_weights, set_weights
from keras_transformer.zoo.tokenizers.piece_list import MASK, SPECIAL_TOKENS
from tests.edge import generators
from tests.edge.generators import changes_for, quantized_writer, writer
from tests.slow import mostly_slow
from tests.zoo.vocabularies.test_sentencepiece import TEXTS

litert_lm = pytest.importorskip("litert_lm")
pytest.importorskip("litert_lm_builder")

PROMPT, NEW_TOKENS = "ab cd ha", 64
# With the runtime's own options, as an app's author writes it.
PROGRAM = """
import json, sys, litert_lm
path, prompt, texts = sys.argv[1], sys.argv[2], json.loads(sys.argv[3])
with litert_lm.Engine(path) as engine:
    with engine.create_session(
        apply_prompt_template=False, max_output_tokens=64,
        sampler_config=litert_lm.SamplerConfig(top_k=1, temperature=0.0),
    ) as session:
        session.run_prefill([prompt])
        pieces = [made.texts[0] for made in session.run_decode_async()]
    ids = [engine.tokenize(text) for text in texts]
    ends = engine.bos_token_id, engine.eos_token_ids
print(json.dumps({"pieces": pieces, "ids": ids, "ends": ends}))
"""


def run(folder, exported, prompt=PROMPT, texts=()):
    path = folder / MODEL
    path.write_bytes(bytes(exported))
    command = [sys.executable, "-c", PROGRAM, str(path), prompt, json.dumps(texts)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def writer_of_words(kind):
    """A writer that would write [MASK] now and then, if it were not for words alone."""
    trained = writer(kind)
    fixed = len(SPECIAL_TOKENS) + 256
    weights = get_weights(trained.model)
    [path] = (path for path in weights if path.startswith("token_embedding"))
    table = weights[path].copy()
    table[:fixed] *= 0.01
    table[SPECIAL_TOKENS.index(MASK)] = 2.0 * table[fixed:][::7].sum(0)
    model = build(trained.config, trained.task)
    set_weights(model, {**weights, path: table})
    return dataclasses.replace(trained, model=model)


def greedy(trained, prompt=PROMPT):
    """Ids that Keras writes without a cache, the special tokens left out; and with them."""
    ids = [trained.tokenizer.sep_id, *trained.tokenizer.model.ids(prompt)]
    start, forbidden = len(ids), 0
    for _ in range(NEW_TOKENS):
        logits = np.array(trained.model.predict_on_batch({"ids": np.array([ids], "int32")}))[0, -1]
        forbidden += int(logits.argmax() == SPECIAL_TOKENS.index(MASK))
        logits[: len(SPECIAL_TOKENS)] = -np.inf
        ids.append(int(logits.argmax()))
    return ids[start:], forbidden


@pytest.mark.slow
@pytest.mark.parametrize("kind", mostly_slow(["llama", "gpt"], ["llama"]))
def test_64_greedy_tokens_equal_ours(kind, tmp_path):
    trained = writer_of_words(kind)
    ids, forbidden = greedy(trained)
    expected = [trained.tokenizer.vocabulary[i].replace("\u2581", " ") for i in ids]
    # It would have been chosen, had the runtime not been told that it is never written.
    assert forbidden
    assert len(set(ids)) > 3
    found = run(tmp_path, convert(trained, target="litertlm"))
    assert found["pieces"] == [expected[0].removeprefix(" "), *expected[1:]]
    assert len(found["pieces"]) == NEW_TOKENS
    [text] = trained.generator().generate([PROMPT], max_tokens=NEW_TOKENS)
    assert "".join(expected) == text.text


@pytest.mark.parametrize(
    "precision",
    ["int8", *(pytest.param(p, marks=pytest.mark.slow)
               for p in ("float16", "dynamic_int8", "int4", "channel_int4", "int16x8"))],
)  # fmt: skip
def test_every_precision_runs(precision, tmp_path):
    """`convert` compares the tokens itself, with those of LiteRT's interpreter."""
    if precision in ("int8", "int16x8"):
        asked = {"slow_on_arm": True} if precision == "int16x8" else {}
        exported = convert(quantized_writer(precision, "gpt"), target="litertlm", **asked)
    else:
        exported = convert(writer("llama", **changes_for(precision)), precision, target="litertlm")
    measured = exported.measured["greedy tokens of LiteRT-LM"]
    assert measured == "the same, up to 64 of each prompt"


@pytest.mark.slow
def test_ids_of_hard_texts_equal_ours(tmp_path):
    tokenizer = writer().tokenizer
    texts = [text for text in TEXTS if text and "\0" not in text]
    found = run(tmp_path, convert(writer(), target="litertlm"), texts=texts)
    for text, ids in zip(texts, found["ids"], strict=True):
        assert ids == tokenizer.model.ids(text), ascii(text)
    assert found["ends"] == [tokenizer.sep_id, [[tokenizer.sep_id]]]


@pytest.mark.slow
def test_other_tokens_than_ours_are_not_kept(monkeypatch):
    generate = lm_parity.TextGenerator.generate

    def another(self, *arguments, **options):
        made = generate(self, *arguments, **options)
        return [one._replace(text=f"!{one.text}") for one in made]

    monkeypatch.setattr(lm_parity.TextGenerator, "generate", another)
    with pytest.raises(RunError, match="^Expected LiteRT-LM to continue '.*' with '!.*', got '"):
        convert(writer(), target="litertlm")


def test_a_file_that_is_none():
    with pytest.raises(RunError, match="^Running the file in LiteRT-LM failed: "):
        lm_parity._continued(b"LITERTLM", ["ab"], 4)


@pytest.mark.slow
def test_a_model_of_few_positions_is_written_to_its_end(monkeypatch):
    """LiteRT-LM counts the last token, which nothing reads, among the positions."""
    monkeypatch.setattr(generators, "WRITER_LENGTH", 16)
    writer.cache_clear()
    exported = convert(writer_of_words("gpt"), target="litertlm")
    writer.cache_clear()
    measured = exported.measured["greedy tokens of LiteRT-LM"]
    tokens = int(measured.removeprefix("the same, up to ").removesuffix(" of each prompt"))
    assert 4 < tokens < 16
