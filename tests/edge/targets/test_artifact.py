"""What `convert` makes, and how it is saved."""

import errno
import os

import pytest

from keras_transformer.edge.compare.parity import Parity
from keras_transformer.edge.publish.model_card import Origin
from keras_transformer.edge.targets.artifact import Artifact
from keras_transformer.edge.targets.convert import convert, open_writer
from keras_transformer.edge.targets.npus import NPUS
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


def test_a_file_has_not_the_name_of_its_card(tmp_path):
    out = tmp_path / "MODEL_CARD.md"
    out.write_text("# Mine\n")
    for target in ("plain", "saved_model"):
        with pytest.raises(InputError, match=r"other than MODEL_CARD\.md, which is the card's"):
            open_writer(target).check_out(out, overwrite=True)
    assert out.read_text() == "# Mine\n"


NO_PARITY = Parity(
    rows=1, agreement=1.0, largest=0.0, relative=0.0, steps=0.0, most_steps=0.0
)


def fill_disk(monkeypatch, after):
    """Makes the system's sync fail as on a full disk, after some successes."""
    real, calls = os.fsync, iter(range(100))

    def fsync(descriptor):
        if next(calls) >= after:
            raise OSError(errno.ENOSPC, "No space left on device")
        real(descriptor)

    monkeypatch.setattr(os, "fsync", fsync)


class Stored(Artifact):
    """With a file beside it, as the C sources of a microcontroller's."""

    def beside(self, path):
        return {f"{path.name}.h": b"beside"}


def stored(*, is_folder=False):
    """An artifact without a model, which is as quick to make as to save."""
    return Stored(
        target="plain", precision="float32", files={"model.tflite": b"model"}, parity=NO_PARITY,
        description={
            "about": {"description": "", "version": "1", "license": "MIT"}, "max_length": 4,
            "provenance": {"weights_sha256": "0"},
        },
        origin=Origin(
            rows={}, score="1", unit="a text", classifies=True, generates=False, began=False,
            windowed=False, is_measured=True,
        ),
        loading="", is_folder=is_folder,
    )  # fmt: skip


@pytest.mark.parametrize("is_folder", [False, True])
@pytest.mark.parametrize("after", range(6))
def test_a_disk_that_is_full_anywhere_leaves_nothing_new(tmp_path, monkeypatch, is_folder, after):
    out = tmp_path / "out"
    (tmp_path / "MODEL_CARD.md").write_bytes(b"mine \xff\n")
    with monkeypatch.context() as patch:
        fill_disk(patch, after)
        done = True
        try:
            stored(is_folder=is_folder).save(out)
        except OSError as error:
            assert error.errno == errno.ENOSPC
            done = False
    if not done:
        assert [path.name for path in tmp_path.iterdir()] == ["MODEL_CARD.md"]
        assert (tmp_path / "MODEL_CARD.md").read_bytes() == b"mine \xff\n"
        stored(is_folder=is_folder).save(out)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["MODEL_CARD.md", "out", "out.h"]
    assert b"mine \xff\n" in (tmp_path / "MODEL_CARD.md").read_bytes()


def test_what_is_saved_to_a_link_stands_with_what_it_leads_to(tmp_path):
    (tmp_path / "link").symlink_to("there/out")
    for _ in range(2):
        saved = stored().save(tmp_path / "link", overwrite=True)
        assert saved == [tmp_path / "there" / name for name in ("out", "out.h", "MODEL_CARD.md")]
        assert [path.name for path in tmp_path.iterdir() if path.name != "there"] == ["link"]
        assert b"## out\n" in (tmp_path / "there" / "MODEL_CARD.md").read_bytes()


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (
            {"target": "web"},
            f"Expected target to be one of plain, mediapipe, text, micro, {', '.join(NPUS)}, onnx, "
            "torchscript, saved_model, litertlm, got target='web'.",
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


def test_a_checkpoint_of_the_former_int8_is_of_static_int8():
    trained = random_model()
    trained.bits = {"kernel_bits": 8, "activation_bits": 8}
    with pytest.raises(InputError, match="^Expected precision static_int8, for which this checkpo"):
        convert(trained, "int8")


def test_a_quantized_checkpoint_is_converted_to_its_own_precision():
    trained = random_model()
    trained.bits = {"kernel_bits": 8, "row_bits": 8}
    assert convert(trained).precision == "dynamic_int8"
    with pytest.raises(InputError, match="precision=dynamic_int8 for a quantized checkpoint"):
        convert(trained, calibration=calibration())
