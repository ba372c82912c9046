"""Rows on which a converted published model is compared: its own data are not known."""

from collections.abc import Sequence

import numpy as np

from keras_transformer.zoo.data.pairs import SentencePairs
from keras_transformer.zoo.modalities.image import Image
from keras_transformer.zoo.modalities.modality import Modality
from keras_transformer.zoo.modalities.speech import Speech, SpeechSettings
from keras_transformer.zoo.pretrained.pixels import probe_pictures
from keras_transformer.zoo.pretrained.speech import probe_sounds
from keras_transformer.zoo.prune_vocabulary import probes_of
from keras_transformer.zoo.tasks.task import Task
from keras_transformer.zoo.tasks.transcription.transcription_data import (
    probes_of as probes_of_speech,
)

_SOUNDS = 4
PROBE_TEXTS = (
    "A charming film.",
    "The train to the coast leaves at half past seven, and the last one back is at ten.",
    "No.",
    "How do I reset the password of my account?",
    "She sold the house, bought a boat with the money and has not been seen in town since.",
    "Water boils at 100 °C at sea level, at about 93 °C at 2,000 m.",
    "I would not recommend it to anyone: the food was cold, the waiter rude, the bill wrong.",
    "def add(a, b): return a + b",
    "Der Zug hat wegen eines Unwetters ungefähr zwanzig Minuten Verspätung.",
    "¿Dónde está la biblioteca?",
    "Ce n'est pas la mer à boire, mais il faudra s'y mettre dès demain matin.",
    "Москва — столица России.",
    "今日は天気がいいですね。",
    "The committee, which had met three times without result, agreed on Thursday to postpone the "
    "decision until the figures of the last quarter are known and both sides have read them.",
    "Book a table for four at eight tonight",
    "2024-05-17, order 4711: 3 x 19.99 EUR",
)


def published_probes(
    task: Task, modality: Modality, texts: Sequence[str] = PROBE_TEXTS
) -> dict[str, np.ndarray]:
    """Returns inputs (rows, ...) by name.

    Args:
        task: task of the model.
        modality: its modality.
        texts: texts that a model of text reads.
    """
    if isinstance(modality, Image):
        spec = modality.inputs()[0]
        encoded = modality.encode(probe_pictures(*spec.shape))
        return {spec.name: spec.pad(encoded.columns[spec.name])}
    if isinstance(modality, Speech):
        sounds = probe_sounds(SpeechSettings.of(modality.settings), _SOUNDS)
        said = PROBE_TEXTS[:_SOUNDS]
        pairs = SentencePairs(sources=list(sounds), targets=list(said), path="probes")
        return probes_of_speech(pairs, modality)
    return probes_of(task, modality, texts)
