"""Embedding of images: patches and their projection, or convolutions, and their positions."""

from collections.abc import Mapping

from keras import KerasTensor

from keras_transformer.convolutional_tokenizer import ConvolutionalTokenizer
from keras_transformer.patches import Patches, PatchPositions, Pixels
from keras_transformer.zoo.errors import InputError
from keras_transformer.zoo.modalities.image import ImageSettings
from keras_transformer.zoo.models.parts import Parts

_POSITIONS = ("learned", "sinusoidal")


def embed_image(parts: Parts, inputs: Mapping[str, KerasTensor]) -> tuple[KerasTensor, None]:
    """Returns the vectors of the patches, without a mask: every position is real.

    Raises:
        InputError: if the positions are neither learned nor sinusoidal.
    """
    c, settings = parts.config, ImageSettings.of(parts.config.modality_settings)
    if c.positions not in _POSITIONS:
        raise InputError(
            f"Expected positions to be {' or '.join(_POSITIONS)} for images, got "
            f"positions={c.positions!r}."
        )
    # As the sums of a residual connection are: only where no norm reads them in float.
    stored = not (c.pre_norm or c.has_embedding_norm)
    made, has_token = {"bits": parts.bits, "dtype": parts.dtype}, bool(settings.class_tokens)
    x = Pixels(name=parts.named("pixel_scale"), **made)(inputs["pixels"])
    if settings.convolutions:
        tokenizer = ConvolutionalTokenizer(
            c.hidden_dim, num_layers=settings.convolutions, name=parts.named("tokenizer"), **made
        )
        x = tokenizer(x)
    else:
        patches = Patches(
            settings.patch, class_token=has_token, dtype=parts.dtype, name=parts.named("patches")
        )
        x = patches(x)
        # The bias of the projection is a part of what is added to its outputs.
        x = parts.projection(c.hidden_dim, "patch_projection", x.shape[-1], use_bias=False)(x)
        x = parts.point("patch_point")(x)
    x = PatchPositions(
        class_token=has_token, learned=c.positions == "learned", stored=stored,
        name=parts.named("patch_positions"), **made,
    )(x)  # fmt: skip
    point = parts.point if stored else parts.inner_point
    return parts.embedded(point("position_sum_point")(x)), None
