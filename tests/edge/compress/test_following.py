import keras
import numpy as np
import pytest
import scipy.special

from keras_transformer.edge.compress.following import Following, Guidance
from keras_transformer.zoo.models.build import build, get_weights, set_weights
from keras_transformer.zoo.tasks.classification import Classification
from keras_transformer.zoo.tasks.language_modeling import LanguageModeling
from keras_transformer.zoo.tasks.masked.masked_language_modeling import MaskedLanguageModeling
from keras_transformer.zoo.tasks.regression import Regression
from keras_transformer.zoo.tasks.translation import Translation
from tests.slow import mostly_slow
from tests.zoo import tiny

RNG = np.random.default_rng(0)
IDS = np.array([[2, 7, 9, 0, 0], [5, 6, 7, 8, 9]], "int32")
SOURCES = np.array([[6, 7, 0], [8, 9, 10]], "int32")
REAL = np.where(IDS > 0, IDS, -1)
CLASSES = Classification(labels=("a", "b", "c"))
KINDS = {
    "encoder": ({"ids": IDS}, np.array([0, 2]), CLASSES),
    "decoder": ({"ids": IDS}, np.where(IDS > 0, np.roll(IDS, -1), -1), LanguageModeling()),
    "encoder-decoder": (
        {"source_ids": SOURCES, "ids": IDS}, REAL, Translation(),
    ),
    "replaced": (
        {"ids": IDS}, np.where(IDS > 6, 9, REAL), MaskedLanguageModeling(objective="replaced"),
    ),
}  # fmt: skip


def divergence(teacher, outputs, temperature):
    soft, found = (scipy.special.softmax(x / temperature, axis=-1) for x in (teacher, outputs))
    return scipy.special.rel_entr(soft, found).sum(axis=-1) * temperature**2


@pytest.mark.parametrize("temperature", [1.0, 2.0, 5.0])
def test_the_difference_of_classes(temperature):
    teacher, outputs = RNG.normal(0, 2, (2, 7, 3)).astype("float32")
    found = CLASSES.output_difference(None, teacher, outputs, temperature)
    expected = divergence(teacher, outputs, temperature).mean()
    assert float(found) == pytest.approx(expected, rel=1e-4)


def test_the_difference_of_tokens_is_that_of_real_ones():
    teacher, outputs = RNG.normal(0, 2, (2, 2, 5, 11)).astype("float32")
    found = Translation().output_difference(REAL, teacher, outputs, 2.0)
    expected = divergence(teacher, outputs, 2.0)[IDS != 0].mean()
    assert float(found) == pytest.approx(expected, rel=1e-4)


def test_the_difference_of_numbers():
    teacher, outputs = RNG.normal(size=(2, 9, 1)).astype("float32")
    found = Regression().output_difference(None, teacher, outputs, 2.0)
    assert float(found) == pytest.approx(np.mean((outputs - teacher) ** 2), rel=1e-5)


def model_of(kind, seed, **changes):
    """A model whose outputs are far from uniform."""
    settings = {"num_segments": 0, "num_layers": 1, "dropout": 0.0, "attention_dropout": 0.0}
    shape = "encoder" if kind == "replaced" else kind
    model = build(tiny.config(shape, **{**settings, **changes}), KINDS[kind][2])
    rng = np.random.default_rng(seed)
    shapes = {path: value.shape for path, value in get_weights(model).items()}
    set_weights(model, {path: rng.normal(0, 0.3, shape) for path, shape in shapes.items()})
    return model


def label_loss(kind):
    return KINDS[kind][2].loss(0.0 if kind == "replaced" else 0.1)


def learner_of(kind, student, teacher, guidance):
    learner = Following(student, teacher, KINDS[kind][2], Guidance(**guidance))
    learner.compile(
        optimizer=keras.optimizers.Adam(0.01), loss=label_loss(kind), jit_compile=False
    )
    return learner


def loss_of(learner, kind):
    inputs, targets, _ = KINDS[kind]
    return float(learner.compute_loss(inputs, targets, learner(inputs)))


@pytest.mark.parametrize("kind", KINDS)
def test_the_loss_is_that_of_labels_and_teacher(kind):
    inputs, targets, task = KINDS[kind]
    student, teacher = model_of(kind, 0), model_of(kind, 1)
    outputs, expected = student(inputs), teacher(inputs)
    own = float(label_loss(kind)(targets, outputs))
    followed = float(task.output_difference(targets, expected, outputs, 3.0))
    learner = learner_of(kind, student, teacher, {"share": 0.3, "temperature": 3.0})
    assert loss_of(learner, kind) == pytest.approx(0.7 * own + 0.3 * followed, rel=1e-5)


@pytest.mark.parametrize("kind", mostly_slow(KINDS, ["decoder"]))
def test_nothing_is_to_learn_from_the_same_weights(kind):
    """Were layers paired with others, something would be; from another teacher it is."""
    student, same, other = model_of(kind, 0), model_of(kind, 0), model_of(kind, 1)
    for part in ("hidden", "attention"):
        guidance = {"share": 0.0, "temperature": 1.0, part: 1.0}
        labels = loss_of(learner_of(kind, student, same, {**guidance, part: 0.0}), kind)
        nothing, something = (
            loss_of(learner_of(kind, student, teacher, guidance), kind) - labels
            for teacher in (same, other)
        )
        assert nothing == pytest.approx(0.0, abs=1e-5) and something > 1e-3, part


@pytest.mark.slow
def test_a_wider_teacher_is_followed_through_a_map():
    guidance = {"share": 0.5, "temperature": 1.0, "hidden": 1.0, "attention": 1.0}
    for kind, stacks in (("encoder-decoder", ("encoder", "decoder")), ("encoder", ("encoder",))):
        student = model_of(kind, 0)
        teacher = model_of(kind, 1, hidden_dim=24, num_heads=4, num_layers=2)
        learner = learner_of(kind, student, teacher, guidance)
        own = {variable.path for variable in student.variables}
        maps = [v for v in learner.trainable_variables if v.path not in own]
        assert [v.path for v in maps] == [f"{stack}_map/kernel" for stack in stacks]
        assert {v.shape for v in maps} == {(16, 24)}
        assert {v.path for v in learner.variables} == own | {v.path for v in maps}
    before = get_weights(teacher)
    inputs, targets, _ = KINDS[kind]
    losses = [float(learner.train_on_batch(inputs, targets)) for _ in range(30)]
    assert losses[-1] < 0.7 * losses[0]
    tiny.assert_same_weights(get_weights(teacher), before)
