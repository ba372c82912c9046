import dataclasses
import json
import re
import shutil

import numpy as np
import pytest

from keras_transformer.zoo.checkpoint import Checkpoint
from keras_transformer.zoo.errors import InputError
from keras_transformer.zoo.fusion.fuse import fuse, worse_note
from keras_transformer.zoo.models.build import build, get_weights
from keras_transformer.zoo.tasks.classification import Classification
from keras_transformer.zoo.training.chosen.configs import config_of
from keras_transformer.zoo.training.run_data import learn_run_data
from tests.zoo import tiny


def drawn(recipe, seed, **rows):
    """A checkpoint of a recipe with random weights, large enough to choose every label."""
    data = learn_run_data(recipe, config_of(recipe), **rows)
    config = config_of(recipe).replace(**data.vocab_sizes)
    model, rng = build(config, data.task), np.random.default_rng(seed)
    for weight in model.weights:
        weight.assign(rng.normal(0, 0.2, weight.shape))
    return Checkpoint(
        config=config, task=data.task, modality=data.modality, model=model,
        recipe=recipe.replace(seed=seed), metrics={}, probes=data.probes(0),
    )  # fmt: skip


@pytest.fixture(scope="module")
def trained(tables, tmp_path_factory):
    """The folders of three classifiers, the last of another shape, and two of numbers."""
    folder = tmp_path_factory.mktemp("members")
    wider = {**tiny.SETTINGS, "hidden_dim": 24, "dropout": 0.0}
    recipes = {
        "one": tiny.recipe(tables), "two": tiny.recipe(tables),
        "wide": tiny.recipe(tables, settings=wider, max_length=12),
        "number": tiny.recipe(tables, task="regression", label="number"),
        "number_2": tiny.recipe(tables, task="regression", label="number"),
    }  # fmt: skip
    for seed, (name, recipe) in enumerate(recipes.items(), start=1):
        drawn(recipe, seed).save(folder / name)
    return folder


def members_of(trained, *names):
    return [trained / name for name in names]


def examples(checkpoint, tables):
    return checkpoint.task.read(tables / "validation.tsv", checkpoint.columns)


@pytest.mark.parametrize("by", ["mean", "soup"])
def test_the_same_weights_twice(trained, tmp_path, by):
    shutil.copytree(trained / "one", tmp_path / "copy")
    for twice in (trained / "one", tmp_path / "copy"):
        said = f"got the same in {trained / 'one'} and {twice}; train one with another seed"
        with pytest.raises(InputError, match=re.escape(said)):
            fuse([trained / "one", trained / "two", twice], by=by)


def test_a_fusion_that_is_worse_than_a_member_says_so(trained):
    made = fuse(members_of(trained, "one", "two"))
    for member in made.metrics["members"]:
        member["accuracy"] = 0.25
    made.metrics["validation"]["accuracy"] = 0.25
    assert worse_note(made) is None
    made.metrics["members"][1]["accuracy"] = 0.5
    said = f"accuracy of the members together, 0.2500, is worse than the 0.5000 of {trained}/two al"
    assert said in worse_note(made)
    made.metrics["members"][0]["accuracy"] = None
    assert worse_note(made) is None


def test_the_mean_of_members_is_a_checkpoint(trained, tables, tmp_path):
    members = members_of(trained, "one", "two", "wide")
    made = fuse(members, tmp_path / "fused")
    again = Checkpoint.load(tmp_path / "fused")
    rows = examples(made, tables)
    # The last member reads 12 tokens, and so do all together.
    assert made.max_length == again.max_length == 12
    alone = [Checkpoint.load(path) for path in members]
    short = dataclasses.replace(alone[0].modality, max_length=12)
    scores = [dataclasses.replace(one, modality=short).scores(rows.texts) for one in alone]
    shares = [np.exp(one) / np.exp(one).sum(1, keepdims=True) for one in scores]
    expected = np.log(np.mean(shares, axis=0))
    for checkpoint in (made, again):
        np.testing.assert_allclose(checkpoint.scores(rows.texts), expected, rtol=1e-4, atol=1e-5)
    accuracy = float((expected.argmax(1) == rows.targets).mean())
    assert made.metrics["validation"]["accuracy"] == again.evaluate(rows)["accuracy"] == accuracy
    names = [(one["name"], one["weight"]) for one in again.metrics["members"]]
    assert names == [(str(path), 1 / 3) for path in members]
    found = [one["accuracy"] for one in again.metrics["members"]]
    assert found == [float((one.argmax(1) == rows.targets).mean()) for one in scores]
    recipe = again.recipe
    assert recipe.model.name == "fused" and recipe.model.settings["combine"] == "probabilities"
    assert recipe.data.max_length == 12
    assert [one["seed"] for one in recipe.model.settings["members"]] == [1, 2, 3]
    assert repr(again).startswith("Checkpoint(fused: classification, ")
    with pytest.raises(InputError, match="^Expected the recipe of one model to train"):
        config_of(recipe)
    with pytest.raises(FileExistsError):
        fuse(members, tmp_path / "fused")
    files = {path.name: path.read_bytes() for path in (tmp_path / "fused").iterdir()}
    config = json.loads(files["config.json"])
    config["model"]["members"].append(config["model"]["members"][0])
    config["model"] |= {"weights": [0.25] * 4, "num_layers": 4}
    files["config.json"] = json.dumps(config).encode()
    with pytest.raises(InputError, match="weights.safetensors has"):
        Checkpoint.of_files(files, tmp_path / "fused")


