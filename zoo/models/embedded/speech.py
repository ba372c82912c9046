"""Embedding of speech: a scaled log-mel spectrogram, two convolutions, and positions."""

from collections.abc import Mapping

from keras import KerasTensor

from keras_transformer.speech import FrameConvolution, FramePositions, ScaledLogMel
from keras_transformer.zoo.errors import InputError
from keras_transformer.zoo.modalities.speech import SpeechSettings
from keras_transformer.zoo.models.parts import Parts


def embed_speech(parts: Parts, inputs: Mapping[str, KerasTensor]) -> tuple[KerasTensor, None]:
    """Returns the vectors of each two frames, without a mask: every position is real.

    Radford et al. 2022, section 2.2: the second convolution has a stride of 2.

    Raises:
        InputError: if the model computes in integers only.
    """
    c, settings = parts.config, SpeechSettings.of(parts.config.modality_settings)
    if parts.bits["inner_bits"] is not None:
        raise InputError(
            "Expected a precision other than integer for a model that reads speech, whose log-mel "
            "spectrogram is computed in floats; static_int8 has integers in all that follows it."
        )
    made = {"dtype": parts.dtype}
    x = ScaledLogMel(
        settings.rate, settings.frame, settings.hop, settings.mels, name=parts.named("log_mel"),
        **made,
    )(inputs["waveform"])  # fmt: skip
    x = parts.point("log_mel_point")(x)
    for number, stride in enumerate((1, 2)):
        x = FrameConvolution(
            c.hidden_dim, stride=stride, activation=c.activation, rank=c.rank, bits=parts.bits,
            name=parts.named(f"convolution_{number}"), **made,
        )(x)  # fmt: skip
    x = FramePositions(bits=parts.bits, name=parts.named("source_position_embedding"), **made)(x)
    x = parts.embedding_point("source_embedding_point")(x)
    x = parts.normalized_embeddings(x, "source_")
    return parts.dropout("source_dropout")(x), None
