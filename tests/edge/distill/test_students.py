import dataclasses
import itertools
import re

import numpy as np
import pytest

import keras_transformer as kt
from keras_transformer.edge.compress.inner_states import even_places
from keras_transformer.edge.distill.distill import distill
from keras_transformer.edge.distill.students import new_student, shallower
from keras_transformer.zoo.checkpoint import Checkpoint
from keras_transformer.zoo.errors import InputError
from keras_transformer.zoo.models.build import get_weights, is_range
from keras_transformer.zoo.pretrained.checkpoints import as_checkpoint
from tests.edge.distill.test_distill import untrained
from tests.slow import mostly_slow
from tests.zoo import tiny
from tests.zoo.pretrained.tiny import REFERENCES

RECIPES = {
    "encoder": tiny.recipe,
    "decoder": tiny.language_recipe,
    "encoder-decoder": tiny.translation_recipe,
}
# Of five blocks, those that two and three begin with.
PLACES = {2: (2, 4), 3: (1, 3, 4)}


def teacher_of(kind, tables, **settings):
    """A teacher of five blocks in each stack, whose norms and biases differ too."""
    settings = {**tiny.SETTINGS, "num_layers": 5, **settings}
    teacher = untrained(RECIPES[kind](tables, settings=settings))
    rng = np.random.default_rng(0)
    for weight in teacher.model.weights:
        weight.assign(rng.normal(0, 0.3, weight.shape))
    return teacher


def expected_weights(teacher, places):
    """The teacher's weights by the student's paths, by renaming alone."""
    weights = get_weights(teacher.model)
    inner = {path for path in weights if "/block_" in path}
    expected = {path: value for path, value in weights.items() if path not in inner}
    for path in inner:
        for own, place in enumerate(places):
            if f"/block_{place}/" in path:
                expected[path.replace(f"/block_{place}/", f"/block_{own}/")] = weights[path]
    return expected


def assert_equal_weights(found, expected):
    assert set(found) == set(expected)
    for path, value in expected.items():
        np.testing.assert_array_equal(found[path], value, path)


def test_even_places():
    assert even_places(6, 12) == [1, 3, 5, 7, 9, 11]
    assert even_places(3, 6) == [1, 3, 5]
    assert even_places(1, 4) == [3]
    assert even_places(4, 4) == [0, 1, 2, 3]
    assert even_places(2, 5) == [2, 4]
    assert even_places(3, 5) == [1, 3, 4]


@pytest.mark.parametrize(
    ("kind", "layers"),
    mostly_slow(
        itertools.product(RECIPES, PLACES), [("encoder", 2), ("encoder-decoder", 3)]
    ),
)
def test_a_student_begins_with_blocks_of_its_teacher(kind, layers, tables):
    teacher = teacher_of(kind, tables)
    student = shallower(teacher, None, {"num_layers": layers})
    found = get_weights(student.model)
    assert_equal_weights(found, expected_weights(teacher, PLACES[layers]))
    outside = {path for path in found if "/block_" not in path}
    last = {"encoder": {"head/kernel", "pooler/kernel"}, "decoder": {"decoder/final_norm/gamma"}}
    assert {"token_embedding/embeddings", *last.get(kind, ())} <= outside
    assert student.config == teacher.config.replace(num_layers=layers)
    assert student.recipe.model.settings["num_layers"] == layers


def test_a_student_may_keep_all_blocks_of_the_encoder(tables):
    """As distil-whisper does (Gandhi et al. 2023, arXiv:2311.00430, section 3)."""
    teacher = teacher_of("encoder-decoder", tables)
    student = shallower(teacher, None, {"num_layers": 2, "encoder_layers": 5})
    weights = {
        path: value
        for stack, places in (("encoder/", range(5)), ("decoder/", PLACES[2]))
        for path, value in expected_weights(teacher, places).items()
        if "/block_" not in path or path.startswith(stack)
    }
    assert_equal_weights(get_weights(student.model), weights)
    with refused("Expected encoder_layers to be at most the teacher's 5 to begin with its blocks, "
                 "got encoder_layers=6."):  # fmt: skip
        shallower(teacher, None, {"num_layers": 2, "encoder_layers": 6})


