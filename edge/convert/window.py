"""Models of speech with a shorter window, whose work is in proportion to its length."""

import dataclasses
import math

from keras_transformer.zoo.checkpoint import Checkpoint
from keras_transformer.zoo.errors import InputError
from keras_transformer.zoo.modalities.modality import Modality
from keras_transformer.zoo.modalities.speech import Speech, SpeechSettings
from keras_transformer.zoo.models.build import build, get_weights, set_weights

_POSITIONS = "source_position_embedding/embeddings"


def with_window(checkpoint: Checkpoint, seconds: float) -> Checkpoint:
    """Returns a float checkpoint whose encoder reads the first positions of its window only.

    The positions are those that it has, the first of the table; what follows them, which are zeros
    where sounds are short, is no longer read. Longer sounds are cut into more windows.

    Args:
        checkpoint: a float model of speech.
        seconds: length of the window in seconds, rounded up to whole positions.

    Raises:
        InputError: if the checkpoint reads no speech or is quantized, or its window is shorter.
    """
    modality, config = checkpoint.modality, checkpoint.config
    if not isinstance(modality, Speech) or checkpoint.is_quantized:
        kind = "a quantized model" if checkpoint.is_quantized else "one"
        raise InputError(
            "Expected max_seconds only for a float model of speech, got max_seconds="
            f"{seconds:g} for {kind} of {modality.name}."
        )
    now = SpeechSettings.of(config.modality_settings)
    hops = 2 * now.hop
    samples = math.ceil(seconds * now.rate / hops) * hops if 0 < seconds < math.inf else 0
    if not now.frame <= samples <= now.samples:
        raise InputError(
            f"Expected max_seconds to be from {now.frame / now.rate:g} to the model's "
            f"{now.samples / now.rate:g}, got max_seconds={seconds:g}."
        )
    return _with_samples(checkpoint, samples)


def with_window_of(checkpoint: Checkpoint, modality: Modality) -> Checkpoint:
    """Returns a checkpoint with the window of a file that was made of it with a shorter one.

    Others are returned as they are, among them those of another kind.

    Args:
        checkpoint: a checkpoint.
        modality: modality of the file.
    """
    now, then = checkpoint.modality, modality
    if not (isinstance(now, Speech) and isinstance(then, Speech)) or checkpoint.is_quantized:
        return checkpoint
    ours, theirs = (SpeechSettings.of(one.settings) for one in (now, then))
    is_shorter = theirs.samples < ours.samples
    if not is_shorter or dataclasses.replace(ours, samples=theirs.samples) != theirs:
        return checkpoint
    return _with_samples(checkpoint, theirs.samples)


def _with_samples(checkpoint: Checkpoint, samples: int) -> Checkpoint:
    """The checkpoint with a window of so many samples, a multiple of two hops."""
    modality = checkpoint.modality
    config = checkpoint.config.replace(samples=samples)
    hops = 2 * SpeechSettings.of(config.modality_settings).hop
    weights = get_weights(checkpoint.model)
    weights[_POSITIONS] = weights[_POSITIONS][: samples // hops]
    model = build(config, checkpoint.task)
    set_weights(model, weights)
    probes = dict(checkpoint.probes)
    if probes:
        probes["waveform"] = probes["waveform"][:, :samples]
    settings = {**checkpoint.recipe.model.settings, "samples": samples}
    return dataclasses.replace(
        checkpoint, config=config, model=model, probes=probes,
        modality=dataclasses.replace(modality, settings=config.modality_settings),
        recipe=checkpoint.recipe.replace(settings=settings),
    )  # fmt: skip
