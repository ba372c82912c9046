"""Models in Keras' own files, as `model.save("m.keras")` writes them.

Importing this module is enough for `keras.models.load_model` to find the layers, the losses, the
optimizers and the schedule of a model that was trained here.
"""

from pathlib import Path

import keras

from keras_transformer.zoo.models import build as _layers  # noqa: F401
from keras_transformer.zoo.tasks import losses as _losses  # noqa: F401
from keras_transformer.zoo.training import optimizers as _optimizers  # noqa: F401


def load_model(path: str | Path) -> keras.Model:
    """Reads a `.keras` file in Keras' safe mode: the model, and the state of its optimizer.

    Raises:
        FileNotFoundError: if there is no such file.
    """
    if not Path(path).is_file():
        raise FileNotFoundError(f"There is no file {path}.")
    return keras.models.load_model(path)
