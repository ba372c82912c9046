"""Comparison of a file with its Keras model: parity, layers, data, and benchmarks.

Imports graphs, runtime and tflite.
"""
