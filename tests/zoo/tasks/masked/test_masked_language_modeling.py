"""Masked language modeling: its data, its learners, and models that learn."""

import dataclasses
from pathlib import Path

import keras
import numpy as np
import pytest
from keras import ops

import keras_transformer as kt
from keras_transformer.zoo.data.plain_text import PlainText, token_stream
from keras_transformer.zoo.errors import InputError
from keras_transformer.zoo.losses.losses import ReplacedLoss, token_loss
from keras_transformer.zoo.modalities.text import Text
from keras_transformer.zoo.models.build import build, get_weights
from keras_transformer.zoo.models.config import TransformerConfig
from keras_transformer.zoo.models.heads import Head
from keras_transformer.zoo.tasks.masked.learners import (
    MaskedLearner,
    ReplacedLearner,
    generator_config,
)
from keras_transformer.zoo.tasks.masked.scores import MaskScores, ReplacementScores
from keras_transformer.zoo.tasks.registry import task_from_json
from tests.masking import SETTINGS, lines, trained
from tests.slow import mostly_slow
from tests.zoo.masking.test_masking import MASK, TOKENIZER

TASK = kt.MaskedLanguageModeling()
REPLACED = kt.MaskedLanguageModeling(objective="replaced")
CONFIG = TransformerConfig(
    architecture="encoder", vocab_size=TOKENIZER.vocab_size, max_length=12,
    **{**SETTINGS, "hidden_dim": 16, "intermediate_dim": 24},
)  # fmt: skip


def refused(message):
    return pytest.raises(InputError, match=message)


def text(count, seed=0):
    rng = np.random.default_rng(seed)
    found = "".join(f"w{rng.integers(30)}{'p0' * int(rng.integers(2))} " for _ in range(count))
    return PlainText(text=found, path=Path("text.txt"))


def data(train, task=TASK, max_length=12):
    modality = Text(tokenizer=TOKENIZER, max_length=max_length)
    return task.run_data(train, text(60, 1), modality)


def batches(count=200, task=TASK, **options):
    return data(text(count), task).batches(
        **{"batch_tokens": 48, "bucket": 4, "seed": 0, **options}
    )


def restored(ids, targets):
    return np.where(targets > 0, targets, ids)


@pytest.mark.parametrize("count", [1, 4, 9, 10, 11, 19, 20, 21, 200])
def test_an_epoch_is_framed_blocks_somewhere_in_the_text(count):
    stream = token_stream(text(count), TOKENIZER).tolist()
    made = batches(count)
    for epoch in range(5):
        found = []
        for batch in made.epoch(epoch):
            for row, ids, targets in zip(
                batch.index, batch.inputs["ids"], batch.targets, strict=True
            ):
                length = np.count_nonzero(ids)
                assert (targets[length:] == -1).all()
                assert (ids[0], ids[length - 1]) == (2, 3)
                found.append((row, restored(ids, targets)[1 : length - 1].tolist()))
        run = [i for _, part in sorted(found) for i in part]
        assert run in [stream[i : i + len(run)] for i in range(10)]
        assert len(stream) - len(run) < 20
        assert len(list(made.epoch(epoch))) == len(made)


def test_masks_differ_by_epoch_and_seed_and_resume():
    def ids(epoch, start=0, **changes):
        return [b.inputs["ids"].tolist() for b in batches(**changes).epoch(epoch, start=start)]

    assert ids(3) == ids(3)
    assert ids(3, start=2) == ids(3)[2:]
    assert ids(3) != ids(4) != ids(3, seed=1)
    with refused("^Expected piece_dropout to be 0 for masked-language-modeling, got .*0.1"):
        batches(piece_dropout=0.1)
    with refused("^Expected max_length to be at least 3, got max_length=2"):
        data(text(20), max_length=2).batches(batch_tokens=8, bucket=4, seed=0)


def test_validation_and_probes_are_always_the_same():
    first, second = (TASK.encode(text(60, 1), data(text(9)).modality) for _ in range(2))
    for one, two in zip(first.columns["ids"], second.columns["ids"], strict=True):
        np.testing.assert_array_equal(one, two)
    probes = data(text(9)).probes(0)["ids"]
    assert (probes == MASK).sum(axis=1).min() >= 1


