"""Conversion: from a checkpoint to the graph of a `.tflite` file.

Imports tflite, quantize and all below them; independent of targets.
"""
