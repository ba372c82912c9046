"""Tokenizers: text to ids and back, the same in training and on the device.

Imports NumPy and the standard library alone, so that a device can.
"""
