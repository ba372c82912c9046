"""Deferred import of tensorflow-text, which has no wheel for Windows."""

import importlib
from types import ModuleType

from keras_transformer.zoo.errors import InputError


def text_ops(use: str, module: str = "tensorflow_text") -> ModuleType:
    """Imports tensorflow-text, or a module of it.

    Args:
        use: what it does for the caller, for the error message.
        module: name of the module to import.

    Raises:
        InputError: if it is not installed.
    """
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] != "tensorflow_text":
            raise
        raise InputError(
            f"Expected tensorflow-text to be installed, which {use}; pip install tensorflow-text "
            "on Linux or macOS (it has no Windows release), or train with the characters tokenizer."
        ) from None
