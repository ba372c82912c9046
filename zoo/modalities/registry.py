"""Registry of the modalities by name."""

from keras_transformer.zoo.errors import InputError
from keras_transformer.zoo.modalities.audio import Audio
from keras_transformer.zoo.modalities.image import Image
from keras_transformer.zoo.modalities.modality import Modality
from keras_transformer.zoo.modalities.speech import Speech
from keras_transformer.zoo.modalities.text import Text

MODALITIES: dict[str, type[Modality]] = {
    "audio": Audio, "image": Image, "speech": Speech, "text": Text
}


def modality_named(name: str) -> type[Modality]:
    """Returns the class of a modality.

    Raises:
        InputError: if the name is unknown; the message lists the known ones.
    """
    if name not in MODALITIES:
        raise InputError(
            f"Expected modality to be one of {', '.join(MODALITIES)}, got modality={name!r}."
        )
    return MODALITIES[name]
