"""The edge: precision, quantization, compression, conversion, targets and the device runtime.

Imports the layers and the zoo; never cli.
"""
