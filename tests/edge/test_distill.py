import dataclasses
import re

import numpy as np
import pytest
import scipy.special

from keras_transformer.edge.distill import distill, distillation_loss, new_student
from keras_transformer.zoo.errors import InputError
from keras_transformer.zoo.report import Report
from keras_transformer.zoo.tasks import Task
from keras_transformer.zoo.trained import Trained
from tests.edge.generators import generator

SMALL = {"hidden_dim": 16, "intermediate_dim": 32, "num_layers": 1, "dropout": 0.0}
RNG = np.random.default_rng(0)


class Losses(Report):
    def __init__(self):
        self.values = []

    def step(self, step, loss):
        self.values.append(loss)


@pytest.mark.parametrize("smoothing", [0.0, 0.2])
@pytest.mark.parametrize(("share", "temperature"), [(0.5, 2.0), (1.0, 1.0), (0.1, 5.0)])
def test_the_loss_of_classes(share, temperature, smoothing):
    task = Task(name="classification", labels=("a", "b", "c"))
    labels = RNG.integers(0, 3, 7)
    teacher, outputs = RNG.normal(0, 2, (2, 7, 3))
    one_hot = np.eye(3)[labels] * (1 - smoothing) + smoothing / 3
    own = -(one_hot * scipy.special.log_softmax(outputs, axis=1)).sum(axis=1).mean()
    soft = scipy.special.softmax(teacher / temperature, axis=1)
    found = scipy.special.softmax(outputs / temperature, axis=1)
    followed = scipy.special.rel_entr(soft, found).sum(axis=1).mean() * temperature**2
    loss = distillation_loss(task, share, temperature, smoothing)
    targets = np.column_stack([labels, teacher]).astype("float32")
    result = float(loss(targets, outputs.astype("float32")))
    assert result == pytest.approx((1 - share) * own + share * followed, rel=1e-5)


def test_the_loss_of_numbers():
    labels, teacher, outputs = RNG.normal(size=(3, 9, 1)).astype("float32")
    loss = distillation_loss(Task(name="regression"), 0.3, 2.0)
    expected = 0.7 * np.mean((outputs - labels) ** 2) + 0.3 * np.mean((outputs - teacher) ** 2)
    found = float(loss(np.concatenate([labels, teacher], axis=1), outputs))
    assert found == pytest.approx(expected, rel=1e-5)


def test_a_student_learns(runs, tmp_path):
    student = new_student(runs.trained, "bert_tiny", SMALL)
    assert student.config.vocab_size == runs.trained.tokenizer.vocab_size
    assert student.recipe.learning_rate == runs.trained.recipe.learning_rate
    made = distill(runs.trained, student, tmp_path / "student", share=0.9, epochs=6)
    again = Trained.load(tmp_path / "student")
    assert again.config.hidden_dim == 16
    assert (again.recipe.model, again.recipe.settings) == ("bert_tiny", SMALL)
    assert (again.recipe.teacher_share, again.recipe.teacher_temperature) == (0.9, 2.0)
    assert again.metrics["teacher"] == runs.trained.metrics["validation"]
    assert again.metrics["validation"]["accuracy"] > 0.9
    texts = ["rain and wind", "a song"]
    # TensorFlow's graph of a model that has met more shapes differs in the last bits.
    np.testing.assert_allclose(made.scores(texts), again.scores(texts), rtol=1e-5)


def test_nothing_is_to_learn_from_oneself(runs, tmp_path):
    """Were the teacher's outputs in another order, the loss would be of size one."""
    heard = Losses()
    distill(
        runs.trained, runs.trained, tmp_path / "same", share=1.0, epochs=1, learning_rate=1e-9,
        report=heard,
    )  # fmt: skip
    assert len(heard.values) > 3
    # What is left is the dropout of attention.
    assert max(map(abs, heard.values)) < 0.01


def test_a_quantized_student_stays_quantized(runs, tmp_path):
    made = distill(runs.trained, runs.quantized, tmp_path / "int8", epochs=1)
    assert made.bits == runs.quantized.bits
    assert Trained.load(tmp_path / "int8").is_quantized
    assert made.recipe.learning_rate == runs.quantized.recipe.learning_rate / 20


def refused(sentence):
    return pytest.raises(InputError, match=f"^{re.escape(sentence)}$")


def test_what_cannot_be(runs, tmp_path):
    teacher, out = runs.trained, tmp_path / "out"
    for options, sentence in (
        ({"share": 0.0}, "Expected share to be above 0 and at most 1, got share=0.0."),
        ({"share": 1.5}, "Expected share to be above 0 and at most 1, got share=1.5."),
        ({"temperature": 0.0}, "Expected temperature to be above 0, got temperature=0.0."),
    ):
        with refused(sentence):
            distill(teacher, teacher, out, **options)
    other = dataclasses.replace(
        teacher, task_spec=Task(name="classification", labels=("food", "sport"))
    )
    with refused(
        "Expected a student with the teacher's task and labels, got classification with the "
        "2 labels food, sport for classification with the 3 labels food, music, weather."
    ):
        distill(teacher, other, out)
    with refused("Expected a teacher of classification or regression, got one of translation."):
        distill(generator("transformer"), teacher, out)
    pruned = dataclasses.replace(teacher, recipe=teacher.recipe.replace(sparsity=0.5))
    with refused("Expected a dense student, got one that was pruned; distill first and prune "
                 "then."):  # fmt: skip
        distill(teacher, pruned, out)
    with refused(
        "Expected a student that can be trained for classification, got the decoder gpt_nano."
    ):
        new_student(teacher, "gpt_nano", {})
    with refused("Expected a student of at least the teacher's 16 tokens, got max_length=8."):
        new_student(teacher, "bert_tiny", {"max_length": 8})
    assert not out.exists()
