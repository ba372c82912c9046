import re

import pytest

from keras_transformer.edge.precision import PRECISIONS
from keras_transformer.edge.publish.model_card import with_section
from keras_transformer.edge.targets.convert import convert
from keras_transformer.edge.targets.target import About
from tests.edge.generators import generator
from tests.edge.models import calibration, random_model
from tests.slow import mostly_slow
from tests.zoo.tiny import Heard

ABOUT = About(name="m", description="Tells a from b.", version="3", license="CC0")


@pytest.mark.slow
def test_what_a_card_says(runs):
    converted = convert(runs.quantized, about=ABOUT)
    text = converted.card("folder/topics.tflite")
    accuracy = runs.quantized.metrics["validation"]["accuracy"]
    float_accuracy = runs.quantized.metrics["float"]["accuracy"]
    for line in (
        "## topics.tflite", "Tells a from b.", "| labels | 3: food, music, weather |",
        "| data | trained on train.tsv, measured on validation.tsv |", "| licence | CC0 |",
        f"| size | {len(bytes(converted)):,} bytes |", "| version | 3 |",
        "- It reads at most 16 tokens; what is longer is cut.",
        'print(Runner("topics.tflite").predict(["a text"]))',
    ):  # fmt: skip
        assert line in text.splitlines(), line
    assert re.search(r"\| latency \| \d+\.\d\d ms a text, median of 30 runs, one thread, on ", text)
    assert f"| in float, by Keras | accuracy {float_accuracy:.4g}," in text
    assert f"| in int8, by Keras | accuracy {accuracy:.4g}," in text
    # The folders of the machine that trained it are nobody's business.
    assert str(runs.folder) not in text
    assert str(runs.folder).encode() not in bytes(converted)


def test_a_float_checkpoint_says_nothing_of_another_precision(runs):
    converted = convert(runs.trained, "dynamic_int8")
    text = converted.card()
    assert text.startswith("## model.tflite\n")
    assert "in dynamic_int8, by Keras" not in text
    assert "| in float, by Keras | accuracy" in text


@pytest.mark.slow
@pytest.mark.parametrize("kind", mostly_slow(["gpt", "transformer"], ["gpt"]))
def test_models_that_generate(kind):
    text = convert(generator(kind)).card("w.tflite")
    assert 'print(Runner("w.tflite").generate(["a text"]))' in text
    assert "ms a token" in text


def test_a_section_is_replaced_and_nothing_else_is_lost():
    text = with_section("", "a.tflite", "first")
    text = with_section(text, "b.tflite", "second")
    text = text.replace("# Model card", "# Model card\n\nWritten by hand.") + "\nBy hand too.\n"
    assert with_section(text, "a.tflite", "third") == text.replace("first", "third")
    assert with_section("By hand.\n", "a.tflite", "first").startswith("By hand.\n\n<!-- a.tflite")


@pytest.mark.parametrize("precision", ["int16x8", "dynamic_int8"])
def test_a_precision_that_is_slow_on_phones_says_so(precision):
    heard = Heard()
    batches = calibration() if PRECISIONS[precision].is_static else None
    converted = convert(random_model(), precision, calibration=batches, report=heard)
    is_slow = precision == "int16x8"
    assert any("slow on ARM phones" in note for note in heard.notes) == is_slow
    assert ("- int16x8 is slow on ARM phones" in converted.card()) == is_slow
