"""Embeddings that learn from pairs that match, in every step."""

import dataclasses
import json
import random
import re

import numpy as np
import pytest

from keras_transformer.edge.compare.compare import compare
from keras_transformer.edge.quantize.qat import quantize
from keras_transformer.edge.runtime.runner import Runner
from keras_transformer.edge.targets.convert import convert
from keras_transformer.zoo.checkpoint import Checkpoint
from keras_transformer.zoo.data.pair_batches import PairBatches
from keras_transformer.zoo.errors import InputError
from keras_transformer.zoo.modalities.modality import InputSpec
from keras_transformer.zoo.tasks.embedding import Embedding
from keras_transformer.zoo.tasks.measure import evaluate
from keras_transformer.zoo.tasks.registry import task_from_json
from keras_transformer.zoo.training.train import train
from keras_transformer.zoo.training.train_recipe import train_recipe
from tests.zoo import tiny

WORDS = ("iron", "zinc", "tin", "apple", "pear", "plum", "ancient", "modern", "large", "small")
TRIPLETS = (["a", "b"], ["c", "d"], ["e", "f"])


def refused(message):
    return pytest.raises(InputError, match=f"^{re.escape(message)}$")


def write_triplets(folder):
    """Tables of texts, matches with the same word, and negatives with another."""
    rng = random.Random(0)
    for name, count in (("train.tsv", 160), ("validation.tsv", 40)):
        lines = ["text\ttext_pair\tother"]
        for _ in range(count):
            word, other = rng.sample(WORDS, 2)
            texts = [tiny.sentence(rng, one) for one in (word, word, other)]
            lines.append("\t".join(texts))
        (folder / name).write_text("\n".join(lines) + "\n", encoding="utf-8")


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    folder = tmp_path_factory.mktemp("ranking")
    write_triplets(folder)
    recipe = tiny.recipe(
        folder, task="embedding", negative="other", objective="ranking", widths="4,8", epochs=6,
        batch_tokens=384, settings={**tiny.SETTINGS, "pooling": "mean"},
    )  # fmt: skip
    return folder, train_recipe(recipe, folder / "out")


def test_matches_are_found(trained):
    folder, checkpoint = trained
    measured = checkpoint.metrics["validation"]
    # 40 texts of 10 words: of the four with the word, one is the match.
    assert measured["recall_at_10"] > 0.85 and measured["mean_reciprocal_rank"] > 0.3
    assert 0 < measured["mean_reciprocal_rank_4"] <= 1
    assert set(measured) >= {"recall_at_1", "recall_at_5", "mean_reciprocal_rank_8"}
    loaded, runner = Checkpoint.load(folder / "out"), Runner(convert(checkpoint))
    assert loaded.task.objective == "ranking" and loaded.task.widths == "4,8"
    for predictor in (loaded, runner):
        found = evaluate(predictor, folder / "validation.tsv")
        # A file's last bits may change the order of two.
        for name in ("mean_reciprocal_rank", "recall_at_5", "mean_reciprocal_rank_4"):
            assert found[name] == pytest.approx(measured[name], abs=0.03), name
        whole = predictor.embed(["the iron box"])
        short = predictor.embed(["the iron box"], width=4)
        np.testing.assert_allclose(
            short, whole[:, :4] / np.linalg.norm(whole[:, :4]), rtol=1e-5, atol=1e-6
        )
        np.testing.assert_array_equal(
            predictor.embed(["the iron box"], width=4, dtype="int8"),
            np.round(127 * short.astype("float64")).astype("int8"), strict=True,
        )  # fmt: skip
    with refused("Expected width to be from 1 to the 16 numbers of a vector, got width=17."):
        loaded.embed(["a"], width=17)


def test_it_is_quantized(trained):
    folder, checkpoint = trained
    quantized = quantize(checkpoint, epochs=1)
    assert quantized.metrics["validation"]["recall_at_10"] > 0.8
    [one] = compare(quantized, convert(quantized), folder / "validation.tsv")
    assert one.metric == "mean_reciprocal_rank" and abs(one.value - one.checkpoint_value) < 0.1


def test_scores_beyond_the_cosines_have_no_squared_error(trained):
    scored = (["the iron box", "a pear", "tin"], ["iron", "tin", "a tin"], [5.0, 0.0, 4.0])
    found = evaluate(trained[1], scored, label="score")
    assert found["mean_squared_error"] is None and found["spearman"] is not None
    assert found["undefined"] == {
        "mean_squared_error": "scores are from 0 to 5, and cosines stand for 0 to 1"
    }
    assert "spearman_4" in found
    within = evaluate(trained[1], (*scored[:2], [1.0, 0.0, 0.9]), label="score")
    assert 0 <= within["mean_squared_error"] < 2 and "undefined" not in within


