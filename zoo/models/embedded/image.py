"""Embedding of images: patches and their projection, or convolutions, and their positions."""

from collections.abc import Mapping

from keras import KerasTensor

from keras_transformer.convolutional_tokenizer import ConvolutionalTokenizer
from keras_transformer.patches import Patches, Pixels
from keras_transformer.zoo.modalities.image import ImageSettings
from keras_transformer.zoo.models.embedded.positions import check_positions, with_positions
from keras_transformer.zoo.models.parts import Parts


def embed_image(parts: Parts, inputs: Mapping[str, KerasTensor]) -> tuple[KerasTensor, None]:
    """Returns the vectors of the patches, without a mask: every position is real.

    Raises:
        InputError: if the positions are neither learned nor sinusoidal.
    """
    c, settings = parts.config, ImageSettings.of(parts.config.modality_settings)
    check_positions(parts, "images")
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
    return with_positions(parts, x, "patch_positions", class_token=has_token), None
