"""What `convert` makes, and how it is saved."""

import pytest

from keras_transformer.edge.targets.convert import convert
from keras_transformer.zoo.errors import InputError
from tests.edge.models import calibration, random_model


def test_what_is_saved(tmp_path):
    artifact = convert(random_model())
    out = tmp_path / "m.tflite"
    assert artifact.save(out) == [out, tmp_path / "MODEL_CARD.md"]
    assert out.read_bytes() == bytes(artifact)
    with pytest.raises(FileExistsError):
        artifact.save(out)
    artifact.save(out, overwrite=True)
    assert (tmp_path / "MODEL_CARD.md").read_text().count("## m.tflite") == 1
    assert repr(artifact).startswith(f"<plain float32: {artifact.size:,} bytes, largest difference")
    assert repr(artifact).endswith(" on 64 rows>")


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (
            {"target": "web"},
            "Expected target to be one of plain, mediapipe, text, micro, onnx, torchscript, "
            "saved_model, litertlm, got target='web'.",
        ),
        (
            {"embedding": True},
            "Expected embedding only with the target mediapipe, got target=plain.",
        ),
        (
            {"embeding": True},
            "Expected an option of the target plain, which has none; got embeding.",
        ),
        (
            {"target": "mediapipe", "embeding": True},
            "Expected an option of the target mediapipe, which has embedding, score_calibration; "
            "got embeding.",
        ),
        (
            {"target": "mediapipe", "embedding": 1},
            "Expected embedding to be of type bool, got embedding=1.",
        ),
        (
            {"precision": "float16", "calibration": "no.tsv"},
            "Expected calibration data only where a float checkpoint becomes one of integers, got "
            "precision=float16 for a float checkpoint.",
        ),
        (
            {"precision": "int8", "percentile": 99.9},
            "Expected percentile only with calibration data, got percentile=99.9.",
        ),
    ],
)  # fmt: skip
def test_what_is_refused_before_any_work(arguments, sentence):
    with pytest.raises(InputError) as error:
        convert(random_model(), **arguments)
    assert str(error.value) == sentence


def test_a_quantized_checkpoint_is_converted_to_its_own_precision():
    trained = random_model()
    trained.bits = {"kernel_bits": 8}
    assert convert(trained).precision == "dynamic_int8"
    with pytest.raises(InputError, match="precision=dynamic_int8 for a quantized checkpoint"):
        convert(trained, calibration=calibration())
