"""Quantization-aware training: ranges, rounding and the run.

Imports compress, training and precision.
"""