def test_pairs_that_match_are_read_without_scores():
    task = Embedding(objective="ranking")
    columns = {"text": ["a", "b", "c"], "text_pair": ["x", "y", "x"], "label": [1, 2, 3]}
    examples = task.read(columns)
    np.testing.assert_array_equal(examples.targets, np.array([0, 1, 0], "int32"), strict=True)
    triplets = task.read(TRIPLETS, {"negative": "other"})
    assert triplets.negatives == ["e", "f"] and triplets.take([1]).negatives == ["f"]
    assert task.rows(triplets) == (["a", "b", "c", "d", "e", "f"], None)
    assert task.vocabulary_texts(triplets) == {"tokenizer": ["a", "b", "c", "d", "e", "f"]}
    assert list(triplets.rows()) == [("a", "c", "e", 0), ("b", "d", "f", 1)]
    # For another objective a column `label` is scores.
    scored = Embedding().read({"text": ["a"], "text_pair": ["x"], "label": [0.5]})
    np.testing.assert_array_equal(scored.targets, np.array([0.5], "float32"), strict=True)


def test_a_third_column_in_memory_is_of_negatives():
    task = Embedding(objective="ranking")
    for source in (TRIPLETS, list(zip(*TRIPLETS, strict=True))):
        assert task.read(source).negatives == ["e", "f"]
    assert task.read(TRIPLETS[:2]).negatives is None
    # For scores it is a column of them, as it is where their column is named.
    assert Embedding().read((["a"], ["b"], [1.0])).negatives is None
    assert task.read((["a"], ["b"], [1.0]), {"label": "score"}).negatives is None


def test_triplets_from_memory_train_a_model_of_similarity():
    rng = random.Random(0)
    texts, pairs, negatives = ([tiny.sentence(rng, "tin") for _ in range(12)] for _ in range(3))
    given = {
        "task": "similarity", "train": (texts, pairs, negatives), "objective": "ranking",
        "validation": (texts[:4], pairs[:4]), "epochs": 1, "vocab_size": 60, "max_length": 16,
        "settings": {**tiny.SETTINGS, "pooling": "mean"},
    }  # fmt: skip
    made = train("bert_tiny", **given, widths="4,16")
    assert made.recipe.task == "embedding" and made.task.name == "embedding"
    assert set(made.metrics["validation"]) >= {"recall_at_1", "mean_reciprocal_rank_4"}
    with refused("Expected widths to be at most the 16 numbers of a vector, got widths=4,17."):
        train("bert_tiny", **given, widths="17,4")


def test_objectives_refuse_the_other_data():
    ranking, scores = Embedding(objective="ranking"), Embedding()
    scored = ranking.read((["a"], ["b"], [1.0]), {"label": "score"})
    with refused(
        "data: expected pairs that match, without scores, for objective=ranking."
    ):
        ranking.learned_from(scored)
    given = scores.read(
        {"text": ["a"], "text_pair": ["b"], "other": ["c"], "label": [1.0]}, {"negative": "other"}
    )
    with refused("data: expected negatives only for objective=ranking."):
        scores.learned_from(given)


def test_what_decides_is_what_the_rows_allow():
    task = Embedding(objective="ranking")
    pairs, scored = task.read(TRIPLETS[:2]), task.read((*TRIPLETS[:2], [1, 2]), {"label": "s"})
    assert task.defined(task.metric, pairs).name == "mean_reciprocal_rank"
    assert task.defined(task.metric, scored).name == "spearman"
    assert task.notes(task.metric, pairs) == []
    assert Embedding().defined(Embedding().metric, scored).name == "spearman"
    assert Embedding().undefined(pairs)["spearman"] == "rows have no scores"


def test_batches_of_triplets_hold_all_three_rows():
    rows = [np.full(1 + place % 3, place, "int32") for place in range(12)]
    batches = PairBatches(
        {"ids": rows}, np.arange(4), specs=[InputSpec(name="ids")], batch_tokens=18
    )
    assert batches.largest()[0] % 3 == 0
    seen = []
    for batch in batches.epoch(0):
        parts = np.split(batch.inputs["ids"][:, 0], 3)
        for target, *found in zip(batch.targets, *parts, strict=True):
            assert found == [target, 4 + target, 8 + target]
            seen.append(target)
    assert sorted(seen) == [0, 1, 2, 3]


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"objective": "luck"}, "Expected objective to be scores or ranking, got "
         "objective='luck'."),
        *(
            ({"widths": widths}, "Expected widths to be integers above 0, separated by commas, got "
             f"widths={widths!r}.")
            for widths in ("0", "4,,8", "x", 4)
        ),
        ({"widths": "8,4, 8"}, "Expected each of the widths once, got widths='8,4, 8'."),
    ],
)  # fmt: skip
def test_impossible_values(values, message):
    with refused(message):
        Embedding(**values)


def test_a_task_is_what_its_json_says():
    task = Embedding(objective="ranking", widths="8,4", lowest=1.0, highest=2.0)
    again = task_from_json(json.loads(json.dumps(task.to_json())), ())
    assert dataclasses.asdict(again) == dataclasses.asdict(task)
    assert "objective" not in Embedding().to_json()
    assert task.options() == {"objective": "ranking", "widths": "8,4"}
