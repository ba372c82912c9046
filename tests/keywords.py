"""A small model that hears high and low tones in noise, and long sounds to hear them in."""

import functools

import numpy as np

import keras_transformer as kt
from keras_transformer.zoo.models.config import TransformerConfig
from keras_transformer.zoo.tasks.classification import Classification

RATE = 8000
LABELS = ("high", "low", "silence")
PITCHES = {"high": 1200, "low": 400}
SETTINGS = {
    "rate": RATE, "samples": 2400, "frame": 240, "hop": 80, "mels": 16, "patch_frames": 2,
}  # fmt: skip
CONFIG = TransformerConfig(
    architecture="encoder", hidden_dim=32, intermediate_dim=64, num_layers=1, num_heads=2,
    max_length=15, dropout=0.0, attention_dropout=0.0, pooler="none", embedding_norm=True,
    modality="audio", modality_settings=SETTINGS,
)  # fmt: skip


def tone(label, length, rng, level=0.3):
    """Samples (length,) of a pitch near that of a label."""
    pitch = rng.uniform(0.8, 1.2) * PITCHES[label]
    return np.sin(2 * np.pi * np.arange(length) * pitch / RATE) * level


def noise(length, rng):
    return rng.normal(0, 0.003, length)


def to_int16(samples):
    return np.rint(32_767 * np.clip(samples, -1, 1)).astype(np.int16)


def clips(count, seed=0):
    """Clips of the model's length, with a tone somewhere in all but those of silence."""
    rng = np.random.default_rng(seed)
    rows, labels = [], [LABELS[k] for k in rng.integers(0, 3, count)]
    for label in labels:
        samples = noise(2400, rng)
        if label != "silence":
            length = rng.integers(1000, 2400)
            start = rng.integers(0, 2400 - length)
            samples[start : start + length] += tone(label, length, rng, rng.uniform(0.1, 0.5))
        rows.append(to_int16(samples))
    return rows, labels


def long_sound(seed=0):
    """Seconds of noise as int16, and the tones in it: each label with its seconds."""
    rng = np.random.default_rng(seed)
    parts, tones, length = [], [], 0
    for label in ("low", "high", "high", "low"):
        quiet = noise(int(rng.integers(4000, 9000)), rng)
        sound = tone(label, int(rng.integers(2400, 3200)), rng)
        start, length = length + len(quiet), length + len(quiet) + len(sound)
        tones.append((label, start / RATE, length / RATE))
        parts += [quiet, sound + noise(len(sound), rng)]
    return to_int16(np.concatenate([*parts, noise(6000, rng)])), tones


@functools.cache
def trained():
    """The model as a checkpoint, trained once for all tests of a process."""
    return kt.train(
        CONFIG, Classification(), train=clips(240), validation=clips(60, seed=1), epochs=6,
        learning_rate=3e-3, batch_tokens=16 * CONFIG.max_length,
    )  # fmt: skip
