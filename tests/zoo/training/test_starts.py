"""Runs that begin with a checkpoint of ours: what they keep, and what they refuse."""

import dataclasses
import json
import re

import numpy as np
import pytest

import keras_transformer as kt
from keras_transformer.zoo.errors import InputError
from keras_transformer.zoo.models.build import get_weights
from keras_transformer.zoo.recipe import Recipe
from keras_transformer.zoo.recipe.compression import Prune
from keras_transformer.zoo.training.starts import OwnStart
from tests.masking import NAMES, lines, trained
from tests.zoo import tiny

ROWS = (lines(60, 3), [NAMES.index(line.split()[0]) % 2 for line in lines(60, 3)])


def refused(*parts):
    return pytest.raises(InputError, match=".*".join(map(re.escape, map(str, parts))))


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """The folder of a masked language model."""
    folder = tmp_path_factory.mktemp("starts") / "pretrained"
    trained().save(folder)
    return folder


@pytest.fixture(scope="module")
def tuned(folder):
    """The folder of a classifier that began with it, and its recipe beside it."""
    out = folder.with_name("tuned")
    train(folder, epochs=1, learning_rate=1e-2, out=out)
    return out


def train(model, task=None, **options):
    return kt.train(
        str(model), task or kt.Classification(), train=ROWS, validation=0.2, baseline=False,
        report=kt.Report(), **options,
    )  # fmt: skip


def test_embeddings_and_blocks_are_kept_and_the_head_is_new(folder, tuned):
    start, model = trained(), kt.load(tuned)
    frozen = train(folder, epochs=1, freeze="*embedding*,encoder/*")
    ours, theirs = get_weights(frozen.model), get_weights(start.model)
    shared = [path for path in ours if not path.startswith("head/")]
    assert any(path.startswith("encoder/block_0") for path in shared)
    for path in shared:
        expected = theirs[path]
        if path.startswith("position_embedding"):
            expected = expected[: start.max_length]
        np.testing.assert_array_equal(ours[path], expected, err_msg=path)
    assert not set(theirs) & {path for path in ours if path.startswith("head/")}
    assert model.tokenizer.vocabulary == start.tokenizer.vocabulary
    assert (model.config.pooling, model.config.max_length) == ("mean", start.max_length)
    assert model.metrics["validation"]["accuracy"] > 0.9


def test_the_same_task_keeps_its_head(folder):
    rows = {"train": lines(30, 5), "validation": lines(30, 1), "report": kt.Report()}
    again = kt.train(
        str(folder), kt.MaskedLanguageModeling(), epochs=1, learning_rate=1e-9, **rows
    )
    expected = trained().evaluate(lines(30, 1))
    assert again.evaluate(lines(30, 1))["perplexity"] < 2 * expected["perplexity"]
    start = OwnStart.of(folder)
    other = kt.build(start.config, kt.MaskedLanguageModeling(objective="replaced"))
    before = get_weights(other)
    start.assign(start.config, other, kt.MaskedLanguageModeling(objective="replaced"))
    after = get_weights(other)
    np.testing.assert_array_equal(after["head/kernel"], before["head/kernel"])
    assert (after["encoder/block_0/feed_forward/sublayer/up/kernel"]
            != before["encoder/block_0/feed_forward/sublayer/up/kernel"]).any()  # fmt: skip


def test_the_recipe_records_where_it_began_and_a_repeat_checks_it(folder, tuned, tmp_path):
    recipe = Recipe.from_file(tuned / "recipe.json")
    origin = recipe.model.published
    assert recipe.model.name == origin["source"] == str(folder)
    assert {"config.json", "weights.safetensors", "vocab.txt"} <= set(origin["sha256"])
    again = kt.train(
        recipe, train=ROWS, validation=0.2, baseline=False, report=kt.Report()
    )
    for path, value in get_weights(kt.load(tuned).model).items():
        np.testing.assert_array_equal(get_weights(again.model)[path], value, err_msg=path)
    other = tmp_path / "other"
    weights = trained().model.get_weights()
    changed = kt.load(folder)
    changed.model.set_weights([weights[0] + 1, *weights[1:]])
    changed.save(other)
    with refused(f"Expected weights.safetensors of {other} to be the file of the recipe"):
        kt.train(recipe.replace(model=str(other)), train=ROWS, validation=0.2)
    with pytest.raises(FileNotFoundError, match="no checkpoint or published model .*gone"):
        kt.train(recipe.replace(model=str(tmp_path / "gone")), train=ROWS, validation=0.2)


def test_options_suit_as_for_published_weights(tuned):
    recipe = Recipe.from_file(tuned / "recipe.json")
    assert (recipe.optimizer.name, recipe.optimizer.weight_decay) == ("adamw", 0.01)
    assert (recipe.training.patience, recipe.optimizer.learning_rate) == (2, 1e-2)
    assert recipe.data.max_length == trained().max_length


