"""Conversion: from a checkpoint to the bytes of a `.tflite` file.

Imports graphs, tflite, quantize and compare; knows no target.
"""
