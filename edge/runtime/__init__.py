"""The runtime of the device: `Runner` runs a `.tflite` file on raw inputs.

Imports NumPy and ai_edge_litert alone, with the device-safe rooms of the zoo.
"""

from keras_transformer.edge.runtime.runner import Prediction, Runner

__all__ = ["Prediction", "Runner"]
