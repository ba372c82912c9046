"""Embedding of images: patches, their projection and their positions."""

from collections.abc import Mapping

from keras import KerasTensor

from keras_transformer.patches import Patches, PatchPositions
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
    made = {"class_token": bool(settings.class_tokens), "bits": parts.bits, "dtype": parts.dtype}
    x = Patches(settings.patch, name=parts.named("patches"), **made)(inputs["pixels"])
    # The bias of the projection is a part of what is added to its outputs.
    x = parts.projection(c.hidden_dim, "patch_projection", x.shape[-1], use_bias=False)(x)
    x = parts.point("patch_point")(x)
    learned = c.positions == "learned"
    x = PatchPositions(
        learned=learned, stored=stored, name=parts.named("patch_positions"), **made
    )(x)  # fmt: skip
    point = parts.point if stored else parts.inner_point
    return parts.embedded(point("position_sum_point")(x)), None
