import dataclasses
import re

import keras
import numpy as np
import pytest

from keras_transformer.edge.compress.prune import prune
from keras_transformer.edge.distill.distill import distill, new_student
from keras_transformer.zoo.checkpoint import Checkpoint
from keras_transformer.zoo.errors import InputError
from keras_transformer.zoo.modalities.text import Text
from keras_transformer.zoo.models.build import build, get_weights
from keras_transformer.zoo.tasks.classification import Classification
from keras_transformer.zoo.tokenizers.tokenizer import Tokenizer, TokenizerConfig
from keras_transformer.zoo.training.chosen.configs import config_of
from keras_transformer.zoo.training.fine_tune import Retraining
from keras_transformer.zoo.training.run_data import learn_run_data
from tests.zoo import tiny

SMALL = {"hidden_dim": 16, "intermediate_dim": 32, "num_layers": 1, "dropout": 0.0}


def untrained(recipe):
    """A checkpoint of a recipe before its first step."""
    data = learn_run_data(recipe, config_of(recipe))
    config = config_of(recipe).replace(**data.vocab_sizes)
    keras.utils.set_random_seed(1)
    return Checkpoint(
        config=config, task=data.task, modality=data.modality, recipe=recipe,
        model=build(config, data.task), metrics={}, probes={},
    )  # fmt: skip


def test_a_student_learns(runs, tmp_path):
    student = new_student(runs.trained, "bert_tiny", SMALL)
    assert student.config.vocab_size == runs.trained.tokenizer.vocab_size
    assert student.recipe.optimizer.learning_rate == runs.trained.recipe.optimizer.learning_rate
    made = distill(runs.trained, student, tmp_path / "student", share=0.9, epochs=6)
    again = Checkpoint.load(tmp_path / "student")
    assert again.config.hidden_dim == 16
    assert (again.recipe.model.name, again.recipe.model.settings) == ("bert_tiny", SMALL)
    assert (again.recipe.distill.share, again.recipe.distill.temperature) == (0.9, 2.0)
    assert again.metrics["teacher"] == runs.trained.metrics["validation"]
    assert again.metrics["validation"]["accuracy"] > 0.9
    texts = ["rain and wind", "a song"]
    # TensorFlow's graph of a model that has met more shapes differs in the last bits.
    np.testing.assert_allclose(made.scores(texts), again.scores(texts), rtol=1e-5)


def test_a_narrower_model_recovers_with_the_unpruned_one_as_its_teacher(runs):
    narrow = prune(runs.trained, heads=1, neurons=8, epochs=1)
    made = distill(runs.trained, narrow, share=1.0, epochs=2)
    assert (made.config.num_heads, made.config.intermediate_dim) == (1, 8)
    assert made.recipe.model.settings["intermediate_dim"] == 8
    assert made.metrics["teacher"] == runs.trained.metrics["validation"]
    texts = ["rain and wind", "a song"]
    goal = runs.trained.scores(texts)
    before, after = (np.abs(one.scores(texts) - goal).mean() for one in (narrow, made))
    assert after < before


@pytest.mark.slow
def test_a_distillation_is_resumed_to_the_bit(runs, tmp_path):
    """With a map between widths and averaged weights, killed after its own dropout and masks."""
    options = {
        "hidden_weight": 1.0, "attention_weight": 1.0, "epochs": 2, "save_every": 2,
        "ema": 0.9, "token_dropout": 0.2,
    }  # fmt: skip

    def run(out, report, **more):
        student = new_student(runs.trained, "bert_tiny", {**SMALL, "dropout": 0.2})
        return distill(runs.trained, student, out, report=report, **options, **more)

    whole = run(tmp_path / "whole", heard := tiny.Heard())

    class Stopped(tiny.Heard):
        def step(self, number, loss):
            super().step(number, loss)
            if number == 5:
                raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(tmp_path / "out", Stopped())
    resumed = run(tmp_path / "out", again := tiny.Heard(), resume=True)
    assert again.steps == heard.steps[4:]
    tiny.assert_same_weights(get_weights(resumed.model), get_weights(whole.model))
    loaded = Checkpoint.load(tmp_path / "out")
    tiny.assert_same_weights(get_weights(loaded.model), get_weights(whole.model))
    done = loaded.recipe.distill
    assert (done.hidden_weight, done.attention_weight) == (1.0, 1.0)


@pytest.mark.slow
def test_a_translator_learns_what_its_teacher_writes(tables, tmp_path, monkeypatch):
    teacher = untrained(tiny.translation_recipe(tables, shared_vocabulary=False, bucket=16))
    followed = []
    follow = Retraining.follow
    monkeypatch.setattr(
        Retraining, "follow", lambda run, rows: [followed.append(rows), follow(run, rows)]
    )
    made = learned(teacher, tmp_path / "out", heard := tiny.Heard(), beams=2)
    rows = followed[0]
    written = teacher.generator().generate(rows.sources, beams=2)
    assert rows.targets == [one.text for one in written]
    assert f"The teacher writes {len(rows.sources)} targets with 2 beams." in heard.notes
    assert made.recipe.distill.beams == 2


