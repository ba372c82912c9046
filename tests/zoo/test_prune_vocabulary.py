"""Checkpoints of ours with a part of their vocabularies, whatever tables and tokenizers they have.

Published models are in tests/zoo/pretrained.
"""

import dataclasses
import itertools
import types

import numpy as np
import pytest

import keras_transformer as kt
from keras_transformer.zoo.models.running.predict import model_inputs
from keras_transformer.zoo.prune_vocabulary import prune_checkpoint, prune_tokenizers
from tests.slow import mostly_slow
from tests.zoo.tokenizers.test_prune import marian

SMALL = {"hidden_dim": 16, "intermediate_dim": 16, "num_heads": 2, "num_layers": 1, "dropout": 0.0}
WORDS = ("one", "two", "three", "four", "five", "sixteen", "eighteen", "twenty")
OTHER = ("eins", "zwei", "drei", "vier", "五", "sechzehn", "achtzehn", "zwanzig")
SENTENCES = [
    tuple(" ".join(side[(i + 3 * j * i) % 8] for j in range(1 + i % 4)) for side in (WORDS, OTHER))
    for i in range(40)
]
TEXTS = ["one three", "eins drei", "three, one"]
OPTIONS = {"validation": 0.25, "steps": 1, "max_length": 24, "report": kt.Report()}


def check_same(whole, *, sides=("tokenizer",), labels=0):
    """The same ids but for their numbers, and the same outputs, after pruning to `TEXTS`."""
    pruned = prune_checkpoint(whole, TEXTS)
    ids = {}
    for side in ("tokenizer", "target_tokenizer"):
        before, after = getattr(whole.modality, side), getattr(pruned.modality, side)
        assert (before is None) == (after is None) == (side not in sides)
        if before is not None:
            places = {piece: i for i, piece in enumerate(before.vocabulary)}
            size = len(places)
            rest = range(size, size + labels) if side == "tokenizer" else ()
            ids[side] = np.array([*(places[one] for one in after.vocabulary), *rest])
            assert len(after.vocabulary) < size
            same = [ids[side][row].tolist() for row in after.pieces(TEXTS)]
            assert same == before.pieces(TEXTS)
    written = ids.get("target_tokenizer", ids["tokenizer"])
    read = ids["tokenizer"]
    assert pruned.config.vocab_size == len(written)
    inputs = model_inputs(pruned.model, pruned.probes)
    numbers = {"source_ids": read, "ids": written}
    expected = np.asarray(whole.model({
        name: numbers[name][value] if name in numbers else value for name, value in inputs.items()
    }))  # fmt: skip
    expected = expected[..., written] if whole.task.generates else expected
    np.testing.assert_allclose(np.asarray(pruned.model(inputs)), expected, atol=1e-6)
    return pruned


@pytest.mark.parametrize(
    "kind", mostly_slow(["wordpiece", "sentencepiece", "characters"], ["wordpiece"])
)
def test_a_classifier_of_pairs(kind, tmp_path):
    data = (*map(list, zip(*SENTENCES, strict=True)), ["a", "b"] * 20)
    whole = kt.train(
        "bert_tiny", kt.Classification(pair=True), train=data, tokenizer=kind, vocab_size=320,
        baseline=False, settings=SMALL, **OPTIONS,
    )  # fmt: skip
    pruned = check_same(whole)
    assert pruned.recipe.tokenizer.pruned["after_training"] is True
    assert pruned.metrics == whole.metrics
    pruned.save(tmp_path / "pruned")
    assert kt.load(tmp_path / "pruned").recipe == pruned.recipe
    # Other texts than those that it was pruned to.
    assert len(pruned.predict(["sixteen seven ß"], ["东京 🙂"])) == 1


@pytest.mark.parametrize(
    ("shared", "target"),
    mostly_slow(itertools.product([True, False], ["de", "de,en"]), [(True, "de,en")]),
)
def test_a_translator(shared, target, tmp_path):
    """Tables of both sides or one of each, with rows of languages past the tokenizer's."""
    data = {"en": [one for one, _ in SENTENCES], "de": [other for _, other in SENTENCES]}
    whole = kt.train(
        "transformer_tiny", "translation", train=data, source="en", target=target,
        shared_vocabulary=shared, vocab_size=320, settings=SMALL, **OPTIONS,
    )  # fmt: skip
    labels = len(target.split(",")) if "," in target else 0
    sides = ("tokenizer",) if shared else ("tokenizer", "target_tokenizer")
    pruned = check_same(whole, sides=sides, labels=labels)
    assert (pruned.config.source_vocab_size > 0) == (not shared)
    before, after = (
        one.config.vocab_size + one.config.source_vocab_size for one in (whole, pruned)
    )
    found = pruned.recipe.tokenizer.pruned
    assert (found["pieces"], found["kept"]) == (before, after)
    assert found["parameters"] == (before - after) * 16
    language = {"language": "de"} if labels else {}
    assert len(pruned.generate(["sixteen"], max_tokens=2, **language)) == 1


def test_a_writer_with_a_head_of_its_own():
    whole = kt.train(
        "gpt_tiny", "language-modeling", train=[one for one, _ in SENTENCES],
        settings={**SMALL, "tied_head": False, "logits_bias": True}, **OPTIONS,
    )  # fmt: skip
    pruned = check_same(whole)
    before, after = whole.config.vocab_size, pruned.config.vocab_size
    assert pruned.recipe.tokenizer.pruned["parameters"] == (before - after) * 16 * 2


def test_two_tokenizers_of_one_table(tmp_path):
    published = marian(tmp_path)
    texts = {"tokenizer": ["Straße the"], "target_tokenizer": ["12 lower"]}
    kept = prune_tokenizers(published.tokenizer, published.target, texts, one_table=True)
    size = published.tokenizer.vocab_size
    assert len(kept.rows) == kept.tokenizer.vocab_size == kept.target.vocab_size < size
    np.testing.assert_array_equal(kept.rows, kept.target_rows)
    sides = (("tokenizer", published.tokenizer, kept.tokenizer),
             ("target_tokenizer", published.target, kept.target))  # fmt: skip
    for name, before, after in sides:
        [ids] = after.pieces(texts[name])
        assert [kept.rows[ids].tolist()] == before.pieces(texts[name])


def test_models_that_have_no_vocabulary_to_prune():
    texts = [one for one, _ in SENTENCES]
    whole = kt.train(
        "bert_tiny", train=(texts, ["a", "b"] * 20), tokenizer="bytes", baseline=False,
        settings=SMALL, **OPTIONS,
    )  # fmt: skip
    with pytest.raises(kt.InputError, match="^Expected a tokenizer with a vocabulary .*'bytes'"):
        kt.convert(whole, prune_vocabulary=TEXTS)
    seen = dataclasses.replace(whole, modality=types.SimpleNamespace(name="image"))
    with pytest.raises(kt.InputError, match="^Expected a model that reads text to prune .* image"):
        prune_checkpoint(seen, TEXTS)
