"""The device runtime: `Runner` runs a `.tflite` file on raw inputs.

Imports only NumPy, ai_edge_litert and the device-safe packages of the zoo; `Runner` and
`Prediction` are imported when they are first asked for.
"""

import importlib

_MODULE_OF = {
    "Prediction": "keras_transformer.zoo.outputs",
    "Runner": "keras_transformer.edge.runtime.runner",
}
__all__ = sorted(_MODULE_OF)


def __getattr__(name):
    if name not in _MODULE_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(_MODULE_OF[name]), name)


def __dir__():
    return __all__
