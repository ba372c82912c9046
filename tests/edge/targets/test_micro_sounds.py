"""Sounds in files of integers alone, and the C sources that listen for them."""

import json
import shutil
import subprocess

import numpy as np
import pytest

import keras_transformer as kt
from keras_transformer.edge.runtime.packed import unpack
from keras_transformer.edge.runtime.runner import Runner
from keras_transformer.edge.targets.convert import convert
from keras_transformer.edge.targets.micro.c_code import array, filled, quoted
from keras_transformer.edge.targets.registry import get_target
from keras_transformer.zoo.errors import InputError
from keras_transformer.zoo.modalities.audio import AudioSettings
from keras_transformer.zoo.modalities.log_mel import IntegerLogMel, StoredScale
from keras_transformer.zoo.tasks.classification import Classification
from tests.keywords import CONFIG, LABELS, SETTINGS, clips, long_sound, trained

runtime = pytest.importorskip("tflite_micro.python.tflite_micro.runtime")
# Those of the C sources: hops of whole frames.
STREAM = {"hop": 0.05, "smoothing": 0.15, "threshold": 0.55, "refractory": 0.7}
DEFINES = [
    "-DMY_WORDS_HOP_FRAMES=5", "-DMY_WORDS_WINDOWS=3", "-DMY_WORDS_THRESHOLD=0.55f",
    "-DMY_WORDS_REFRACTORY=5600",
]  # fmt: skip
# Reads samples from a file in chunks of odd sizes. The model is at the other end of its pipes.
MAIN = """\
#include "my_words_listen.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static my_words_listener listener;
static int8_t features[MY_WORDS_FRAMES * MY_WORDS_MELS];

int main(int count, char** arguments) {
  FILE* sound = fopen(arguments[1], "rb");
  size_t size = 1, held, taken;
  int16_t chunk[1000];
  my_words_listen_reset(&listener);
  if (count > 2) listener.ignored[atoi(arguments[2])] = 1;
  while ((held = fread(chunk, sizeof(*chunk), size, sound)) > 0) {
    for (taken = 0; taken < held;) {
      float logits[MY_WORDS_LABELS];
      my_words_detection found;
      int is_due;
      taken += my_words_listen(&listener, chunk + taken, held - taken, &is_due);
      if (!is_due) continue;
      my_words_listen_window(&listener, features);
      fwrite(features, 1, sizeof(features), stdout);
      fflush(stdout);
      if (fread(logits, sizeof(*logits), MY_WORDS_LABELS, stdin) != MY_WORDS_LABELS) return 1;
      if (my_words_listen_decide(&listener, logits, &found)) {
        fprintf(stderr, "%s %.6f %lu\\n", my_words_labels[found.label], found.score,
                (unsigned long)found.end);
      }
    }
    size = size * 7 % 1000 + 1;
  }
  return 0;
}
"""


@pytest.fixture(scope="module")
def artifact():
    return convert(trained(), "integer", target="micro", calibration=clips(96, seed=7))


@pytest.fixture(scope="module")
def runner(artifact):
    return Runner(artifact)


def test_the_file_is_its_simulation_and_reads_spectrograms(artifact, runner):
    assert artifact.description["simulated"]["equal"] == 1.0
    [read] = [one for one in kt.inspect(artifact).signatures["predict"] if one.role == "input"]
    assert (read.name, read.type, tuple(read.shape)) == ("log_mel", "INT8", (1, 14, 32))
    rows, labels = clips(120, seed=9)
    found = [one.label for one in runner.predict(rows)]
    assert np.mean(np.array(found) == labels) > 0.95
    # One of the two is off near the border of two classes at times.
    ours = [one.label for one in trained().predict(rows)]
    assert np.mean(np.array(found) == ours) > 0.97
    [compared] = kt.compare(trained(), artifact, (rows, labels))
    assert compared.same_weights and compared.parity.agreement > 0.97


def test_an_arena_above_the_limit_of_inputs_of_one_shape(artifact):
    """For which --lengths is an error itself."""
    flatbuffer, description, _ = unpack(artifact)
    limit = description["arena_bytes"] - 1
    with pytest.raises(InputError) as error:
        get_target("micro").open(arena_limit=limit).facts(flatbuffer)
    assert str(error.value) == (
        f"Expected the arena within arena_limit={limit} bytes, got {limit + 1} bytes; take a model "
        "of fewer positions (larger patches, shorter sounds), fewer heads or a smaller width."
    )


def test_micro_runs_it_as_litert_does(artifact, runner):
    flatbuffer, description, _ = unpack(artifact)
    micro = runtime.Interpreter.from_bytes(flatbuffer, arena_size=description["arena_bytes"])
    rows, _ = clips(30, seed=3)
    waveforms = np.stack(runner.modality.encode(rows).columns["waveform"])
    [features] = runner.modality.beside({"waveform": waveforms}).values()
    found = []
    for row in features:
        micro.set_input(row[None], 0)
        micro.invoke()
        found.append(micro.get_output(0)[0].copy())
    # As of texts: they round a step of an inner tensor otherwise at times, which goes on.
    step = description["output_step"]
    np.testing.assert_allclose(found, runner.scores(rows), rtol=0, atol=8 * step)


