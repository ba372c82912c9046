"""Loss, perplexity and what follows from them, against NumPy over the model's own logits."""

import itertools
import math
from pathlib import Path

import keras
import numpy as np
import pytest

from keras_transformer.zoo.data.batches import Batches
from keras_transformer.zoo.data.plain_text import PlainText
from keras_transformer.zoo.evaluation.perplexity import Perplexity, language_perplexity
from keras_transformer.zoo.generation.scoring import stepwise_perplexity, summary
from keras_transformer.zoo.models.build import build
from keras_transformer.zoo.models.running.decoding_steps import KerasSteps
from keras_transformer.zoo.tokenizers.piece_list import SPECIAL_TOKENS
from keras_transformer.zoo.tokenizers.tokenizer import Tokenizer, TokenizerConfig
from tests.slow import mostly_slow
from tests.zoo import tiny

TOKENIZER = Tokenizer(TokenizerConfig(kind="characters"), (*SPECIAL_TOKENS, *"\n abcdefgh"))


def model_of(architecture, seed=0, **changes):
    """A model whose logits are far from even."""
    keras.utils.set_random_seed(seed)
    config = tiny.config(architecture, num_segments=0, **changes)
    model = build(config)
    rng = np.random.default_rng(seed)
    for weight in model.trainable_variables:
        weight.assign(float(weight.path.endswith("gamma")) + 0.4 * rng.normal(size=weight.shape))
    return model, config


def some_rows(rng, count, longest=11):
    return [rng.integers(1, 20, n).astype("int32") for n in rng.integers(1, longest, count)]


def expected_sums(model, columns, targets):
    """Nats and hits of all targets, a row at a time and without padding."""
    nats, hits = 0.0, 0
    for i, row in enumerate(targets):
        inputs = {name: rows[i][None] for name, rows in columns.items()}
        logits = np.asarray(model(inputs))[0].astype("float64")
        log_probabilities = logits - logits.max(-1, keepdims=True)
        log_probabilities -= np.log(np.exp(log_probabilities).sum(-1, keepdims=True))
        nats -= log_probabilities[np.arange(len(row)), row].sum()
        hits += (logits.argmax(-1) == row).sum()
    return nats, hits


@pytest.mark.parametrize(
    ("architecture", "num_characters"),
    mostly_slow(
        itertools.product(["decoder", "encoder-decoder"], [None, 123]),
        [("decoder", 123), ("encoder-decoder", None)],
    ),
)
def test_every_real_token_counts_once(architecture, num_characters):
    rng = np.random.default_rng(0)
    targets = some_rows(rng, 8)
    columns = {"ids": [rng.integers(1, 20, len(row)).astype("int32") for row in targets]}
    if architecture == "encoder-decoder":
        columns = {"source_ids": some_rows(rng, 8), **columns}
    model, _ = model_of(architecture)
    measure = Perplexity(Batches(columns, targets, batch_tokens=20), num_characters)
    found = measure(model)
    nats, hits = expected_sums(model, columns, targets)
    count = sum(map(len, targets))
    expected = {
        "loss": nats / count, "perplexity": math.exp(nats / count), "token_accuracy": hits / count
    }  # fmt: skip
    if num_characters:
        expected["bits_per_character"] = nats / math.log(2) / num_characters
    assert found == pytest.approx(expected, rel=1e-5)
    assert {type(value) for value in found.values()} == {float}


def test_the_weights_of_the_moment_are_measured():
    rng = np.random.default_rng(1)
    targets = some_rows(rng, 8)
    columns = {"ids": [rng.integers(1, 20, len(row)).astype("int32") for row in targets]}
    model, _ = model_of("decoder")
    measure = Perplexity(Batches(columns, targets, batch_tokens=20, bucket=1))
    first = measure(model)
    # Bits and all: a run that is resumed measures for the first time what the other did again.
    assert measure(model) == first
    for weight in model.trainable_variables:
        weight.assign(weight * 1.5)
    changed = measure(model)
    nats, _ = expected_sums(model, columns, targets)
    assert changed["loss"] == pytest.approx(nats / sum(map(len, targets)), rel=1e-5)
    assert abs(changed["loss"] - first["loss"]) > 1e-3
    other, _ = model_of("decoder", seed=5)
    nats, _ = expected_sums(other, columns, targets)
    assert measure(other)["loss"] == pytest.approx(nats / sum(map(len, targets)), rel=1e-5)
    assert measure(model) == changed


def test_hopeless_texts_have_a_finite_perplexity():
    found = summary(nats=5000.0, hits=1.0, num_tokens=4, num_characters=8)
    assert found["perplexity"] == pytest.approx(math.exp(700))
    assert found["loss"] == 1250.0
    assert found["token_accuracy"] == 0.25
    assert found["bits_per_character"] == pytest.approx(5000 / 8 / math.log(2))
    assert "bits_per_character" not in summary(1.0, 1.0, 4)


def test_a_text_block_by_block_and_token_by_token():
    """The model's own logits over each block, and cached steps, give the same figures."""
    text = "".join(np.random.default_rng(2).choice(list("abcdefgh \n"), 45))
    plain = PlainText(text=text, path=Path("text.txt"))
    model, config = model_of("decoder", vocab_size=TOKENIZER.vocab_size)
    stream = np.array(TOKENIZER.pieces([text])[0], "int32")
    columns = {"ids": [stream[i : i + 10][: 44 - i] for i in range(0, 44, 10)]}
    targets = [stream[1:][i : i + 10] for i in range(0, 44, 10)]
    nats, hits = expected_sums(model, columns, targets)
    expected = summary(nats, float(hits), 44, 45)
    assert language_perplexity(plain, TOKENIZER, 10)(model) == pytest.approx(expected, rel=1e-5)
    steps = KerasSteps(model, config, 10)
    found = stepwise_perplexity(steps, plain, TOKENIZER, 10)
    assert found == pytest.approx(expected, rel=1e-5)
