"""A new modality is a file with it, a file with its embedding, and an entry of a table for each."""

import itertools

import numpy as np
import pytest

import keras_transformer as kt
from keras_transformer.edge.compare.benchmark import benchmark
from keras_transformer.edge.compare.compare import compare, compare_layers
from keras_transformer.edge.compare.inspect import inspect
from keras_transformer.edge.runtime.runner import Runner
from keras_transformer.edge.targets.convert import convert
from keras_transformer.zoo.checkpoint import Checkpoint
from keras_transformer.zoo.errors import InputError
from keras_transformer.zoo.modalities.registry import MODALITIES
from keras_transformer.zoo.models.config import TransformerConfig
from keras_transformer.zoo.models.inputs import EMBEDDINGS
from keras_transformer.zoo.tasks.classification import Classification
from tests.slow import mostly_slow
from tests.zoo.modalities import toy_embeddings, toy_modalities

SHAPE = {
    "architecture": "encoder", "hidden_dim": 16, "intermediate_dim": 32, "num_layers": 1,
    "num_heads": 2, "pooling": "mean", "dropout": 0.0, "attention_dropout": 0.0,
}  # fmt: skip
CONFIGS = {
    "series": TransformerConfig(
        **SHAPE, max_length=12, modality="series", modality_settings={"width": 4}
    ),
    "picture": TransformerConfig(**SHAPE, max_length=4, modality="picture"),
}
LABELS = ("falls", "rises")
NAMES = tuple(CONFIGS)


def of_trained(usual):
    """Parametrizes the fixture `trained`: the other modality is slow."""
    return pytest.mark.parametrize("trained", mostly_slow(NAMES, [usual]), indirect=True)


@pytest.fixture(scope="module", autouse=True)
def toys():
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(MODALITIES, "series", toy_modalities.Series)
        patch.setitem(MODALITIES, "picture", toy_modalities.Picture)
        patch.setitem(EMBEDDINGS, "series", toy_embeddings.embed_series)
        patch.setitem(EMBEDDINGS, "picture", toy_embeddings.embed_picture)
        yield


def rows_of(name, count, seed=0):
    """Rows whose second half is higher than the first, or lower, and which of the two it is."""
    rng = np.random.default_rng(seed)
    labels = [LABELS[k] for k in rng.integers(0, 2, count)]
    rows = []
    for label in labels:
        slope = 1.0 if label == "rises" else -1.0
        if name == "series":
            frames = rng.normal(0, 0.2, (int(rng.integers(4, 13)), 4))
            frames += slope * np.linspace(-1, 1, len(frames))[:, None]
            rows.append(frames.astype("float32"))
        else:
            picture = rng.normal(128, 10, (8, 8, 3)) + slope * np.linspace(-60, 60, 8)[:, None]
            rows.append(np.clip(picture, 0, 255).astype("uint8"))
    return rows, labels


@pytest.fixture(scope="module", params=NAMES)
def trained(request, toys, tmp_path_factory):
    folder = tmp_path_factory.mktemp(request.param) / "checkpoint"
    kt.train(
        CONFIGS[request.param], Classification(), train=rows_of(request.param, 192),
        validation=rows_of(request.param, 64, seed=1), out=folder, epochs=4, learning_rate=0.01,
        batch_tokens=128,
    )  # fmt: skip
    return Checkpoint.load(folder)


@pytest.fixture(scope="module")
def file(trained):
    return convert(trained)


def test_it_trains_saves_and_loads(trained):
    assert trained.modality.name == trained.task.modality == trained.config.modality
    rows, labels = rows_of(trained.modality.name, 32, seed=2)
    assert trained.evaluate((rows, labels))["accuracy"] > 0.95
    spec = trained.inputs[0]
    assert trained.probes[spec.name].dtype == spec.dtype
    with pytest.raises(InputError, match=f"a model of text, got one of {trained.modality.name}"):
        _ = trained.tokenizer


@pytest.mark.parametrize(
    ("trained", "precision"),
    mostly_slow(
        itertools.product(NAMES, ("float32", "dynamic_int8", "int8")),
        [("series", "dynamic_int8"), ("picture", "int8")],
    ),
    indirect=["trained"],
)
def test_its_file_predicts_the_same(trained, precision, tmp_path):
    name = trained.modality.name
    rows, labels = rows_of(name, 100, seed=3)
    calibration = (rows, labels) if precision == "int8" else None
    made = convert(trained, precision, calibration=calibration)
    assert made.parity.rows == 64
    made.save(tmp_path / "model.tflite")
    runner = Runner(tmp_path / "model.tflite")
    assert (runner.modality.name, runner.description["modality"]) == (name, name)
    tolerance = 1e-5 if precision == "float32" else 0.2
    expected = trained.scores(rows)
    np.testing.assert_allclose(runner.scores(rows), expected, atol=tolerance)
    ours, theirs = runner.predict(rows), trained.predict(rows)
    assert [one.label for one in ours] == [one.label for one in theirs]


@pytest.mark.slow
@of_trained("picture")
def test_a_quantized_one(trained):
    name = trained.modality.name
    small = kt.quantize(
        trained, "int8", epochs=1, train=rows_of(name, 128), validation=rows_of(name, 32, seed=1)
    )
    file = convert(small, "int8")
    rows, labels = rows_of(name, 40, seed=4)
    [found] = compare(small, file, (rows, labels))
    assert (found.metric, found.num_truncated) == ("accuracy", 0)
    assert found.parity.agreement > 0.97
    inputs = small.encode(rows).of(small.inputs)
    [layers] = compare_layers(small, file, inputs).values()
    assert layers and not any(layer.departs for layer in layers)


@of_trained("picture")
def test_what_shows_a_file(trained, file):
    [measured] = benchmark(file, runs=1).files
    assert measured.signature == "predict"
    names = [spec.name for spec in trained.inputs]
    found = [one.name for one in inspect(file).signatures["predict"] if one.role == "input"]
    assert sorted(found) == sorted(names)


@pytest.mark.slow
@of_trained("picture")
def test_its_exported_graph(trained):
    assert convert(trained, target="saved_model").parity.rows == 64


def test_lengths(trained):
    if trained.modality.name == "series":
        runner = Runner(convert(trained, lengths=[6, 12]))
        rows, _ = rows_of("series", 20, seed=5)
        np.testing.assert_allclose(runner.scores(rows), trained.scores(rows), atol=1e-5)
        assert runner.outputs([np.ones((20, 4))]).truncated == [True]
    else:
        with pytest.raises(InputError, match="Expected no lengths for inputs of picture, which"):
            convert(trained, lengths=[2, 4])


@of_trained("picture")
def test_rows_that_it_does_not_take(trained, file):
    name = trained.modality.name
    rows, _ = rows_of(name, 2)
    for predictor in (trained, Runner(file)):
        with pytest.raises(TypeError, match=f"Expected a list of {trained.modality.rows}, got str"):
            predictor.predict("row")
        with pytest.raises(InputError, match=f"Expected single {trained.modality.rows}, as the"):
            predictor.predict(rows, rows)
