"""Registry of the modalities by name."""

from keras_transformer.zoo.errors import InputError
from keras_transformer.zoo.modalities.audio import Audio
from keras_transformer.zoo.modalities.image import Image
from keras_transformer.zoo.modalities.modality import Modality
from keras_transformer.zoo.modalities.several import PLUS, several_of
from keras_transformer.zoo.modalities.speech import Speech
from keras_transformer.zoo.modalities.text import Text

MODALITIES: dict[str, type[Modality]] = {
    "audio": Audio, "image": Image, "speech": Speech, "text": Text
}


def modality_named(name: str) -> type[Modality]:
    """Returns the class of a modality, or that of several such as `image+text`.

    Raises:
        InputError: if the name is unknown; the message lists the known ones.
    """
    kinds = name.split(PLUS)
    for one in kinds:
        if one not in MODALITIES:
            raise InputError(
                f"Expected modality to be one of {', '.join(MODALITIES)}, or several of them such "
                f"as image{PLUS}text, got modality={name!r}."
            )
    found = [MODALITIES[one] for one in kinds]
    return found[0] if len(found) == 1 else several_of(*found)