def test_a_language_model_learns_from_another(tables, tmp_path):
    learned(untrained(tiny.language_recipe(tables)), tmp_path / "out", tiny.Heard())


def learned(teacher, out, heard, **options):
    """A narrower student, after two epochs in which it came nearer to its teacher."""
    settings = {**tiny.SETTINGS, "hidden_dim": 8, "dropout": 0.0}
    student = new_student(teacher, teacher.recipe.model.name, settings)
    made = distill(teacher, student, out, hidden_weight=0.5, report=heard, **options)
    assert heard.epochs[-1][1] < heard.epochs[0][1]
    assert made.config.vocab_size == teacher.config.vocab_size
    assert made.config.source_vocab_size == teacher.config.source_vocab_size
    assert made.metrics["validation"]["loss"] > 0
    return made


@pytest.mark.slow
def test_a_quantized_student_stays_quantized(runs, tmp_path):
    made = distill(runs.trained, runs.quantized, tmp_path / "int8", epochs=1)
    assert made.bits == runs.quantized.bits
    assert Checkpoint.load(tmp_path / "int8").is_quantized
    assert made.recipe.optimizer.learning_rate == runs.quantized.recipe.optimizer.learning_rate / 20


def refused(sentence):
    return pytest.raises(InputError, match=f"^{re.escape(sentence)}$")


def test_what_cannot_be(runs, tmp_path):
    teacher, out = runs.trained, tmp_path / "out"
    for options, sentence in (
        ({"share": 0.0}, "Expected share to be above 0 and at most 1, got share=0.0."),
        ({"share": 1.5}, "Expected share to be above 0 and at most 1, got share=1.5."),
        ({"temperature": 0.0}, "Expected temperature to be above 0, got temperature=0.0."),
        ({"hidden_weight": -1.0}, "Expected hidden_weight not to be negative, got "
         "hidden_weight=-1.0."),
        ({"attention_weight": float("nan")}, "Expected attention_weight not to be negative, got "
         "attention_weight=nan."),
        ({"beams": -1}, "Expected beams not to be negative, got beams=-1."),
        ({"beams": 3}, "Expected beams to be 0 for a task other than translation, got beams=3 for "
         "classification."),
    ):  # fmt: skip
        with refused(sentence):
            distill(teacher, teacher, out, **options)
    other = dataclasses.replace(
        teacher, task=Classification(labels=("food", "sport"))
    )
    with refused(
        "Expected a student with the teacher's task and labels, got classification with the "
        "2 labels food, sport for classification with the 3 labels food, music, weather."
    ):
        distill(teacher, other, out)
    pruned = dataclasses.replace(teacher, recipe=teacher.recipe.replace(sparsity=0.5))
    with refused("Expected a dense student, got one that was pruned; distill first and prune "
                 "then."):  # fmt: skip
        distill(teacher, pruned, out)
    assert not out.exists()


def test_other_vocabularies(runs, tmp_path):
    teacher, size = runs.trained, runs.trained.config.vocab_size
    pieces = list(teacher.tokenizer.vocabulary)
    for vocabulary, settings, name in (
        ([*pieces[:-2], *pieces[:-3:-1]], teacher.tokenizer.config, "vocab.txt"),
        (pieces, TokenizerConfig(lowercase=False), "tokenizer.json"),
    ):
        student = dataclasses.replace(
            teacher, modality=Text(tokenizer=Tokenizer(settings, vocabulary), max_length=16)
        )
        with refused(
            f"Expected a student with the teacher's vocabulary, got another {name} "
            f"(vocab_size={size} for {size})."
        ):
            distill(teacher, student, tmp_path / "out")
    short = dataclasses.replace(teacher, config=teacher.config.replace(max_length=8))
    with refused("Expected a teacher that reads the student's 16 tokens, got one of max_length=8."):
        distill(short, teacher, tmp_path / "out")


def test_a_new_student_has_to_fit_as_a_new_model_has_to(runs):
    for name, settings, sentence in (
        ("gpt_nano", {}, "Expected a task that the decoder gpt_nano can be trained for "
         "(language-modeling), got task='classification'."),
        ("bert_tiny", {"max_length": 8}, "Expected max_length to be at most the model's 8, got "
         "max_length=16."),
        ("bert_tiny", {"vocab_size": 50}, "Expected no setting vocab_size: it follows from the "
         "tokenizer."),
    ):  # fmt: skip
        with refused(sentence):
            new_student(runs.trained, name, settings)