@pytest.fixture(scope="module")
def program(artifact, tmp_path_factory):
    folder = tmp_path_factory.mktemp("c")
    artifact.save(folder / "my-words.tflite")
    (folder / "main.c").write_text(MAIN)
    strict = ["-std=c99", "-Wall", "-Wextra", "-Werror", "-pedantic", "-O2"]
    sanitized = ["-fsanitize=undefined,address", "-fno-sanitize-recover=all"]
    command = ["gcc", *strict, *sanitized, *DEFINES, "main.c", "my_words_listen.c", "-lm"]
    subprocess.run([*command, "-o", "listen"], cwd=folder, check=True)
    return folder / "listen"


@pytest.mark.skipif(shutil.which("gcc") is None, reason="gcc is not installed")
@pytest.mark.parametrize("ignored", [None, "silence"])
def test_what_c_hears_is_what_python_hears(program, runner, ignored, tmp_path):
    sound, _ = long_sound(seed=4)
    sound[3000:3400] = 32_767 * np.sign(np.sin(np.arange(400)))  # full scale
    sound[9000:12_000] = 0
    path = tmp_path / "sound.raw"
    path.write_bytes(sound.tobytes())
    arguments = [] if ignored is None else [str(LABELS.index(ignored))]
    child = subprocess.Popen(
        [program, path, *arguments], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )  # fmt: skip
    windows = np.lib.stride_tricks.sliding_window_view(sound, 2400)[::400]
    with child:
        for window in windows:
            waveform = window[None].astype(np.float32) / 32_768
            [expected] = runner.modality.beside({"waveform": waveform})["log_mel"]
            found = np.frombuffer(child.stdout.read(expected.size), np.int8)
            np.testing.assert_array_equal(found, expected.ravel())
            child.stdin.write(runner.run({"waveform": waveform})[0].tobytes())
            child.stdin.flush()
        child.stdin.close()
        assert not child.stdout.read()
        lines = [line.split() for line in child.stderr.read().decode().splitlines()]
    assert child.returncode == 0
    ignore = [] if ignored is None else [ignored]
    expected = list(runner.stream([sound], **STREAM, ignore=ignore))
    assert len(expected) >= 3
    assert [(label, int(end) / 8000) for label, _, end in lines] == [
        (one.label, one.seconds) for one in expected
    ]
    scores = [float(score) for _, score, _ in lines]
    np.testing.assert_allclose(scores, [one.score for one in expected], rtol=0, atol=1e-5)


@pytest.mark.slow
def test_patches_of_several_bands():
    settings = {**SETTINGS, "patch_frames": 8, "patch_mels": 8, "patch_overlap": 4}
    length = AudioSettings(**settings).positions
    model = kt.train(
        CONFIG.replace(modality_settings=settings, max_length=length), Classification(),
        train=clips(120), validation=clips(40, seed=1), epochs=3, learning_rate=3e-3,
        batch_tokens=16 * length,
    )  # fmt: skip
    artifact = convert(model, "integer", target="micro", calibration=clips(64, seed=5))
    assert artifact.description["simulated"]["equal"] == 1.0
    rows, labels = clips(60, seed=8)
    found = [one.label for one in Runner(artifact).predict(rows)]
    assert np.mean(np.array(found) == labels) > 0.9


def test_labels_that_c_would_read_otherwise():
    assert quoted('a "b"\\ ??/é') == '"a \\042b\\042\\134 \\077\\077/\\303\\251"'


def test_a_label_is_neither_a_mark_nor_the_models_name():
    label = quoted("model_a MODEL_B @sizes@")
    assert label == '"\\155odel_a \\115ODEL_B @sizes@"'
    parts = dict.fromkeys(("sizes", "hop_frames", "windows", "threshold", "refractory"), label)
    assert filled("listen.h", "my", parts).count(label) == 5


def test_arrays_in_c():
    assert array("int8_t", "a", range(-1, 2)) == "static const int8_t a[3] = {\n    -1, 0, 1};"
    assert array("int8_t", "a", []) == "static const int8_t a[1] = {\n    0};"


@pytest.mark.parametrize(("changes", "message"), [
    ({"step": 0}, "step of log_mel.json to be above 0, got 0"),
    ({"zero": 200}, "got 200"), ({"mean": [0.0]}, "mean of log_mel.json to be 16 numbers"),
    ({"deviation": [0.0] * 16}, "deviation"), ({"more": 1}, "to hold mean, deviation, step, zero"),
    ({"mean": [float("nan")] * 16}, "mean"),
])  # fmt: skip
def test_a_damaged_scale_is_named(changes, message):
    value = {"mean": [-5.0] * 16, "deviation": [2.0] * 16, "step": 0.03, "zero": 5, **changes}
    with pytest.raises(InputError, match=message):
        StoredScale.from_bytes(json.dumps(value).encode(), 16)


def test_the_model_settings_are_those_of_the_spectrogram(runner):
    assert isinstance(runner.modality.log_mel, IntegerLogMel)
    assert runner.modality.log_mel.settings == AudioSettings(**SETTINGS)
