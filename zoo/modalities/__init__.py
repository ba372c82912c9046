"""Modalities: the kinds of raw rows that models read, and their encoding as arrays.

Imports tokenizers and NumPy only, so that it runs on a device.
"""
