"""The demo's pictures and sounds in Chromium: their inputs are Python's, its labels `Runner`'s."""

import base64
import json

import numpy as np
import pytest
import soundfile
from PIL import Image as Pillow

import keras_transformer as kt
from keras_transformer.edge.demo import litertjs
from keras_transformer.edge.runtime.runner import Runner
from keras_transformer.zoo.media import pictures as python_pictures
from keras_transformer.zoo.media import sounds as python_sounds
from tests.runtimes.chromium import EXECUTABLE, chromium
from tests.runtimes.test_browser import our_demo, wait_until_loaded
from tests.zoo.modalities import test_audio_files, test_image

pytestmark = [
    pytest.mark.skipif(EXECUTABLE is None, reason="Chromium is not installed"),
    pytest.mark.skipif(
        not litertjs.cache_folder().exists(),
        reason="LiteRT.js is not in the cache; keras-transformer demo fetches it",
    ),
]
# What the page's module makes of a file, as numbers.
READ = """(async () => {
    const source = await import(new URL("%(module)s", document.baseURI));
    const bytes = Uint8Array.from(atob("%(bytes)s"), (one) => one.charCodeAt(0));
    const found = await source.decode(new File([bytes], "%(name)s"));
    return Array.from(source.inputOf(found, %(settings)s).data);
})()"""
LABELS = "[...document.querySelectorAll('.labels .label')].map((one) => one.textContent)"
SHARES = "[...document.querySelectorAll('.labels .probability')].map((one) => one.textContent)"


@pytest.fixture(scope="module")
def tone(of_sounds, tmp_path_factory):
    """A file of two seconds of what is not called as silence is; the microphone repeats it."""
    [silence] = Runner(of_sounds[0]).predict([np.zeros(2400, np.float32)])
    name, pitch = ("low", 400) if silence.label == "high" else ("high", 1200)
    path = tmp_path_factory.mktemp("microphone") / f"{name}.wav"
    tone = 0.3 * np.sin(2 * np.pi * pitch * np.arange(96_000) / 48_000)
    soundfile.write(path, tone, 48_000, subtype="PCM_16")
    return path


@pytest.fixture(scope="module")
def media(tone):
    """A Chromium that has a camera, of a green picture with a clock, and a microphone."""
    with chromium([
        "--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream",
        "--autoplay-policy=no-user-gesture-required", f"--use-file-for-fake-audio-capture={tone}",
    ]) as tab:  # fmt: skip
        tab.command("DOM.enable")
        yield tab


def written(config, rows, folder):
    """A trained model's files, of float32 and of int8."""
    batch = config.max_length * 16
    trained = kt.train(
        config, train=rows(96), validation=rows(32, 1), epochs=3, learning_rate=3e-3,
        batch_tokens=batch,
    )  # fmt: skip
    paths = [folder / "float32.tflite", folder / "int8.tflite"]
    paths[0].write_bytes(bytes(kt.convert(trained)))
    paths[1].write_bytes(bytes(kt.convert(trained, "int8", calibration=rows(96))))
    return paths


@pytest.fixture(scope="module")
def of_pictures(tmp_path_factory):
    return written(test_image.CONFIG, test_image.pictures, tmp_path_factory.mktemp("pictures"))


@pytest.fixture(scope="module")
def of_sounds(tmp_path_factory):
    return written(
        test_audio_files.CONFIG, test_audio_files.sounds, tmp_path_factory.mktemp("sounds")
    )


def read(tab, module, path, settings):
    return np.array(tab.evaluate(READ % {
        "module": module, "bytes": base64.b64encode(path.read_bytes()).decode(),
        "name": path.name, "settings": json.dumps(settings),
    }))  # fmt: skip


def check_shown(tab, paths, row):
    """The page shows the labels of both files, the best first, to a tenth of a percent."""
    tab.wait_for("document.getElementById('spoken').textContent !== ''")
    labels, shares = tab.evaluate(LABELS), tab.evaluate(SHARES)
    for number, path in enumerate(paths):
        runner = Runner(path)
        [prediction] = runner.predict([row])
        ranked = sorted(prediction.scores.items(), key=lambda one: -one[1])
        shown = slice(2 * number, 2 * number + 2)
        assert labels[shown] == [label for label, _ in ranked]
        found = [float(one.split()[0]) for one in shares[shown]]
        # Another build of XNNPACK may round a sum to the next step of an int8 output.
        step = 100 * (runner.description["output_step"] or 0) / 2
        np.testing.assert_allclose(found, [100 * one for _, one in ranked], atol=0.11 + step)