def test_logits_at_masked_positions_give_the_loss_and_gradients_of_all():
    keras.utils.set_random_seed(0)
    model = build(CONFIG, TASK)
    batch = next(iter(batches().epoch(0)))
    learner = MaskedLearner(model, 2)
    learner.compile(loss=TASK.loss(), optimizer=keras.optimizers.SGD(0.5))
    expected = float(token_loss(batch.targets, model(batch.inputs)))
    before = get_weights(model)
    found = float(learner.train_on_batch(batch.inputs, batch.targets))
    assert found == pytest.approx(expected, rel=1e-5)
    ours = get_weights(model)
    other = build(CONFIG, TASK)
    other.set_weights([before[weight.path] for weight in other.weights])
    other.compile(loss=TASK.loss(), optimizer=keras.optimizers.SGD(0.5))
    other.train_on_batch(batch.inputs, batch.targets)
    for path, value in get_weights(other).items():
        np.testing.assert_allclose(ours[path], value, atol=2e-6, err_msg=path)


def test_the_head_is_a_transform_and_the_product_with_the_table():
    keras.utils.set_random_seed(0)
    for changes in ({}, {"embedding_dim": 8}, {"activation": "relu", "norm": "rms_norm"}):
        config = CONFIG.replace(**changes)
        model = build(config, TASK)
        for weight in model.weights:
            weight.assign(np.random.default_rng(0).normal(size=weight.shape))
        states = keras.Model(model.inputs, model.get_layer("encoder").output)
        ids = np.array([[2, 7, 4, 9, 3, 0]], "int32")
        weights = get_weights(model)
        x = ops.convert_to_numpy(states({"ids": ids}))
        x = x @ weights["head/transform/kernel"] + weights["head/transform/bias"]
        x = ops.convert_to_numpy(
            ops.relu(x) if changes.get("activation") else ops.gelu(x, approximate=False)
        )
        if changes.get("norm"):
            x = x / np.sqrt(np.square(x).mean(-1, keepdims=True)) * weights["head/norm/gamma"]
        else:
            x = (x - x.mean(-1, keepdims=True)) / x.std(-1, keepdims=True)
            x = x * weights["head/norm/gamma"] + weights["head/norm/beta"]
        expected = x @ weights["token_embedding/embeddings"].T
        expected = expected + weights["token_embedding/logits_bias"]
        found = ops.convert_to_numpy(model({"ids": ids}))
        np.testing.assert_allclose(found, expected, atol=1e-3 * np.abs(expected).max())


def test_a_generator_fills_the_masks_and_the_encoder_is_told_which_it_replaced():
    keras.utils.set_random_seed(0)
    model = build(CONFIG, REPLACED)
    learner = ReplacedLearner(model, CONFIG, 2, MASK)
    seen = []

    class Recorded(keras.losses.Loss):
        def call(self, y_true, y_pred):
            seen.append((ops.convert_to_numpy(y_true), ops.convert_to_numpy(y_pred)))
            return ReplacedLoss()(y_true, y_pred)

    learner.compile(loss=Recorded(), optimizer="sgd", run_eagerly=True)
    batch = next(iter(batches(task=REPLACED).epoch(0)))
    # A generator that is sure of one piece: it replaces all masked pieces but those of its kind.
    for weight in learner.generator.weights:
        if weight.path.endswith("logits_bias"):
            weight.assign(np.where(np.arange(CONFIG.vocab_size) == 5, 1e4, 0.0))
    original = np.where(batch.targets > 0, batch.targets - 1, batch.inputs["ids"])
    loss = float(learner.train_on_batch(batch.inputs, batch.targets))
    [(found, outputs)] = seen
    chosen = batch.targets > 0
    np.testing.assert_array_equal(found == -1, batch.targets == -1)
    np.testing.assert_array_equal(found == 1, chosen & (original != 5))
    assert outputs.shape == (*batch.targets.shape, 1)
    assert loss > 50 * float(ReplacedLoss()(found, outputs))


def test_the_loss_of_replaced_pieces():
    targets = np.array([[0, 7, -1]])
    logits = np.array([[[0.5], [-1.0], [9.0]]], "float32")
    expected = (np.log1p(np.exp(0.5)) + np.log1p(np.exp(1.0))) / 2
    assert float(ReplacedLoss()(targets, logits)) == pytest.approx(expected, rel=1e-6)