def test_small_weights_from_nothing_have_the_rate_of_a_run_from_scratch(folder, tmp_path):
    heard = tiny.Heard()
    options = {"train": ROWS, "validation": 0.2, "baseline": False, "report": heard, "steps": 1}
    first = kt.train(str(folder), kt.Classification(), out=tmp_path / "first", **options)
    assert first.recipe.optimizer.learning_rate == 1e-3
    [note] = [note for note in heard.notes if "suit" in note]
    assert "learning_rate 0.001" in note
    assert re.search(r"Its [1-9]\d{0,2}(,\d{3})* weights were learned from nothing", note)
    # A run that begins with this one goes back to nothing as well.
    again = kt.train(str(tmp_path / "first"), kt.Classification(), **options)
    assert again.recipe.optimizer.learning_rate == 1e-3
    assert again.recipe.model.published["from_nothing"] is True
    options["report"] = heard = tiny.Heard()
    adapted = kt.train(str(folder), kt.Classification(), lora=2, **options)
    assert adapted.recipe.optimizer.learning_rate == 1e-3
    own = kt.train(str(folder), kt.Classification(), learning_rate=2e-3, **options)
    assert own.recipe.optimizer.learning_rate == 2e-3
    assert not [note for note in heard.notes if "from nothing" in note]


@pytest.mark.parametrize(("origin", "rate"), [({"from_nothing": True}, 1e-3), ({}, 1e-4)])
def test_weights_that_go_back_to_published_ones_have_their_rate(folder, tmp_path, origin, rate):
    start = kt.load(folder)
    published = {"source": "hf:a/b", "revision": "1", "licence": "mit", "sha256": {}, **origin}
    start.recipe = start.recipe.replace(published=published)
    start.save(tmp_path / "start")
    recipe = train(tmp_path / "start", steps=1).recipe
    assert recipe.optimizer.learning_rate == rate
    assert recipe.model.published["from_nothing"] is (rate == 1e-3)


def test_what_does_not_fit(folder, tmp_path):
    with refused("Expected max_length to be at most the model's 12, got max_length=64"):
        train(folder, max_length=64)
    with refused("Expected a weight encoder/block_1/", "as the settings of the run say, got none"):
        train(folder, settings={"num_layers": 2})
    with refused("Expected a weight token_embedding/embeddings of shape", "got shape"):
        train(folder, settings={"hidden_dim": 16})
    with refused("Expected no vocab_size for a trained model, which has its own", "=50"):
        train(folder, vocab_size=50)
    with refused("Expected no prune_vocabulary where a run begins with a checkpoint"):
        train(folder, prune_vocabulary=["anna"])
    with refused("Expected a published model where adapter=True, got the checkpoint"):
        train(folder, lora=2, adapter=True, epochs=1, out=tmp_path / "out")
    with refused(f"Expected a published model with config.json in {tmp_path}, got none"):
        train(tmp_path)
    with refused("Expected a model among ast_tiny", "got 'nothing_there'"):
        train("nothing_there")


def test_all_blocks_are_used(folder, tmp_path):
    start = OwnStart.of(folder)
    model = kt.build(start.config.replace(positions="sinusoidal"), kt.Embedding())
    with refused("Expected a model with all blocks of", "position_embedding", "leave out"):
        start.assign(start.config, model, kt.Embedding())


def test_quantized_and_pruned_checkpoints_are_refused(folder, tmp_path):
    quantized = kt.quantize(
        trained(), precision="dynamic_int8", epochs=1, train=lines(20, 0),
        validation=lines(20, 1), report=kt.Report(), out=tmp_path / "quantized",
    )  # fmt: skip
    assert quantized.is_quantized
    with refused("Expected a float checkpoint to begin with, got", "in dynamic_int8, simulated"):
        train(tmp_path / "quantized")
    recipe = dataclasses.replace(trained().recipe, prune=Prune(sparsity=0.5))
    dataclasses.replace(trained(), recipe=recipe).save(tmp_path / "pruned")
    with refused("Expected a dense checkpoint to begin with, got"):
        train(tmp_path / "pruned")
    (tmp_path / "damaged").mkdir()
    (tmp_path / "damaged" / "recipe.json").write_text(json.dumps({}))
    with refused("damaged"):
        train(tmp_path / "damaged")


def test_a_decoder_goes_on(tmp_path):
    settings = {"num_layers": 1, "hidden_dim": 16, "num_heads": 2, "intermediate_dim": 24}
    rows = {"train": lines(30, 0), "validation": lines(10, 1), "report": kt.Report()}
    first = kt.train(
        "gpt_nano", "language-modeling", epochs=2, settings=settings, max_length=16, **rows
    )
    first.save(tmp_path / "writer")
    task = kt.LanguageModeling()
    again = kt.train(str(tmp_path / "writer"), task, epochs=1, learning_rate=1e-9, **rows)
    loss = [one.metrics["validation"]["loss"] for one in (first, again)]
    assert loss[1] == pytest.approx(loss[0], rel=1e-4)
