"""What is said of the layers that cost a refused file its accuracy."""

import pytest

from keras_transformer.edge.compare.costly import costly_layers
from keras_transformer.edge.compare.parity import DEPARTING, difference
from keras_transformer.edge.compare.probes import model_outputs
from keras_transformer.edge.precision import get_precision
from keras_transformer.edge.quantize.qat import quantized_model
from keras_transformer.edge.quantize.ranges import learned_points
from keras_transformer.edge.targets.convert import convert
from keras_transformer.zoo.errors import RunError
from keras_transformer.zoo.models.build import get_weights, set_weights
from tests.edge.models import LENGTH, calibration, random_model

BROKEN = "encoder/block_1/attention"
KEEP = f"{BROKEN}/*=float32"


@pytest.fixture(scope="module")
def broken():
    """A model that writes one channel a million times as large, and reads it as much smaller.

    In float it is as before; rows that are rounded hold nothing but this channel.
    """
    made = random_model("embedding", num_layers=2, pooling="mean", pooler="none", seed=1)
    weights = get_weights(made.model)
    weights[f"{BROKEN}/sublayer/value/kernel"][:, 3] *= 1e6
    weights[f"{BROKEN}/sublayer/value/bias"][3] *= 1e6
    weights[f"{BROKEN}/sublayer/output/kernel"][3] /= 1e6
    set_weights(made.model, weights)
    return made


def departing(checkpoint, model):
    expected = model_outputs(checkpoint.model, checkpoint, LENGTH)
    outputs = model_outputs(model, checkpoint, LENGTH)
    return difference(expected, outputs, None, vectors=True, direction=0.98).departing


def test_what_is_kept_mends_it(broken):
    spec = get_precision("dynamic_int8")
    model = quantized_model(broken, None, spec.name)
    clause = costly_layers(broken, model, spec, (), LENGTH)
    share = departing(broken, quantized_model(broken, None, spec.name, [KEEP]))
    assert share <= DEPARTING < departing(broken, model)
    assert clause.startswith(f"the layers that cost most are {BROKEN}, ")
    assert clause.endswith(f'; with --keep "{KEEP}" {share:.1%} depart in the simulation')


@pytest.mark.slow
def test_the_sentence_of_a_refused_file(broken):
    with pytest.raises(RunError, match="nothing was written; the layers that cost most") as caught:
        convert(broken, "dynamic_int8", lengths=[LENGTH])
    assert f'--keep "{KEEP}"' in str(caught.value)
    assert convert(broken, "dynamic_int8", lengths=[LENGTH], keep=[KEEP]).parity.cosine > 0.98


def test_a_simulation_within_the_limit_names_none():
    trained = random_model("embedding", pooling="mean", pooler="none")
    model = quantized_model(trained, None, "dynamic_int8")
    assert costly_layers(trained, model, get_precision("dynamic_int8"), (), LENGTH) is None


@pytest.mark.parametrize(
    ("precision", "end"),
    [
        ("static_int8", "would still depart; train for it with keras-transformer quantize"),
        ("integer", "keras-transformer quantize, or try --precision int8"),
    ],
)
def test_what_cannot_be_kept(precision, end):
    trained = random_model("embedding", pooling="mean", pooler="none")
    model = quantized_model(trained, calibration(), precision)
    # What is stored between sublayers cannot be kept.
    for point in learned_points(model):
        if point.path.endswith("norm_point"):
            point.set_range(0.0, 1e-3)
    clause = costly_layers(trained, model, get_precision(precision), (), LENGTH)
    assert clause.startswith("the layers that cost most are between sublayers, ")
    assert clause.endswith(end)
    assert "--keep" not in clause
