"""The catalogue's models of images: sizes, and CCT through every precision."""

import numpy as np
import pytest

import keras_transformer as kt
from keras_transformer.edge.precision import PRECISIONS
from keras_transformer.edge.runtime.runner import Runner
from keras_transformer.zoo.errors import InputError
from keras_transformer.zoo.models.catalog import SIZES, get_config
from tests.slow import mostly_slow
from tests.zoo.modalities.test_image import pictures

SMALL = {"height": 16, "width": 16, "hidden_dim": 32, "intermediate_dim": 32, "num_layers": 1}


@pytest.fixture(scope="module")
def trained():
    return kt.train(
        "cct_2", train=pictures(128), validation=pictures(48, 1), epochs=3, settings=SMALL,
        learning_rate=3e-3,
    )  # fmt: skip


def test_sizes_are_the_published_ones():
    # Touvron et al. 2021, table 1, and Hassani et al. 2021, table 8 (with a head of ten classes):
    # in millions, to the digits that are stated.
    ten = {name: SIZES[name].settings["hidden_dim"] * 10 + 10 for name in SIZES}
    found = {name: SIZES[name].parameters / 1e6 for name in SIZES}
    assert [round(found[f"vit_{size}"]) for size in ("tiny", "small", "base")] == [6, 22, 86]
    for name, millions in (("cct_2", 0.28), ("cct_4", 0.48), ("cct_6", 3.24), ("cct_7", 3.76)):
        assert abs(found[name] + ten[name] / 1e6 - millions) < 0.01


def test_positions_follow_the_size():
    cct = get_config("cct_4")
    assert cct.max_length == 64
    assert cct.replace(height=64, width=30).max_length == 16 * 8
    assert cct.replace(convolutions=3).max_length == 16
    with pytest.raises(InputError, match="Expected class_tokens to be 0 with convolutions, got"):
        cct.replace(class_tokens=1)
    with pytest.raises(InputError, match="Expected positions to be learned or sinusoidal for im"):
        kt.build(cct.replace(positions="rotary"), kt.Classification(labels=["a", "b"]))


@pytest.mark.parametrize("precision", mostly_slow(PRECISIONS, ["dynamic_int8", "static_int8"]))
def test_cct_in_every_precision(trained, precision):
    calibration = pictures(128) if PRECISIONS[precision].is_static else None
    runner = Runner(kt.convert(trained, precision, calibration=calibration))
    rows, _ = pictures(40, 2)
    ours, theirs = runner.predict(rows), trained.predict(rows)
    assert [one.label for one in ours] == [one.label for one in theirs]
    # Logits of about 2; int4 kernels have 15 values.
    tolerance = {"float32": 1e-5, "float16": 1e-2, "int4": 0.5}.get(precision, 0.2)
    np.testing.assert_allclose(runner.scores(rows), trained.scores(rows), atol=tolerance)


@pytest.mark.slow
def test_distillation(trained):
    changes = {"train": pictures(96), "validation": pictures(48, 1), "epochs": 1}
    student = kt.distill(
        trained, "cct_2", settings=SMALL, hidden_weight=1.0, **{**changes, "epochs": 6}
    )
    assert student.metrics["validation"]["accuracy"] > 0.9
    with pytest.raises(InputError, match="Expected a student with the teacher's inputs .*16, 16"):
        kt.distill(trained, "cct_2", settings={"height": 32}, **changes)
    with pytest.raises(InputError, match="reads what the teacher does, got stretch=False for True"):
        kt.distill(trained, "cct_2", settings={"stretch": False}, **changes)
    # Without settings it reads what the teacher does.
    plain = {name: value for name, value in SMALL.items() if name not in ("height", "width")}
    own = kt.distill(trained, "cct_2", settings=plain, **changes).config
    assert own.modality_settings["height"] == own.modality_settings["width"] == 16
    with pytest.raises(InputError, match="a student that reads image, as the teacher does, got"):
        kt.distill(trained, "bert_tiny", **changes)
    patches = {**SMALL, "patch": 4, "num_heads": 2}
    assert kt.distill(trained, "vit_tiny", settings=patches, **changes).labels == trained.labels
    with pytest.raises(InputError, match="got 16 of the teacher and 17"):
        kt.distill(trained, "vit_tiny", settings=patches, attention_weight=1.0, **changes)
