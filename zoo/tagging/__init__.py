"""Tagging: words of texts, the windows that a model reads of them, and tags from its outputs.

Imports tokenizers and NumPy only, so that it runs on a device.
"""
