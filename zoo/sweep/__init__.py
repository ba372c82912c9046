"""Sweeps: a model trained with each of many combinations of options, and compared.

See `sweep`.
"""
