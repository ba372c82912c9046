"""Masked pieces of texts, and what a model says of them.

Imports tokenizers, data and NumPy only, so that it runs on a device.
"""
