"""MediaPipe Tasks loads our files, and gives what `Runner` gives.

MediaPipe and tensorflow-model-optimization want different versions of absl, so that it has an
environment of its own: MEDIAPIPE_PYTHON names its interpreter, which `.ci/run` sets where MediaPipe
installs (on Debian it needs libegl1 and libgles2).
"""

import dataclasses
import unicodedata

import numpy as np
import pytest

from keras_transformer.edge.runtime.runner import Runner
from keras_transformer.edge.targets.convert import convert
from keras_transformer.edge.targets.registry import TARGETS
from keras_transformer.zoo.tokenizers.normalizers.normalize import is_european_accent, split_words
from keras_transformer.zoo.tokenizers.piece_list import SPECIAL_TOKENS
from keras_transformer.zoo.tokenizers.tokenizer import Tokenizer, TokenizerConfig
from tests.edge.models import calibration, random_model, trained_on
from tests.hard_strings import UTF8
from tests.runtimes.in_mediapipe import in_mediapipe, needs_mediapipe

pytestmark = needs_mediapipe
WORDS = [word for text in UTF8 for word in split_words(
    text, lowercase=True, strip_accents=True
)]  # fmt: skip
CHARACTERS = sorted(set("".join(WORDS)))
PIECES = [*SPECIAL_TOKENS, "rain", "##cloud", *CHARACTERS[5:], *(f"##{c}" for c in CHARACTERS[5:])]


def normalized(text):
    """What docs/normalization.md tells an app to do with a text first."""
    folded = unicodedata.normalize("NFD", "".join(c.casefold() for c in text))
    kept = (c for c in folded if not is_european_accent(c))
    white = ("Cc", "Cf", "Zs", "Zl", "Zp")
    return "".join(" " if unicodedata.category(c) in white else c for c in kept)


def write(folder, precision, **options):
    trained = trained_on(random_model(vocab_size=len(PIECES), max_length=64), 64)
    # MediaPipe's own limit on words.
    tokenizer = Tokenizer(TokenizerConfig(max_bytes_per_word=100), PIECES)
    trained.modality = dataclasses.replace(trained.modality, tokenizer=tokenizer)
    batches = calibration() if precision == "int8" else None
    converted = convert(
        trained, precision, calibration=batches, lengths=[64], target="mediapipe", **options
    )
    path = folder / f"{precision}.tflite"
    path.write_bytes(bytes(converted))
    return path


@pytest.mark.parametrize(
    "precision",
    [
        pytest.param(name, marks=() if name in ("float32", "int8") else pytest.mark.slow)
        for name in TARGETS["mediapipe"].precisions
    ],
)
def test_hard_strings_are_classified_as_runner_does(precision, tmp_path):
    path = write(tmp_path, precision)
    texts = [normalized(text) for text in UTF8]
    found = in_mediapipe(file=str(path), task="classify", texts=texts)
    for text, scores, expected in zip(
        UTF8, found, Runner(path).predict(UTF8), strict=True
    ):
        assert max(scores, key=scores.get) == expected.label, repr(text[:40])
        # Both run XNNPACK's float softmax; MediaPipe brings a version of its own.
        assert scores == pytest.approx(expected.scores, abs=1e-5), repr(text[:40])


def test_hard_strings_are_embedded_as_runner_does(tmp_path):
    path = write(tmp_path, "float32", embedding=True)
    texts = [normalized(text) for text in UTF8]
    found = in_mediapipe(file=str(path), task="embed", texts=texts)
    np.testing.assert_allclose(found, Runner(path).embed(UTF8), rtol=0, atol=1e-5)
