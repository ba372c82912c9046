import json
import re
import shutil

import numpy as np
import pytest

from keras_transformer.zoo.checkpoint import Checkpoint
from keras_transformer.zoo.errors import InputError
from keras_transformer.zoo.models.build import get_weights
from keras_transformer.zoo.storage.files import write_folder
from keras_transformer.zoo.tasks.classification import Classification
from keras_transformer.zoo.tasks.labelled_data import NUM_PROBES
from tests.zoo import tiny

FILES = (
    "config.json", "labels.txt", "metrics.json", "probes.safetensors", "recipe.json",
    "tokenizer.json", "vocab.txt", "weights.safetensors",
)  # fmt: skip
TEXTS = ["an old plum", "", "some things of zinc and iron", "ours " * 50, "iron", "日本 ☃ \x00"]


def refused(kind, message):
    return pytest.raises(kind, match=f"^{re.escape(message)}$")


@pytest.fixture
def folder(learned, tmp_path):
    """A copy of the checkpoint, to break."""
    return shutil.copytree(learned[0], tmp_path / "copy")


def test_the_task_is_learned(learned):
    assert learned[1].metrics["validation"]["accuracy"] >= 0.98


def test_round_trip(learned):
    out, trained = learned
    loaded = Checkpoint.load(out)
    # The same weights in a graph of another history: the last bits may differ.
    np.testing.assert_allclose(loaded.scores(TEXTS), trained.scores(TEXTS), rtol=1e-5, atol=5e-6)
    tiny.assert_same_weights(get_weights(loaded.model), get_weights(trained.model))
    for name in ("config", "task", "max_length", "recipe", "metrics", "bits", "labels"):
        assert getattr(loaded, name) == getattr(trained, name), name
    assert (loaded.task.name, loaded.is_quantized) == ("classification", False)
    assert loaded.tokenizer.vocabulary == trained.tokenizer.vocabulary
    for name, value in trained.probes.items():
        np.testing.assert_array_equal(loaded.probes[name], value)


def test_the_folder_explains_itself(learned, tables):
    out, trained = learned
    assert sorted(path.name for path in out.iterdir()) == sorted([*FILES, "manifest.json"])
    assert (out / "labels.txt").read_text(encoding="utf-8") == "fruit\nmétal\n"
    recipe = json.loads((out / "recipe.json").read_text())
    assert recipe["data"]["train"] == str(tables / "train.tsv")
    assert json.loads((out / "metrics.json").read_text(encoding="utf-8")) == trained.metrics
    assert not out.with_name(f"{out.name}.training").exists()


def test_the_kept_metrics_are_those_of_the_loaded_model(learned):
    out, trained = learned
    examples = trained.task.read(trained.recipe.data.validation)
    result = trained.task.evaluate(Checkpoint.load(out), examples)
    result |= {"unknown_tokens": 0.0, "rows_with_unknown_tokens": 0.0}
    assert result == {"rows": 48, "truncated": 0, **trained.metrics["validation"]}


def test_scores_stand_in_the_order_of_the_texts(learned):
    trained = learned[1]
    together = trained.scores(TEXTS)
    cut = [prediction.truncated for prediction in trained.predict(TEXTS)]
    assert cut == [text == "ours " * 50 for text in TEXTS]
    for text, row in zip(TEXTS, together, strict=True):
        np.testing.assert_allclose(trained.scores([text])[0], row, rtol=1e-4, atol=1e-5)
    predictions = [trained.labels[i] for i in together.argmax(axis=1)]
    assert (predictions[0], predictions[2], predictions[4]) == ("fruit", "métal", "métal")
    assert trained.scores([]).shape == (0, 2)


def test_pairs_for_a_model_of_single_texts(learned):
    with refused(InputError, "Expected single texts, as the model was trained on."):
        learned[1].scores(["a"], ["b"])


def test_a_checkpoint_says_what_it_is(learned):
    trained = learned[1]
    count = f"{trained.model.count_params():,}"
    accuracy = trained.metrics["validation"]["accuracy"]
    assert repr(trained) == (
        f"Checkpoint(bert_tiny: classification, {count} parameters, float32, "
        f"validation accuracy {accuracy:.4f})"
    )


def test_it_measures_itself(learned, tables):
    trained = learned[1]
    found = trained.evaluate(tables / "validation.tsv")
    assert found == {"rows": 48, "truncated": 0, **trained.metrics["validation"]}
    assert "accuracy" in repr(found)
    uses = ", ".join(Classification.columns)
    with refused(InputError, f"Expected columns of classification ({uses}), got target='a'."):
        trained.evaluate(tables / "validation.tsv", target="a")
    with refused(TypeError, "Expected data to be a path, columns or rows, got NoneType None."):
        trained.evaluate(None)


def test_a_classifier_generates_nothing(learned):
    with refused(InputError, "Expected a model that generates text, got one of classification."):
        learned[1].generator()


def test_probes_are_rows_of_the_validation_data(learned):
    probes = learned[1].probes
    assert list(probes) == ["ids"]
    assert len(probes["ids"]) == min(NUM_PROBES, 48)


@pytest.mark.parametrize("name", FILES)
def test_a_missing_file(folder, name):
    (folder / name).unlink()
    with refused(InputError, f"The checkpoint {folder} lacks its file {name}."):
        Checkpoint.load(folder)


@pytest.mark.parametrize("name", FILES)
def test_an_edited_file(folder, name):
    path = folder / name
    path.write_bytes(path.read_bytes() + b" ")
    with refused(
        InputError,
        f"The checkpoint {folder} was changed after it was written: {name} does not match "
        "manifest.json.",
    ):
        Checkpoint.load(folder)


def test_a_folder_that_is_none_of_ours(tmp_path):
    with refused(FileNotFoundError, f"There is no checkpoint folder {tmp_path / 'none'}."):
        Checkpoint.load(tmp_path / "none")
    write_folder(tmp_path / "state", {"progress.json": b"{}"})
    with refused(
        InputError,
        f"{tmp_path / 'state'} is no checkpoint of a trained model: it has no config.json.",
    ):
        Checkpoint.load(tmp_path / "state")


def test_saving_over_a_checkpoint_is_asked_for(learned, folder):
    trained = learned[1]
    before = (folder / "manifest.json").read_bytes()
    with refused(
        FileExistsError, f"{folder} exists; choose another path or give --overwrite."
    ):
        trained.save(folder)
    trained.save(folder, overwrite=True)
    assert (folder / "manifest.json").read_bytes() == before
