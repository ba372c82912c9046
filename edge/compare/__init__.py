"""Comparison of a file with its Keras model: parity, layer by layer, and on data.

Imports graphs, runtime and tflite.
"""