def test_a_new_student_has_what_the_data_chose_for_its_teacher(tables):
    """Not its shape; of a fused teacher, what they chose for its first member."""
    chosen = {"pooling": "max", "dropout": 0.3}
    teacher = untrained(tiny.recipe(tables, settings={**tiny.SETTINGS, **chosen}))
    members = [{"settings": chosen}, {"settings": {}}]
    fused = teacher.recipe.replace(model="fused", settings={"members": members})
    for one in (teacher, dataclasses.replace(teacher, recipe=fused)):
        student = new_student(one, "bert_tiny", {"num_layers": 1})
        assert student.recipe.model.settings == {**chosen, "num_layers": 1}
        found = student.config
        assert (found.pooling, found.dropout, found.num_layers) == ("max", 0.3, 1)
        assert found.hidden_dim == 128
        own = new_student(one, "bert_tiny", {"num_layers": 1, "pooling": "mean"})
        assert (own.config.pooling, own.config.dropout) == ("mean", 0.3)


@pytest.mark.parametrize("kind", mostly_slow(["encoder", "decoder"], ["decoder"]))
def test_a_run_begins_there(kind, tables):
    teacher = teacher_of(kind, tables)
    student = distill(
        teacher, init="teacher", settings={"num_layers": 2}, report=tiny.Heard(), steps=1,
        # A step too small for float32.
        learning_rate=1e-30,
    )  # fmt: skip
    assert_equal_weights(get_weights(student.model), expected_weights(teacher, PLACES[2]))


def test_as_many_blocks_are_the_teacher_itself(tables):
    teacher = teacher_of("encoder", tables)
    student = shallower(teacher, None, {"num_layers": 5, "dropout": 0.3})
    assert_equal_weights(get_weights(student.model), get_weights(teacher.model))
    assert student.config.dropout == 0.3


def test_a_name_says_the_shape(tables):
    teacher = teacher_of("encoder", tables)
    settings = {**tiny.SETTINGS, "num_layers": 2}
    student = shallower(teacher, "bert_tiny", settings)
    assert_equal_weights(get_weights(student.model), expected_weights(teacher, PLACES[2]))
    assert (student.recipe.model.name, student.recipe.model.settings) == ("bert_tiny", settings)


def test_shared_blocks_stay_shared(tables):
    teacher = teacher_of("encoder", tables, share_layers=True)
    student = shallower(teacher, None, {"num_layers": 2})
    assert_equal_weights(get_weights(student.model), get_weights(teacher.model))


def test_a_quantized_teacher_gives_its_float_weights(runs):
    student = shallower(runs.quantized, None, {"num_layers": 1})
    weights = {
        path: value for path, value in expected_weights(runs.quantized, (1,)).items()
        if not is_range(path)
    }  # fmt: skip
    assert_equal_weights(get_weights(student.model), weights)
    assert not student.is_quantized and student.recipe.quantize is None


@pytest.mark.slow
def test_it_stands_in_the_recipe_and_is_resumed_to_the_bit(runs, tmp_path):
    options = {
        "init": "teacher", "settings": {"num_layers": 1, "dropout": 0.1}, "hidden_weight": 1.0,
        "epochs": 2, "save_every": 2,
    }  # fmt: skip
    whole = distill(runs.trained, out=tmp_path / "whole", report=(heard := tiny.Heard()), **options)

    class Stopped(tiny.Heard):
        def step(self, number, loss):
            super().step(number, loss)
            if number == 5:
                raise KeyboardInterrupt

    out = tmp_path / "out"
    with pytest.raises(KeyboardInterrupt):
        distill(runs.trained, out=out, report=Stopped(), **options)
    again = tiny.Heard()
    resumed = distill(runs.trained, out=out, report=again, resume=True, **options)
    assert again.steps == heard.steps[4:]
    tiny.assert_same_weights(get_weights(resumed.model), get_weights(whole.model))
    loaded = Checkpoint.load(out)
    assert loaded.recipe.distill.init == "teacher"
    assert loaded.config.num_layers == loaded.recipe.model.settings["num_layers"] == 1
    fresh = distill(
        runs.trained, new_student(runs.trained, "bert_tiny", {}), epochs=1, report=tiny.Heard()
    )
    assert fresh.recipe.distill.init == "student"


