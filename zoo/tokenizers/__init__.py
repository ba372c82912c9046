"""Tokenizers: text to ids and back, identical in training and on the device.

Imports only NumPy and the standard library, so that it runs on a device.
"""
