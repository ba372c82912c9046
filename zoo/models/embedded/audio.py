"""Embedding of sounds: frames of a log-mel spectrogram, their projection and their positions."""

from collections.abc import Mapping

from keras import KerasTensor

from keras_transformer.decisions import WIDE_BITS
from keras_transformer.frames import LogMel
from keras_transformer.patches import SpectrogramPatches
from keras_transformer.zoo.modalities.audio import AudioSettings
from keras_transformer.zoo.models.embedded.positions import check_positions, with_positions
from keras_transformer.zoo.models.parts import Parts


def embed_audio(parts: Parts, inputs: Mapping[str, KerasTensor]) -> tuple[KerasTensor, None]:
    """Returns the vectors of the frames, without a mask: every position is real.

    Raises:
        InputError: if the positions are neither learned nor sinusoidal.
    """
    c, settings = parts.config, AudioSettings.of(parts.config.modality_settings)
    check_positions(parts, "sounds")
    has_token, in_bands = bool(settings.class_tokens), settings.patch_mels > 0
    x = LogMel(
        settings.rate, settings.frame, settings.hop, settings.mels, settings.low, settings.highest,
        patch_frames=1 if in_bands else settings.patch_frames,
        class_token=has_token and not in_bands, dtype=parts.dtype,
        # A file of integers alone leaves it to its host, see `edge.graphs.front_end`.
        bits={"inner_bits": parts.bits["inner_bits"]}, name=parts.named("log_mel"),
    )(inputs["waveform"])  # fmt: skip
    x = parts.point("log_mel_point")(x)
    if in_bands:
        x = SpectrogramPatches(
            settings.patch_frames, settings.patch_mels, overlap=settings.patch_overlap,
            class_token=has_token, gathers=(parts.bits["activation_bits"] or 0) > WIDE_BITS,
            dtype=parts.dtype, name=parts.named("patches"),
        )(x)  # fmt: skip
    # The bias of the projection is a part of what is added to its outputs.
    x = parts.projection(c.hidden_dim, "frame_projection", x.shape[-1], use_bias=False)(x)
    x = parts.point("frame_point")(x)
    return with_positions(parts, x, "frame_positions", class_token=has_token), None