def test_fitted_weights_have_the_smallest_loss(trained, tables):
    members = members_of(trained, "one", "two", "wide")
    losses = []
    for by in ("mean", "fitted"):
        made = fuse(members, by=by, data=tables / "validation.tsv")
        rows = examples(made, tables)
        scores = made.scores(rows.texts)
        losses.append(-scores[np.arange(len(scores)), rows.targets].mean())
    assert losses[1] <= losses[0] + 1e-6
    assert sum(one["weight"] for one in made.metrics["members"]) == pytest.approx(1.0)
    assert made.recipe.data.validation == str(tables / "validation.tsv")


def test_a_vote_of_two_is_decided_by_the_surer(trained, tables):
    made = fuse(members_of(trained, "one", "two"), by="vote")
    alone = [Checkpoint.load(trained / name).scores(examples(made, tables).texts)
             for name in ("one", "two")]  # fmt: skip
    mean = np.mean([np.exp(one) / np.exp(one).sum(1, keepdims=True) for one in alone], axis=0)
    found = made.scores(examples(made, tables).texts)
    np.testing.assert_array_equal(found.argmax(1), mean.argmax(1))
    assert made.config.outputs.combine == "votes"


def test_numbers(trained, tables):
    members = members_of(trained, "number", "number_2")
    made = fuse(members, by="mean")
    rows = examples(made, tables)
    expected = np.mean([Checkpoint.load(one).scores(rows.texts) for one in members], axis=0)
    np.testing.assert_allclose(made.scores(rows.texts), expected, rtol=1e-4)
    fitted = fuse(members, by="fitted").metrics
    least = min(one["mean_squared_error"] for one in fitted["members"])
    assert fitted["validation"]["mean_squared_error"] <= least + 1e-6
    with pytest.raises(InputError, match="^Expected models that choose a label .*regression"):
        fuse(members, by="vote")


def test_a_soup_is_a_model_of_one_shape(trained, tables, tmp_path):
    made = fuse(members_of(trained, "one", "two"), tmp_path / "soup", by="soup")
    again = Checkpoint.load(tmp_path / "soup")
    weights = [get_weights(Checkpoint.load(trained / name).model) for name in ("one", "two")]
    shares = [one["weight"] for one in again.metrics["members"]]
    assert shares in ([0.5, 0.5], [1.0, 0.0], [0.0, 1.0])
    for path, value in get_weights(again.model).items():
        expected = sum(share * one[path] for share, one in zip(shares, weights, strict=True))
        np.testing.assert_allclose(value, expected, rtol=1e-6, atol=1e-7, err_msg=path)
    assert again.config == Checkpoint.load(trained / "one").config
    best = max(one["accuracy"] for one in again.metrics["members"])
    assert made.metrics["validation"]["accuracy"] >= best
    with pytest.raises(InputError, match="^Expected members of one shape.*wide and"):
        fuse(members_of(trained, "one", "wide"), by="soup")


def test_rows_in_memory(trained, tables):
    members = [Checkpoint.load(trained / name) for name in ("one", "two")]
    made = fuse(members, data=(["the iron box", "an apple"], ["métal", "fruit"]))
    assert [member["name"] for member in made.metrics["members"]] == ["member 1", "member 2"]
    assert (made.recipe.data.validation, len(made.rows["validation"])) == ("", 2)
    np.testing.assert_allclose(
        np.exp(made.scores(["the pear"])).sum(), 1.0, rtol=1e-5
    )


def changed(checkpoint, name, value):
    return dataclasses.replace(checkpoint, **{name: value})


@pytest.mark.parametrize(
    ("change", "options", "message"),
    [
        (lambda one: [one], {}, "^Expected at least two checkpoints to fuse, got 1.$"),
        (lambda one: one, {}, "^Expected at least two checkpoints to fuse, got 1.$"),
        (lambda one: [one, one], {"by": "max"}, "^Expected by to be one of mean, .* by='max'"),
        (
            lambda one: [one, changed(one, "bits", {"kernel_bits": 8, "row_bits": 8})], {},
            "^Expected float checkpoints to fuse, got member 2 of precision=integers, simulated",
        ),
        (
            lambda one: [one, changed(one, "task", Classification(labels=("a", "b")))], {},
            "one task with the same labels, .* fruit, métal in member 1 and .* a, b in member 2",
        ),
    ],
)  # fmt: skip
def test_what_cannot_be_fused(change, options, message, trained):
    one = Checkpoint.load(trained / "one")
    with pytest.raises(InputError, match=message):
        fuse(change(one), **options)


def test_other_vocabularies_are_refused(trained, tables):
    other = drawn(tiny.recipe(tables, vocab_size=40), 1)
    with pytest.raises(InputError, match="one vocabulary, got another vocab.txt in member 2"):
        fuse([trained / "one", other])


def test_members_of_members_are_refused(trained):
    made = fuse(members_of(trained, "one", "two"))
    with pytest.raises(InputError, match="^Expected one model for each member, got 2 that answer"):
        fuse([made, trained / "one"])


def test_a_soup_of_what_writes(tables):
    members = [drawn(tiny.language_recipe(tables), seed) for seed in (1, 2)]
    soup = fuse(members, by="soup")
    shares = [member["weight"] for member in soup.metrics["members"]]
    assert sum(shares) == 1
    one, two = (get_weights(member.model) for member in members)
    for path, value in get_weights(soup.model).items():
        expected = shares[0] * one[path] + shares[1] * two[path]
        np.testing.assert_allclose(value, expected, rtol=1e-6, err_msg=path)