def test_pictures_become_the_pixels_of_python(media, of_pictures, tmp_path):
    rng = np.random.default_rng(0)
    path = tmp_path / "one.png"
    picture = rng.integers(0, 256, (53, 80, 3), dtype=np.uint8)
    Pillow.fromarray(picture).save(path)
    with our_demo(of_pictures, tmp_path / "demo") as address:
        media.open(address)
        wait_until_loaded(media)
        for settings in (
            {"height": 16, "width": 12}, {"height": 64, "width": 100, "method": "bicubic"},
            {"height": 24, "width": 24, "crop": 0.8, "stretch": False},
            {"height": 31, "width": 20, "channels": 1, "method": "bicubic"},
            {"height": 53, "width": 80},
        ):  # fmt: skip
            own = {"crop": 1.0, "stretch": True, "method": "bilinear", "channels": 3} | settings
            channels = own.pop("channels")
            expected = python_pictures.fitted(
                python_pictures.read_picture(path, channels), own.pop("height"), own.pop("width"),
                **own,
            )  # fmt: skip
            found = read(media, "pictures.js", path, settings)
            np.testing.assert_array_equal(found, expected.ravel())


def test_sounds_become_the_samples_of_python(media, of_sounds, tmp_path):
    rng = np.random.default_rng(0)
    settings = {"rate": 16_000, "samples": 4000, "frame": 480}
    with our_demo(of_sounds, tmp_path / "demo") as address:
        media.open(address)
        wait_until_loaded(media)
        for rate, length, channels, suffix in (
            (16_000, 5001, 1, "wav"), (8000, 1000, 2, "flac"), (44_100, 13_000, 2, "wav"),
            (22_050, 4000, 1, "flac"),
        ):  # fmt: skip
            path = tmp_path / f"one.{suffix}"
            soundfile.write(path, rng.uniform(-0.9, 0.9, (length, channels)), rate)
            expected = python_sounds.fitted(python_sounds.read_sound(path, 16_000), 4000)
            found = read(media, "sounds.js", path, settings)
            # The browser scales negative and positive samples by 2^15 and 2^15 - 1.
            np.testing.assert_allclose(found, expected, atol=5e-5)
        with pytest.raises(RuntimeError, match="at least a frame of 9000 samples at 16000 Hz"):
            read(media, "sounds.js", path, {**settings, "frame": 9000})
        path.write_bytes(b"no sound at all")
        with pytest.raises(RuntimeError, match="one.flac: expected a WAV or FLAC file"):
            read(media, "sounds.js", path, settings)


def test_a_picture_and_the_camera(media, of_pictures, tmp_path):
    path = tmp_path / "one.png"
    Pillow.fromarray(test_image.pictures(1, 7)[0][0]).save(path)
    with our_demo(of_pictures, tmp_path / "demo") as address:
        media.open(address, width=360, height=740)
        wait_until_loaded(media)
        assert not media.evaluate("document.getElementById('text').checkVisibility()")
        media.choose("#file", path)
        check_shown(media, of_pictures, path)
        assert media.evaluate("document.documentElement.scrollWidth") == 360
        media.evaluate("document.getElementById('live').click()")
        # Chromium's camera gives 640 x 480.
        media.wait_for("document.getElementById('preview').width === 640")
        media.wait_for("document.querySelectorAll('.labels').length === 2")
        assert media.evaluate("document.getElementById('live').textContent") == "Stop the camera"
        assert media.evaluate("document.getElementById('error').hidden")
        media.evaluate("document.getElementById('live').click()")
        media.wait_for("document.getElementById('models').ariaBusy === 'false'")
        (tmp_path / "bad.png").write_bytes(b"no picture")
        media.choose("#file", tmp_path / "bad.png")
        media.wait_for("!document.getElementById('error').hidden")
        shown = media.evaluate("document.getElementById('error').textContent")
        assert shown == "bad.png: expected a picture, got what this browser cannot decode."


def test_a_sound_and_the_microphone(media, tone, of_sounds, tmp_path):
    path = tmp_path / "one.wav"
    soundfile.write(path, test_audio_files.sounds(1, 7)[0][0], 8000)
    with our_demo(of_sounds, tmp_path / "demo") as address:
        media.open(address)
        wait_until_loaded(media)
        media.choose("#file", path)
        check_shown(media, of_sounds, path)
        media.evaluate("document.getElementById('live').click()")
        media.wait_for("document.getElementById('live').ariaPressed === 'true'")
        media.wait_for(
            f"document.querySelector('li.chosen .label')?.textContent === '{tone.stem}' && "
            "document.getElementById('preview').checkVisibility()"
        )
        assert media.evaluate("document.getElementById('error').hidden")
        media.evaluate("document.getElementById('live').click()")
        media.wait_for("document.getElementById('models').ariaBusy === 'false'")
        media.screenshot(tmp_path / "sounds.png")