def test_a_published_teacher_and_its_origin(tmp_path):
    folder = str(REFERENCES / "bert_classes")
    teacher = as_checkpoint(folder)
    labels = teacher.labels
    rows = ([f"w{1 + i % 4} w9" for i in range(24)], [labels[i % 2] for i in range(24)])
    made = kt.distill(
        folder, init="teacher", settings={"num_layers": 1}, train=rows, validation=rows,
        epochs=1, report=tiny.Heard(), out=tmp_path / "out",
    )  # fmt: skip
    assert made.config == teacher.config.replace(num_layers=1)
    assert made.recipe.model.name == teacher.recipe.model.name
    assert made.recipe.model.published == teacher.recipe.model.published != {}
    # A catalogue's shape would not lose the origin of the weights, nor a published one's.
    student = shallower(teacher, folder, {"num_layers": 1})
    assert student.recipe.model.published == teacher.recipe.model.published
    places = (teacher.config.num_layers - 1,)
    assert_equal_weights(get_weights(student.model), expected_weights(teacher, places))


def refused(sentence):
    return pytest.raises(InputError, match=f"^{re.escape(sentence)}$")


def test_shapes_that_do_not_fit(tables):
    teacher = teacher_of("encoder", tables)
    fits = "Expected a student of the teacher's"
    begin = "to begin with its blocks, got"
    for name, settings, sentence in (
        (None, {"num_layers": 2, "hidden_dim": 8},
         f"{fits} hidden_dim {begin} hidden_dim=8 for 16."),
        (None, {"num_layers": 2, "num_heads": 4}, f"{fits} num_heads {begin} num_heads=4 for 2."),
        (None, {"num_layers": 2, "vocab_size": 9},
         f"{fits} vocab_size {begin} vocab_size=9 for {teacher.config.vocab_size}."),
        ("bert_tiny", {}, f"{fits} hidden_dim {begin} hidden_dim=128 for 16."),
        ("bert_tiny", {**tiny.SETTINGS, "norm": "rms_norm"},
         f"{fits} norm {begin} norm='rms_norm' for 'layer_norm'."),
        (None, {"num_layers": 6}, "Expected num_layers to be at most the teacher's 5 to begin with "
         "its blocks, got num_layers=6."),
        (None, {"dropout": 0.3}, "Expected the setting num_layers (--set num_layers=N) for a "
         "student without a model's name, got settings={'dropout': 0.3}."),
    ):  # fmt: skip
        with refused(sentence):
            distill(teacher, name, init="teacher", settings=settings)


def test_another_tokenizer(tables):
    teacher = as_checkpoint(REFERENCES / "bert_classes")
    other = dataclasses.replace(teacher, modality=teacher_of("encoder", tables).modality)
    with pytest.raises(InputError, match="with the teacher's vocabulary, got another"):
        distill(other, str(REFERENCES / "bert_classes"), init="teacher", settings={})


def test_blocks_of_several_kinds(tables):
    teacher = teacher_of("encoder", tables, window=4, layer_pattern="LG")
    assert shallower(teacher, None, {"num_layers": 5}).config == teacher.config
    with refused("Expected all blocks of a teacher whose blocks are of several kinds, got "
                 "num_layers=2 for 5."):  # fmt: skip
        shallower(teacher, None, {"num_layers": 2})


def test_whose_weights_a_student_begins_with(runs, tmp_path):
    for student, init, sentence in (
        (runs.trained, "teacher", "Expected a student of the catalogue, a published one or none "
         "where it begins with the teacher's blocks, got a checkpoint and init=teacher."),
        (runs.folder / "float", "teacher", "Expected a student of the catalogue, a published one "
         "or none where it begins with the teacher's blocks, got a checkpoint and init=teacher."),
        (None, "student", "Expected a student, by its name or its checkpoint, where it does not "
         "begin with the teacher's blocks, got none and init=student."),
        (runs.trained, "blocks", "Expected init to be one of student, teacher, got 'blocks'."),
    ):  # fmt: skip
        with refused(sentence):
            distill(runs.trained, student, tmp_path / "out", init=init)
    assert not (tmp_path / "out").exists()