def test_a_generator_is_a_quarter_of_the_encoder():
    config = generator_config(kt.TransformerConfig(
        architecture="encoder", vocab_size=9, max_length=8, hidden_dim=256, intermediate_dim=1024,
        num_layers=4, num_heads=4, num_key_value_heads=2, embedding_dim=64,
    ))  # fmt: skip
    assert (config.hidden_dim, config.num_heads, config.head_width) == (64, 1, 64)
    assert (config.intermediate_dim, config.num_layers, config.embedding_dim) == (256, 4, 0)
    build(config, Head(kind="masked"))


def test_scores_against_numpy():
    scores, targets = MaskScores(), np.array([-1, 2, 0, -1])
    logits = np.random.default_rng(0).normal(size=(4, 5)).astype("float32")
    scores.add(logits, targets)
    probabilities = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    nats = -np.log(probabilities[[1, 2], [2, 0]]).mean()
    found = scores.metrics()
    assert found["loss"] == pytest.approx(nats, rel=1e-6)
    assert found["perplexity"] == pytest.approx(np.exp(nats), rel=1e-6)
    assert found["token_accuracy"] == (logits[[1, 2]].argmax(1) == [2, 0]).mean()
    scores = ReplacementScores()
    scores.add(np.array([[2.0], [2.0], [-1.0], [-1.0], [9.0]]), np.array([7, 0, 4, 0, -1]))
    found = scores.metrics()
    assert (found["accuracy"], found["precision"], found["recall"]) == (0.5, 0.5, 0.5)
    assert found["f1"] == 0.5


@pytest.mark.parametrize("objective", mostly_slow(["masked", "replaced"], ["replaced"]))
def test_a_model_learns_and_is_saved(objective, tmp_path):
    checkpoint = trained(objective)
    found, expected = checkpoint.evaluate(lines(40, 1)), checkpoint.metrics["validation"]
    for name in checkpoint.task.evaluate(checkpoint, TASK.read(lines(40, 1))):
        assert found[name] == pytest.approx(expected[name], rel=1e-4), name
    checkpoint.save(tmp_path / "model")
    again = kt.load(tmp_path / "model")
    assert again.task == checkpoint.task
    if objective == "masked":
        assert found["token_accuracy"] > 0.9
        [filled] = again.predict(["anna anna [MASK] anna"])
        assert next(iter(filled.masks[0].pieces)) == "anna"
        with refused(r"^Expected \[MASK\] in each text, got none in text 1: 'anna'"):
            again.predict(["anna"])
    else:
        assert found["f1"] > 0.7
        [found] = again.predict(["anna anna anna bob anna anna anna"])
        assert max(found.pieces, key=lambda one: one[1])[0] == "bob"


def test_a_recipe_says_the_objective_and_others_are_refused():
    assert trained().recipe.optimizer.objective == "masked"
    assert task_from_json(REPLACED.to_json(), ()) == REPLACED
    options = {"train": lines(9, 0), "validation": 0.3, "epochs": 1, "settings": SETTINGS}
    for objective in ("scores", "ranking"):
        with refused(f"^Expected objective to be masked or replaced .*got objective='?{objective}"):
            kt.train("bert_tiny", "masked-language-modeling", objective=objective, **options)
    with refused("^Expected objective to be scores or ranking, got objective='replaced'"):
        kt.Embedding(objective="replaced")
    with refused("^Expected mask_share to be above 0 and below 1, got mask_share=1.0"):
        kt.MaskedLanguageModeling(mask_share=1.0)
    with refused("^Expected label_smoothing to be 0 for objective=replaced, got .*0.1"):
        REPLACED.loss(0.1)
    with refused("^Expected no labels for masked-language-modeling, got 1"):
        task_from_json(TASK.to_json(), ("a",))
    with refused("^Expected no beams, got beams=2|beams"):
        TASK.evaluate(trained(), TASK.read(lines(9, 0)), beams=2)


def test_examples_of_the_task():
    assert dataclasses.replace(TASK, mask_share=0.3).to_json() == {
        "name": "masked-language-modeling", "pair": False, "objective": "masked",
        "mask_share": 0.3,
    }  # fmt: skip
    first, second = TASK.split(TASK.read(lines(10, 0)), 0.3)
    assert (first.text.count("\n"), second.text.count("\n")) == (7, 3)
