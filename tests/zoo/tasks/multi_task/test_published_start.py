"""Several tasks that begin with published weights: heads are new, all else is the file's."""

import json

import numpy as np
import pytest

import keras_transformer as kt
from keras_transformer.zoo.models.build import get_weights
from tests.slow import mostly_slow
from tests.zoo.training.test_fine_tuning import BERT, write_words


@pytest.fixture
def path(tmp_path):
    write_words(tmp_path)
    data = {"train": "train.tsv", "validation": "validation.tsv", "test": "validation.tsv"}
    table = {
        "first": {"task": "classification", **data},
        "number": {"task": "regression", **data},
        "both": {"task": "classification", "text_pair": "text", **data},
    }
    (tmp_path / "tasks.json").write_text(json.dumps(table))
    return tmp_path / "tasks.json"


@pytest.mark.slow
@pytest.mark.parametrize("options", mostly_slow(
    [{}, {"lora": 2}, {"layer_decay": 0.5}, {"freeze": "encoder"}], [{"lora": 2}],
))  # fmt: skip
def test_heads_are_trained_beside_published_weights(path, options):
    made = kt.train(BERT, "multi-task", train=path, steps=2, learning_rate=1e-3, **options)
    known = get_weights(kt.load(BERT).model)
    weights = get_weights(made.model)
    assert {f"{name}_head/kernel" for name in ("first", "number", "both")} <= set(weights)
    changed = {
        name for name, value in known.items() if not np.array_equal(weights[name], value)
    }
    assert ("encoder/block_0/attention/sublayer/query/kernel" in changed) != ("freeze" in options)
    # Adapters leave all else as it is, but for the pooler that the heads read.
    tables = "token_embedding/embeddings" in changed
    assert tables != ("lora" in options)


@pytest.mark.slow
def test_an_adapter_has_every_head(path, tmp_path):
    made = kt.train(
        BERT, "multi-task", train=path, steps=2, lora=2, adapter=True, out=tmp_path / "adapter"
    )
    again = kt.load(tmp_path / "adapter")
    for name, value in get_weights(made.model).items():
        np.testing.assert_allclose(get_weights(again.model)[name], value, atol=1e-6)
