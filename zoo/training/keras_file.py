"""Loading of `.keras` files, as written by `model.save("m.keras")`.

Importing this module registers the layers, losses, optimizers and the schedule of our models for
`keras.models.load_model`.
"""

from pathlib import Path

import keras

from keras_transformer.zoo.errors import no_file
from keras_transformer.zoo.losses import label_sets as _label_sets  # noqa: F401
from keras_transformer.zoo.losses import losses as _losses  # noqa: F401
from keras_transformer.zoo.losses import vectors as _vectors  # noqa: F401
from keras_transformer.zoo.models import build as _layers  # noqa: F401
from keras_transformer.zoo.training import optimizers as _optimizers  # noqa: F401


def load_model(path: str | Path) -> keras.Model:
    """Reads a model and the state of its optimizer from a `.keras` file in Keras' safe mode.

    Raises:
        FileNotFoundError: if there is no such file.
    """
    if not Path(path).is_file():
        raise no_file(path)
    return keras.models.load_model(path)
