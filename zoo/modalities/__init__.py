"""Modalities: what kinds of raw rows models read, and the arrays that they become.

Imports tokenizers, with NumPy alone: a device loads it.
"""
